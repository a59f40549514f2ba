"""A trace as agentic Mooncake rows, for Dynamo's DynoSim and AIPerf; the fields are in agentic_mooncake.py.

Each LLM call with token counts is a row. It waits for the calls it starts after, found through the tool spans and
the calls without tokens between; `delay` is the lag outside of tools. hash_ids are made anew from the trace's
prefix identity: consecutive numbers, shared where calls share tokens. Without such identity no two rows share.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tracekit.errors import TraceEmpty
from tracekit.interchange.exported import Exported
from tracekit.interchange.interval import union_ns
from tracekit.interchange.quantity import NS_PER_MS
from tracekit.schema import Kind
from tracekit.trace import Trace

_DEFAULT_BLOCK_TOKENS = 64
_STEP = ("row_id", "session_id", "start_ns", "end_ns", "parents")
_CALL = (
    *_STEP, "status", "conversation_id", "input_tokens", "output_tokens", "prefix_call_id", "prefix_tokens",
    "prefix_block_tokens",
)  # fmt: skip
_TOOL = (*_STEP, "status", "name", "tool_call_id", "error_type", "frame")

Row = dict[str, Any]


class _Blocks(NamedTuple):
    """A call's block ids: the first `shared` are `owner`'s, then consecutive numbers from `first_id`."""

    owner: int | None
    shared: int
    first_id: int


def export(trace: Trace) -> Exported:
    """The rows of `trace`, in order of start.

    Raises
    ------
    TraceEmpty : it has no LLM call with token counts.
    """
    calls = {row["row_id"]: row for row in trace.rows(Kind.LLM_CALL, _CALL).to_pylist()}
    tools = {row["row_id"]: row for row in trace.rows(Kind.TOOL_SPAN, _TOOL).to_pylist()}
    known = {key: row for key, row in calls.items() if _is_known(row)}
    if not known:
        raise TraceEmpty.of(trace.path, "LLM call with token counts", "Only such calls can be exported.")
    block_tokens = _block_tokens(known)
    notes = [f"block length {block_tokens} tokens (DynoSim: --trace-block-size {block_tokens})"]
    if left_out := len(calls) - len(known):
        notes.append(f"{left_out:,} calls without an answer or token counts are left out; waits span them")
    if all(row["prefix_call_id"] is None for row in known.values()):
        notes.append("the trace holds no shared prefixes in tokens: no two rows share hash_ids")
    rows = _rows(known, calls, tools, _session_names(trace, known), block_tokens)
    return Exported((json.dumps(row, separators=(",", ":")) + "\n" for row in rows), notes)


def _is_known(row: Row) -> bool:
    return (
        row["status"] in ("ok", "cancelled")
        and row["input_tokens"] is not None
        and row["output_tokens"] is not None
        and row["session_id"] is not None
    )


def _block_tokens(known: Mapping[int, Row]) -> int:
    lengths = {row["prefix_block_tokens"] for row in known.values()} - {None}
    return math.gcd(*lengths) if lengths else _DEFAULT_BLOCK_TOKENS


def _session_names(trace: Trace, known: Mapping[int, Row]) -> dict[int, str]:
    """A name for each session, its own where that is unique."""
    table = trace.rows(Kind.SESSION, ["row_id", "conversation_id", "name"]).to_pylist()
    own = {row["row_id"]: row["conversation_id"] or row["name"] for row in table}
    unique = len(set(own.values())) == len(own)
    sessions = {row["session_id"] for row in known.values()}
    return {key: str(own.get(key)) if unique and own.get(key) else f"session-{key}" for key in sessions}


def _rows(
    known: Mapping[int, Row],
    calls: Mapping[int, Row],
    tools: Mapping[int, Row],
    names: Mapping[int, str],
    block_tokens: int,
) -> Iterator[Row]:
    ordered = sorted(known.values(), key=lambda row: (row["start_ns"], row["row_id"]))
    origin_ns = ordered[0]["start_ns"]
    blocks = _number_blocks(ordered, block_tokens)
    seen: set[int] = set()
    for row in ordered:
        session = row["session_id"]
        out: Row = {
            "request_id": f"call-{row['row_id']}",
            "session_id": names[session],
            "input_length": row["input_tokens"],
            "output_length": row["output_tokens"],
            "hash_ids": _hash_ids(row, blocks, block_tokens),
            "timestamp": _ms(row["start_ns"] - origin_ns),
            **_waits(row, known, calls, tools),
        }
        if session not in seen:
            out["prefix_reset"] = True
            seen.add(session)
        yield out


def _waits(row: Row, known: Mapping[int, Row], calls: Mapping[int, Row], tools: Mapping[int, Row]) -> Row:
    """What a call waits for: wait_for, delay, tool_wait_ms and tool_events."""
    deps, between = _before(row, known, calls, tools)
    if not deps:
        return {}
    ready_ns = max(_end_ns(dep) for dep in deps)
    gap_ns = max(row["start_ns"] - ready_ns, 0)
    spans = [span for span in between if span["end_ns"] is not None and span["end_ns"] > ready_ns]
    tool_ns = min(
        union_ns((max(span["start_ns"], ready_ns), min(span["end_ns"], row["start_ns"])) for span in spans),
        gap_ns,
    )
    out: Row = {"wait_for": [f"call-{dep['row_id']}" for dep in deps], "delay": _ms(gap_ns - tool_ns)}
    if tool_ns > 0:
        out["tool_wait_ms"] = _ms(tool_ns)
        out["tool_events"] = [_event(span) for span in spans]
    return out


def _before(
    row: Row, known: Mapping[int, Row], calls: Mapping[int, Row], tools: Mapping[int, Row]
) -> tuple[list[Row], list[Row]]:
    """The calls a call starts after, and the tool spans on the way to them."""
    deps: dict[int, Row] = {}
    between: dict[int, Row] = {}
    visited: set[int] = set()
    todo = list(row["parents"] or ())
    while todo:
        key = todo.pop()
        if key in visited:
            continue
        visited.add(key)
        if key in known:
            deps[key] = known[key]
        elif key in tools:
            between[key] = tools[key]
            todo += tools[key]["parents"] or ()
        elif key in calls:
            todo += calls[key]["parents"] or ()
    return [deps[key] for key in sorted(deps)], [between[key] for key in sorted(between)]


def _event(span: Row) -> Row:
    start_ms, end_ms = round(span["start_ns"] / NS_PER_MS), round(span["end_ns"] / NS_PER_MS)
    event = {
        "tool_call_id": span["tool_call_id"] or f"tool-{span['row_id']}",
        "tool_class": span["name"] or "tool",
        "status": span["status"],
        "started_at_unix_ms": start_ms,
        "ended_at_unix_ms": end_ms,
        "duration_ms": _ms(span["end_ns"] - span["start_ns"]),
    }
    return event | ({"error_type": span["error_type"]} if span["error_type"] else {})


def _number_blocks(ordered: list[Row], block_tokens: int) -> dict[int, _Blocks]:
    """Block ids of every call's prompt and answer, kept as runs."""
    blocks: dict[int, _Blocks] = {}
    next_id = 0
    for row in ordered:
        owner = row["prefix_call_id"] if row["prefix_call_id"] in blocks else None
        shared_tokens = row["prefix_tokens"] or 0 if owner is not None else 0
        whole_prompt = shared_tokens == row["input_tokens"]
        shared = -(-shared_tokens // block_tokens) if whole_prompt else shared_tokens // block_tokens
        count = -(-(row["input_tokens"] + row["output_tokens"]) // block_tokens)
        blocks[row["row_id"]] = _Blocks(owner, shared, next_id)
        next_id += max(count - shared, 0)
    return blocks


def _hash_ids(row: Row, blocks: Mapping[int, _Blocks], block_tokens: int) -> list[int]:
    """The ids of the prompt's blocks, the owner's first."""
    end = -(-row["input_tokens"] // block_tokens)
    runs: list[range] = []
    at: int | None = row["row_id"]
    while end > 0 and at is not None:
        run = blocks[at]
        if end > run.shared:
            runs.append(range(run.first_id, run.first_id + end - run.shared))
            end = run.shared
        at = run.owner
    return [block for run_ids in reversed(runs) for block in run_ids]


def _end_ns(row: Row) -> int:
    return int(row["start_ns"] if row["end_ns"] is None else row["end_ns"])


def _ms(ns: int) -> int | float:
    """Ns as ms, to the ns."""
    whole, rest = divmod(ns, NS_PER_MS)
    return whole if not rest else round(ns / NS_PER_MS, 6)
