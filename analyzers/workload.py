"""From a trace to the flat arrays that the replay kernel reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tracekit.analyzers.columns import Flags, Lists, codes, flags, ints, lists
from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints, StepKind, Workload
from tracekit.analyzers.prefix_identity import prefix_identity
from tracekit.analyzers.row_faults import (
    refuse_bad_spans,
    refuse_bad_tokens,
    refuse_repeated_rows,
    refuse_unknown_sessions,
    refuse_unknown_starts,
)
from tracekit.analyzers.stream_position import stream_positions
from tracekit.errors import TraceEmpty, TraceUnreadable
from tracekit.schema import Kind
from tracekit.trace import Trace

_ANSWERED = ("ok", "cancelled")


@dataclass(frozen=True)
class Compiled:
    """A workload, and what its rows are in the trace.

    `row_id` (n,) is each step's row in the file and `start_s` (n,) its recorded start since its session's;
    `session_row_id` (s,) is each session's row. The counts say what could not be replayed as it is in the trace,
    and is a gap of its recorded length, moved, or left out; `inner_starts` are steps that start inside another.
    """

    workload: Workload
    row_id: Ints
    start_s: Floats
    session_row_id: Ints
    origin_ns: int
    unanswered_calls: int
    calls_without_tokens: int
    calls_estimated: int
    embedding_calls: int
    dropped_attempts: int
    inner_starts: int
    early_starts: int
    zero_token_calls: int
    steps_without_end: int
    steps_without_session: int

    @property
    def calls(self) -> int:
        return int(np.count_nonzero(self.workload.kind == StepKind.CALL))


class _Sessions(NamedTuple):
    """Sessions in order of arrival, each of shape (s,); an unknown end is the start."""

    row_id: Ints
    start_ns: Ints
    end_ns: Ints


class _Steps(NamedTuple):
    """Calls or tools as columns, each of shape (n,); `session` is an index into the sessions."""

    row_id: Ints
    session: Ints
    kind: Ints
    start_ns: Ints
    end_ns: Ints
    input_tokens: Ints
    output_tokens: Ints
    model: Ints  # place among the names; NOBODY: not known, or no call


class _Openings(NamedTuple):
    """When each edge let its child start, its lag aside, each of shape (m,)."""

    is_inner: Flags
    open_ns: Ints
    token: Ints


class _Edges(NamedTuple):
    """Which step (its row_id) starts after which, each of shape (m,)."""

    child_row: Ints
    parent_row: Ints


def compile_workload(trace: Trace) -> Compiled:
    """The trace's sessions as graphs of steps.

    Raises
    ------
    TraceEmpty : it has no LLM call with token counts, or none of them belongs to a session.
    TraceUnreadable : a parent is missing or starts after its child, or a row cannot be (`row_faults`).
    """
    calls, tools = trace.rows(Kind.LLM_CALL, _CALL_COLUMNS), trace.rows(Kind.TOOL_SPAN, _TOOL_COLUMNS)
    answered = _is(calls, "status", _ANSWERED)
    embeds = _is(calls, "api", ("embeddings",))
    counted = ints(calls, "input_tokens").known & ints(calls, "output_tokens").known & ~embeds
    if not np.any(answered & counted):
        raise TraceEmpty.of(trace.path, "LLM call with token counts", "A replay needs at least one.")
    sessions = _sessions(trace)
    steps = _in_order(
        _call_steps(trace, calls, answered & counted, sessions), _tool_steps(trace, tools, sessions)
    )
    steps, sessions = _without_idle_sessions(steps, sessions)
    if not np.any(steps.kind == StepKind.CALL):
        raise TraceEmpty.of(
            trace.path, "LLM call with token counts in a session", "A replay needs at least one."
        )
    _refuse_faults(trace, steps, sessions)
    edges = _edges(calls, tools, steps)
    workload = _with_models(_workload(trace, steps, edges, sessions), steps, codes(calls, "model")[1])
    return Compiled(
        workload=workload,
        row_id=steps.row_id,
        start_s=(steps.start_ns - sessions.start_ns[steps.session]) / 1e9,
        session_row_id=sessions.row_id,
        origin_ns=int(sessions.start_ns[0]),
        unanswered_calls=int(np.count_nonzero(~answered)),
        calls_without_tokens=int(np.count_nonzero(answered & ~counted & ~embeds)),
        calls_estimated=int(
            np.count_nonzero(answered & counted & _is(calls, "usage_source", ("estimated",)))
        ),
        embedding_calls=int(np.count_nonzero(answered & embeds)),
        dropped_attempts=int(np.sum(ints(calls, "attempt_count").filled(1) - 1)),
        inner_starts=_inner_starts(workload),
        early_starts=_early_starts(workload, steps, sessions),
        zero_token_calls=_zero_token_calls(steps),
        steps_without_end=_steps_without_end(calls, tools, steps),
        steps_without_session=_without_session(calls) + _without_session(tools),
    )


def as_recorded(workload: Workload) -> Workload:
    """The same graph with every call as a gap of its recorded length: replaying it returns the recording."""
    kind = np.where(workload.kind == StepKind.CALL, np.int8(StepKind.GAP), workload.kind).astype(np.int8)
    return workload._replace(kind=kind)


_STEP_COLUMNS = ("row_id", "session_id", "start_ns", "end_ns", "parents")
_CALL_COLUMNS = (
    *_STEP_COLUMNS,
    "status",
    "api",
    "usage_source",
    "input_tokens",
    "output_tokens",
    "attempt_count",
    "model",
)
_TOOL_COLUMNS = (*_STEP_COLUMNS, "frame", "inside_id")


def _is(calls: pa.Table, name: str, wanted: tuple[str, ...]) -> Flags:
    indices, words = codes(calls, name)
    return np.array([word in wanted for word in words] + [False])[indices]


def _sessions(trace: Trace) -> _Sessions:
    table = trace.rows(Kind.SESSION, ["row_id", "start_ns", "end_ns"])
    row_id, start_ns = ints(table, "row_id").values, ints(table, "start_ns").values
    order = np.lexsort((row_id, start_ns))
    return _Sessions(row_id[order], start_ns[order], ints(table, "end_ns").filled(start_ns)[order])


def _call_steps(trace: Trace, calls: pa.Table, replayable: Flags, sessions: _Sessions) -> _Steps:
    """Calls that belong to a session; those that cannot be replayed as calls are gaps."""
    kind = np.where(replayable, StepKind.CALL, StepKind.GAP).astype(np.int64)
    prompt, output = (
        np.where(replayable, ints(calls, name).values, 0) for name in ("input_tokens", "output_tokens")
    )
    keep, model = ints(calls, "session_id").known, codes(calls, "model")[0]
    return _steps(trace, calls, keep, sessions, kind, prompt, output, model)


def _tool_steps(trace: Trace, tools: pa.Table, sessions: _Sessions) -> _Steps:
    """Tools that belong to a session and are neither frames around other steps nor parts of another tool."""
    keep = ints(tools, "session_id").known & ~flags(tools, "frame") & ~ints(tools, "inside_id").known
    none = np.zeros(tools.num_rows, np.int64)
    kind = np.full(tools.num_rows, StepKind.TOOL, np.int64)
    return _steps(trace, tools, keep, sessions, kind, none, none, none + NOBODY)


def _with_models(workload: Workload, steps: _Steps, names: list[str]) -> Workload:
    """The workload with the models that its calls asked for; a column of them only where they differ."""
    of_calls = np.unique(steps.model[steps.kind == StepKind.CALL])
    if of_calls.size == 1:
        return workload._replace(models=tuple(names[place] for place in of_calls if place != NOBODY))
    return workload._replace(model=steps.model.astype(np.int32), models=tuple(names))


def _steps(
    trace: Trace,
    table: pa.Table,
    keep: Flags,
    sessions: _Sessions,
    kind: Ints,
    inputs: Ints,
    outputs: Ints,
    model: Ints,
) -> _Steps:
    start_ns, known = ints(table, "start_ns")
    refuse_unknown_starts(trace.path, ints(table, "row_id").values, known)
    columns = _Steps(
        row_id=ints(table, "row_id").values,
        session=ints(table, "session_id").values,
        kind=kind,
        start_ns=start_ns,
        end_ns=ints(table, "end_ns").filled(start_ns),
        input_tokens=inputs,
        output_tokens=outputs,
        model=model,
    )
    kept = _Steps(*(column[keep] for column in columns))
    refuse_unknown_sessions(trace.path, kept.row_id, kept.session, sessions.row_id)
    return kept._replace(session=_positions(sessions.row_id, kept.session))


def _in_order(calls: _Steps, tools: _Steps) -> _Steps:
    """Both together, by session, start, end, row."""
    both = _Steps(*(np.concatenate([*pair]) for pair in zip(calls, tools, strict=True)))
    order = np.lexsort((both.row_id, both.end_ns, both.start_ns, both.session))
    return _Steps(*(column[order] for column in both))


def _without_idle_sessions(steps: _Steps, sessions: _Sessions) -> tuple[_Steps, _Sessions]:
    """Sessions that hold no step have nothing to replay."""
    has_steps = np.bincount(steps.session, minlength=len(sessions.row_id)) > 0
    places = np.cumsum(has_steps) - 1
    return steps._replace(session=places[steps.session]), _Sessions(
        *(column[has_steps] for column in sessions)
    )


def _refuse_faults(trace: Trace, steps: _Steps, sessions: _Sessions) -> None:
    """Raises TraceUnreadable if a row that would be replayed cannot be."""
    refuse_repeated_rows(trace.path, np.concatenate([sessions.row_id, steps.row_id]))
    refuse_bad_tokens(trace.path, steps.row_id, steps.input_tokens, steps.output_tokens)
    refuse_bad_spans(
        trace.path, *(np.concatenate([getattr(rows, name) for rows in (sessions, steps)]) for name in _SPAN)
    )


_SPAN = ("row_id", "start_ns", "end_ns")


def _zero_token_calls(steps: _Steps) -> int:
    empty = (steps.input_tokens == 0) | (steps.output_tokens == 0)
    return int(np.count_nonzero(empty & (steps.kind == StepKind.CALL)))


def _steps_without_end(calls: pa.Table, tools: pa.Table, steps: _Steps) -> int:
    """Tools and gaps, which keep their recorded length, of which that is not known."""
    endless = [ints(table, "row_id").values[~ints(table, "end_ns").known] for table in (calls, tools)]
    keeps_length = steps.row_id[steps.kind != StepKind.CALL]
    return int(np.count_nonzero(np.isin(keeps_length, np.concatenate(endless))))


def _without_session(table: pa.Table) -> int:
    return int(np.count_nonzero(~ints(table, "session_id").known))


def _edges(calls: pa.Table, tools: pa.Table, steps: _Steps) -> _Edges:
    """The edges into the steps at hand."""
    found = [_table_edges(ints(table, "row_id").values, lists(table, "parents")) for table in (calls, tools)]
    child_row, parent_row = (np.concatenate(pair) for pair in zip(*found, strict=True))
    keep = np.isin(child_row, steps.row_id)
    return _Edges(child_row[keep], parent_row[keep])


def _table_edges(row_id: Ints, parents: Lists) -> _Edges:
    return _Edges(
        np.repeat(row_id, np.diff(parents.offsets)), parents.values[parents.offsets[0] : parents.offsets[-1]]
    )


def _workload(trace: Trace, steps: _Steps, edges: _Edges, sessions: _Sessions) -> Workload:
    count = len(steps.row_id)
    child = _positions(steps.row_id, edges.child_row)
    parent = _parent_positions(trace, steps.row_id, edges)
    _refuse_bad_edges(trace, steps, parent, child)
    parent_count = np.bincount(child, minlength=count).astype(np.int32)
    openings = _openings(trace, steps, parent, child)
    lag_ns = _lags_ns(steps, child, openings.open_ns, sessions)
    last_end_ns = sessions.start_ns.copy()
    np.maximum.at(last_end_ns, steps.session, steps.end_ns)
    by_parent = np.lexsort((child, parent))
    inner = by_parent[openings.is_inner[by_parent]]
    around = parent[inner]
    prefix_parent, prefix_tokens = _prefixes(trace, steps)
    return Workload(
        session_arrival_s=(sessions.start_ns - sessions.start_ns[0]) / 1e9,
        session_tail_s=np.maximum(sessions.end_ns - last_end_ns, 0) / 1e9,
        session_step_start=np.searchsorted(steps.session, np.arange(len(sessions.row_id) + 1)).astype(
            np.int64
        ),
        kind=steps.kind.astype(np.int8),
        session=steps.session.astype(np.int32),
        input_tokens=steps.input_tokens.astype(np.int32),
        output_tokens=steps.output_tokens.astype(np.int32),
        duration_s=(steps.end_ns - steps.start_ns) / 1e9,
        lag_s=np.maximum(lag_ns, 0) / 1e9,
        parent_count=parent_count,
        child_start=np.searchsorted(parent[by_parent], np.arange(count + 1)).astype(np.int32),
        child_index=child[by_parent].astype(np.int32),
        prefix_parent=prefix_parent.astype(np.int32),
        prefix_tokens=prefix_tokens.astype(np.int32),
        inner_edge=np.flatnonzero(openings.is_inner[by_parent]).astype(np.int32),
        inner_token=openings.token[inner].astype(np.int32),
        inner_fraction=(openings.open_ns[inner] - steps.start_ns[around])
        / (steps.end_ns[around] - steps.start_ns[around]),
    )


def _openings(trace: Trace, steps: _Steps, parent: Ints, child: Ints) -> _Openings:
    """An edge opens at its parent's end, or where its child starts inside the parent: at the call's latest token.

    Of a tool or gap nothing is known but its length, so there it opens when the child starts.
    """
    start_ns = steps.start_ns[child]
    is_inner = start_ns < steps.end_ns[parent]
    open_ns, token = np.minimum(start_ns, steps.end_ns[parent]), np.zeros(len(parent), np.int64)
    in_call = np.flatnonzero(is_inner & (steps.kind[parent] == StepKind.CALL))
    positions = stream_positions(trace, steps.row_id[parent[in_call]], start_ns[in_call])
    open_ns[in_call], token[in_call] = positions.since_ns, positions.token
    return _Openings(is_inner, open_ns, token)


def _inner_starts(workload: Workload) -> int:
    return len(np.unique(workload.child_index[workload.inner_edge]))


def _early_starts(workload: Workload, steps: _Steps, sessions: _Sessions) -> int:
    """Steps that wait for none, and began before their session."""
    is_early = steps.start_ns < sessions.start_ns[steps.session]
    return int(np.count_nonzero(is_early & (workload.parent_count == 0)))


def _refuse_bad_edges(trace: Trace, steps: _Steps, parent: Ints, child: Ints) -> None:
    for is_bad, words in (
        (parent >= child, "which starts no earlier: the two wait for each other, or a time is wrong"),
        (steps.session[parent] != steps.session[child], "which is in another session"),
    ):
        if np.any(is_bad):
            waiting, waited_for = (int(steps.row_id[ends[np.argmax(is_bad)]]) for ends in (child, parent))
            raise TraceUnreadable.bad_row(trace.path, waiting, f"it starts after row {waited_for}, {words}")


def _prefixes(trace: Trace, steps: _Steps) -> tuple[Ints, Ints]:
    """Each step's prefix parent as a step, NOBODY if it has none, and the tokens shared with it."""
    call = np.flatnonzero(steps.kind == StepKind.CALL)
    parent_row, shared = prefix_identity(trace, steps.row_id[call])
    parent, tokens = np.full(len(steps.kind), NOBODY, np.int64), np.zeros(len(steps.kind), np.int64)
    has_parent = call[parent_row != NOBODY]
    parent[has_parent] = _positions(steps.row_id, parent_row[parent_row != NOBODY])
    tokens[call] = shared
    return parent, tokens


def _lags_ns(steps: _Steps, child: Ints, open_ns: Ints, sessions: _Sessions) -> Ints:
    """From when its last edge was open, or the session's start, to each step's start."""
    latest_ns = sessions.start_ns[steps.session]
    latest_ns[child] = np.iinfo(np.int64).min
    np.maximum.at(latest_ns, child, open_ns)
    return steps.start_ns - latest_ns


def _positions(rows: Ints, wanted: Ints) -> Ints:
    """Index of each of `wanted` in `rows`; all must be there."""
    order = np.argsort(rows)
    return order[np.searchsorted(rows[order], wanted)].astype(np.int64)


def _parent_positions(trace: Trace, rows: Ints, edges: _Edges) -> Ints:
    order, wanted = np.argsort(rows), edges.parent_row
    found = np.minimum(np.searchsorted(rows[order], wanted), max(len(rows) - 1, 0))
    if len(wanted) and np.any(rows[order][found] != wanted):
        orphan = int(np.argmax(rows[order][found] != wanted))
        missing = "null" if wanted[orphan] == NOBODY else f"row {wanted[orphan]}"
        raise TraceUnreadable.bad_row(
            trace.path,
            int(edges.child_row[orphan]),
            f"it starts after {missing}, which is no step that is replayed",
        )
    return order[found].astype(np.int64)
