"""Junk in any place of any format: a bad row or a clear error, never a fault of our own, never a file left."""

import copy
import json
import random

import pytest

from tests.unit.interchange.importing import Import
from tests.unit.interchange.test_spans import AGENT, TOOL, chat, document, span
from tests.unit.interchange.test_weka import request, session
from tracekit.analyzers.workload import compile_workload
from tracekit.errors import TraceEmpty, TracekitError

MOONCAKE = {
    "input_length": 600,
    "output_length": 5,
    "hash_ids": [1, 2],
    "timestamp": 3,
    "session_id": "a",
    "delay": 4,
}
EVENT = {
    "tool_class": "x",
    "started_at_unix_ms": 5,
    "ended_at_unix_ms": 9,
    "tool_call_id": "c",
    "error_type": "e",
}
FLAT = {
    "name": "x", "context": {"trace_id": "t", "span_id": "1"}, "start_time": "2023-11-14T22:13:21Z",
    "end_time": "2023-11-14T22:13:22Z", "attributes": {"openinference": {"span": {"kind": "LLM"}}},
}  # fmt: skip
SAMPLES = {
    "mooncake": [MOONCAKE, MOONCAKE | {"timestamp": 9}],
    "agentic-mooncake": [
        MOONCAKE | {"request_id": "p"},
        MOONCAKE | {"request_id": "q", "wait_for": ["p"], "tool_wait_ms": 4, "tool_events": [EVENT]},
    ],
    "bailian": [
        {"chat_id": 1, "parent_chat_id": -1, "timestamp": 1, "input_length": 20, "output_length": 3, "hash_ids": [1]},
        {"chat_id": 2, "parent_chat_id": 1, "timestamp": 2, "input_length": 20, "output_length": 3},
    ],
    "weka": session(
        request(0.0, ttft=1),
        {"t": 9, "type": "subagent", "duration_ms": 5000, "subagent_type": "x", "requests": [request(0.0)]},
        request(12.0),
    ),
    "otlp": [document(chat("a", 1, 5, "root"), span("b", 6, 9, "root", **TOOL), AGENT)],
    "openinference": [
        FLAT,
        document(span("r", 0, 9, events=[("First Token Stream Event", 4)], openinference__span__kind="TOOL")),
    ],
}  # fmt: skip
JUNK = (
    None, "", "x", -1, 0, 1.5, 1e300, float("nan"), float("inf"), 10**30, True, [], [None], {}, {"a": [1]}, "é" * 99,
    2**62,
)  # fmt: skip
TRIALS = 60


def places(value, above=()):
    """Every path into nested JSON."""
    yield above
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*above, key))


def spoilt(sample, draw):
    content = copy.deepcopy(sample)
    for _ in range(draw.choice([1, 1, 2])):
        path = draw.choice([place for place in places(content) if place])
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        if draw.random() < 0.2:
            del holder[path[-1]]
        else:
            holder[path[-1]] = copy.deepcopy(draw.choice(JUNK))
        if not content:
            return content
    return content


@pytest.mark.parametrize("name", SAMPLES)
def test_junk_is_a_bad_row_or_a_clear_error(tmp_path, name):
    draw = random.Random(name)
    for _trial in range(TRIALS):
        content = spoilt(SAMPLES[name], draw)
        (tmp_path / "t.parquet").unlink(missing_ok=True)
        assert outcome(tmp_path, name, content) in ("imported", "refused"), json.dumps(content)
        assert not list(tmp_path.glob(".*partial"))


def outcome(folder, name, content):
    """imported, refused with a clear error and no file, or what went wrong."""
    try:
        made = Import(folder, name, content)
        compile_workload(made.trace)
    except TraceEmpty:
        return "imported"
    except TracekitError as error:
        return "refused" if str(error) and not (folder / "t.parquet").exists() else f"left a file: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "imported"
