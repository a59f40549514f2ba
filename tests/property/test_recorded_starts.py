"""Recorded durations return every recorded start within 1 us, whatever overlaps with what."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracekit.analyzers.replay import replay_recorded
from tracekit.analyzers.workload import compile_workload
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import Trace, table_of, write_trace

Row = dict[str, Any]

EPOCH_NS = 1_700_000_000_000_000_000
MOMENTS_NS = st.one_of(st.integers(0, 12), st.integers(0, 10**6), st.integers(0, 10**14))


@st.composite
def steps(draw: st.DrawFn, session: int, start_ns: int) -> list[tuple[Kind, Row]]:
    """A session's calls and tools, in order of start; each after any that start no later."""
    lengths_ns = st.one_of(st.sampled_from([0, 1]), MOMENTS_NS)
    spans = sorted(
        (start_ns + begin_ns, length_ns)
        for begin_ns, length_ns in draw(st.lists(st.tuples(MOMENTS_NS, lengths_ns), min_size=1, max_size=7))
    )
    told: list[tuple[Kind, Row]] = []
    for place, (begin_ns, length_ns) in enumerate(spans):
        earlier = [
            row for _kind, row in told if (row["start_ns"], row["end_ns"]) < (begin_ns, begin_ns + length_ns)
        ]
        parents = draw(st.lists(st.sampled_from(earlier), max_size=3, unique_by=id)) if earlier else []
        row = {
            "row_id": 100 + 10 * session + place,
            "session_id": session,
            "start_ns": begin_ns,
            "end_ns": begin_ns + length_ns,
            "parents": [parent["row_id"] for parent in parents],
        }
        kind = draw(st.sampled_from([Kind.LLM_CALL, Kind.LLM_CALL, Kind.TOOL_SPAN]))
        told.append((kind, row | draw(answers(begin_ns, length_ns)) if kind is Kind.LLM_CALL else row))
    return told


@st.composite
def answers(draw: st.DrawFn, start_ns: int, length_ns: int) -> Row:
    """What is known of a call's answer."""
    first_ns = draw(st.none() | st.integers(0, length_ns))
    return {
        "status": draw(st.sampled_from(["ok", "ok", "cancelled", "error"])),
        "input_tokens": draw(st.integers(0, 50)),
        "output_tokens": draw(st.sampled_from([None, 0, 1, 2, 9, 1000])),
        "first_token_ns": None if first_ns is None else start_ns + first_ns,
        "last_token_ns": None if first_ns is None else draw(st.none() | st.just(start_ns + length_ns)),
        "chunk_gap_us": draw(st.none() | st.lists(st.floats(0, 1e9, width=32), max_size=5)),
    }


@st.composite
def recordings(draw: st.DrawFn) -> dict[Kind, list[Row]]:
    rows: dict[Kind, list[Row]] = {Kind.SESSION: [], Kind.LLM_CALL: [], Kind.TOOL_SPAN: []}
    for session in range(draw(st.integers(1, 4))):
        start_ns = EPOCH_NS + draw(MOMENTS_NS)
        rows[Kind.SESSION].append(
            {"row_id": session, "start_ns": start_ns, "end_ns": start_ns, "status": "ok"}
        )
        for kind, row in draw(steps(session, start_ns)):
            rows[kind].append(row)
    # a trace needs one call that can be replayed
    ask = {
        "row_id": 9,
        "session_id": 0,
        "start_ns": start_ns + 10**15,
        "end_ns": start_ns + 10**15,
        "parents": [],
    }
    rows[Kind.LLM_CALL].append(ask | {"status": "ok", "input_tokens": 1, "output_tokens": 1})
    return rows


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(recordings())
def test_recorded_durations_return_every_start(rows: dict[Kind, list[Row]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        tables = {kind: table_of(kind, told) for kind, told in rows.items() if told}
        write_trace(path, tables, Provenance(1, "0", [], 0))
        compiled = compile_workload(Trace.open(path))
    steps_s = replay_recorded(compiled.workload).steps
    recorded = {row["row_id"]: row for kind in (Kind.LLM_CALL, Kind.TOOL_SPAN) for row in rows[kind]}
    for field, replayed_s in (("start_ns", steps_s["start_s"]), ("end_ns", steps_s["end_s"])):
        since_ns = np.array([recorded[int(row)][field] - compiled.origin_ns for row in compiled.row_id])
        assert np.abs(1e9 * replayed_s - since_ns).max() < 1000
    inside = {
        row["row_id"]
        for row in recorded.values()
        if any(recorded[parent]["end_ns"] > row["start_ns"] for parent in row["parents"])
    }
    assert compiled.inner_starts == len(inside)
