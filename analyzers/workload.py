"""From a trace to the flat arrays that the replay kernel reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracekit.analyzers.kernels.layout import Ints, StepKind, Workload
from tracekit.errors import TraceEmpty, TraceUnreadable
from tracekit.schema import Kind
from tracekit.trace import Trace

_ANSWERED = ("ok", "cancelled")


@dataclass(frozen=True)
class Compiled:
    """A workload, and what its rows are in the trace.

    `row_id` (n,) is each step's row in the file; `session_row_id` (s,) each session's. The counts say what
    could not be replayed as an LLM call and stays a gap of its recorded length.
    """

    workload: Workload
    row_id: Ints
    session_row_id: Ints
    origin_ns: int
    unanswered_calls: int
    calls_without_tokens: int
    dropped_attempts: int
    early_starts: int

    @property
    def calls(self) -> int:
        return int(np.count_nonzero(self.workload.kind == StepKind.CALL))


@dataclass(frozen=True)
class _Steps:
    """Every step of the trace as columns, in the order of the workload."""

    row_id: Ints
    session_row_id: Ints
    kind: npt.NDArray[np.int8]
    start_ns: Ints
    end_ns: Ints
    input_tokens: Ints
    output_tokens: Ints
    parents: list[Ints]


def compile_workload(trace: Trace) -> Compiled:
    """The trace's sessions as graphs of steps.

    Raises
    ------
    TraceEmpty : it has no LLM call with token counts.
    TraceUnreadable : a parent is missing, or starts after its child.
    """
    calls = trace.rows(
        Kind.LLM_CALL,
        ["row_id", "session_id", "start_ns", "end_ns", "status", "parents", "input_tokens", "output_tokens", "attempt_count"],
    )
    tools = trace.rows(Kind.TOOL_SPAN, ["row_id", "session_id", "start_ns", "end_ns", "parents", "frame"])
    answered = np.isin(_texts(calls, "status"), _ANSWERED)
    counted = _known(calls, "input_tokens") & _known(calls, "output_tokens")
    if not np.any(answered & counted):
        raise TraceEmpty.of(trace.path, "LLM call with token counts", "A replay needs at least one.")
    sessions = _session_columns(trace)
    steps = _ordered_steps(calls, answered & counted, tools, sessions)
    workload, early_starts = _arrays(trace, steps, sessions)
    attempts = _ints(calls, "attempt_count", 1)
    return Compiled(
        workload=workload,
        row_id=steps.row_id,
        session_row_id=sessions["row_id"],
        origin_ns=int(sessions["start_ns"][0]),
        unanswered_calls=int(np.count_nonzero(~answered)),
        calls_without_tokens=int(np.count_nonzero(answered & ~counted)),
        dropped_attempts=int(np.sum(attempts - 1)),
        early_starts=early_starts,
    )


def as_recorded(workload: Workload) -> Workload:
    """The same graph with every call as a gap of its recorded length: replaying it returns the recording."""
    kind = np.where(workload.kind == StepKind.CALL, np.int8(StepKind.GAP), workload.kind).astype(np.int8)
    return workload._replace(kind=kind)


def _session_columns(trace: Trace) -> dict[str, Ints]:
    """Sessions in order of arrival: row_id, start_ns, end_ns (the start where unknown)."""
    table = trace.rows(Kind.SESSION, ["row_id", "start_ns", "end_ns"])
    start_ns = _ints(table, "start_ns")
    columns = {"row_id": _ints(table, "row_id"), "start_ns": start_ns, "end_ns": _filled(table, "end_ns", start_ns)}
    order = np.lexsort((columns["row_id"], columns["start_ns"]))
    return {name: values[order] for name, values in columns.items()}


def _ordered_steps(calls: pa.Table, replayable: npt.NDArray[np.bool_], tools: pa.Table, sessions: dict[str, Ints]) -> _Steps:
    """Calls and tools together, by session, start, row; frames around steps and rows outside sessions left out."""
    inside = [~_flags(calls, None) & _known(calls, "session_id"), ~_flags(tools, "frame") & _known(tools, "session_id")]
    call_kind = np.where(replayable, StepKind.CALL, StepKind.GAP)
    tool_kind = np.full(tools.num_rows, StepKind.TOOL)

    def both(name: str, fill: int = 0) -> Ints:
        return np.concatenate(
            [_ints(table, name, fill)[keep] for table, keep in zip((calls, tools), inside, strict=True)]
        )

    kind = np.concatenate([call_kind[inside[0]], tool_kind[inside[1]]]).astype(np.int8)
    start_ns = both("start_ns")
    end_ns = np.concatenate([_filled(table, "end_ns", _ints(table, "start_ns"))[keep] for table, keep in zip((calls, tools), inside, strict=True)])
    tool_count = int(np.count_nonzero(inside[1]))
    input_tokens = np.concatenate([_ints(calls, "input_tokens")[inside[0]], np.zeros(tool_count, np.int64)])
    output_tokens = np.concatenate([_ints(calls, "output_tokens")[inside[0]], np.zeros(tool_count, np.int64)])
    parents = [row for table, keep in zip((calls, tools), inside, strict=True) for row in _lists(table, "parents", keep)]
    row_id, session_row_id = both("row_id"), both("session_id")
    position = _positions(sessions["row_id"], session_row_id)
    order = np.lexsort((row_id, start_ns, position))
    replayed = kind == StepKind.CALL
    return _Steps(
        row_id=row_id[order],
        session_row_id=session_row_id[order],
        kind=kind[order],
        start_ns=start_ns[order],
        end_ns=end_ns[order],
        input_tokens=np.where(replayed, input_tokens, 0)[order],
        output_tokens=np.where(replayed, output_tokens, 0)[order],
        parents=[parents[index] for index in order],
    )


def _arrays(trace: Trace, steps: _Steps, sessions: dict[str, Ints]) -> tuple[Workload, int]:
    count = len(steps.row_id)
    session = _positions(sessions["row_id"], steps.session_row_id)
    parent_count = np.array([len(parents) for parents in steps.parents], dtype=np.int64)
    child = np.repeat(np.arange(count), parent_count)
    parent_rows = np.concatenate([*steps.parents, np.empty(0, np.int64)])
    parent = _parent_positions(trace, steps.row_id, parent_rows)
    if np.any(parent >= child):
        bad = int(steps.row_id[child[np.argmax(parent >= child)]])
        raise TraceUnreadable.damaged(trace.path, f"step {bad} starts before one of its parents")
    origin_ns = sessions["start_ns"][0]
    latest_parent_end_ns = sessions["start_ns"][session].copy()
    latest_parent_end_ns[parent_count > 0] = np.iinfo(np.int64).min
    np.maximum.at(latest_parent_end_ns, child, steps.end_ns[parent])
    lag_ns = steps.start_ns - latest_parent_end_ns
    last_end_ns = sessions["start_ns"].copy()
    np.maximum.at(last_end_ns, session, steps.end_ns)
    by_parent = np.lexsort((child, parent))
    workload = Workload(
        session_arrival_s=(sessions["start_ns"] - origin_ns) / 1e9,
        session_tail_s=np.maximum(sessions["end_ns"] - last_end_ns, 0) / 1e9,
        session_step_start=np.searchsorted(session, np.arange(len(sessions["row_id"]) + 1)).astype(np.int64),
        kind=steps.kind,
        session=session,
        input_tokens=steps.input_tokens,
        output_tokens=steps.output_tokens,
        duration_s=(steps.end_ns - steps.start_ns) / 1e9,
        lag_s=np.maximum(lag_ns, 0) / 1e9,
        parent_count=parent_count,
        child_start=np.searchsorted(parent[by_parent], np.arange(count + 1)).astype(np.int64),
        child_index=child[by_parent].astype(np.int64),
    )
    return workload, int(np.count_nonzero(lag_ns < 0))


def _positions(rows: Ints, wanted: Ints) -> Ints:
    """Index of each of `wanted` in `rows`; all must be there."""
    order = np.argsort(rows)
    return order[np.searchsorted(rows[order], wanted)].astype(np.int64)


def _parent_positions(trace: Trace, rows: Ints, wanted: Ints) -> Ints:
    order = np.argsort(rows)
    found = np.minimum(np.searchsorted(rows[order], wanted), max(len(rows) - 1, 0))
    if len(wanted) and np.any(rows[order][found] != wanted):
        missing = int(wanted[np.argmax(rows[order][found] != wanted)])
        raise TraceUnreadable.damaged(trace.path, f"a step starts after row {missing}, which is no step of the trace")
    return order[found].astype(np.int64)


def _ints(table: pa.Table, name: str, fill: int = 0) -> Ints:
    return table.column(name).fill_null(fill).to_numpy().astype(np.int64)


def _filled(table: pa.Table, name: str, fill: Ints) -> Ints:
    return np.where(_known(table, name), _ints(table, name), fill)


def _known(table: pa.Table, name: str) -> npt.NDArray[np.bool_]:
    return np.asarray(table.column(name).is_valid().to_numpy(), dtype=np.bool_)


def _flags(table: pa.Table, name: str | None) -> npt.NDArray[np.bool_]:
    if name is None:
        return np.zeros(table.num_rows, np.bool_)
    return np.asarray(table.column(name).fill_null(False).to_numpy(), dtype=np.bool_)


def _texts(table: pa.Table, name: str) -> Any:
    return np.array(table.column(name).to_pylist(), dtype=object)


def _lists(table: pa.Table, name: str, keep: npt.NDArray[np.bool_]) -> list[Ints]:
    empty = np.empty(0, np.int64)
    rows = table.column(name).to_pylist()
    return [np.array(row, np.int64) if row else empty for row, kept in zip(rows, keep, strict=True) if kept]
