"""A trace session by session: each with its calls and tools in order of start, one session in memory at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pyarrow as pa

from tracekit.schema import Kind
from tracekit.trace import ROWS_PER_PIECE, Trace

Row = dict[str, Any]
_Key = tuple[bool, int]

_SESSION, _CALL, _TOOL = range(3)


class SessionSteps(NamedTuple):
    """One session; `session` is None for a step that belongs to none, which then stands alone."""

    session: Row | None
    calls: list[Row]
    tools: list[Row]


def session_steps(
    trace: Trace,
    session_columns: Sequence[str] = (),
    call_columns: Sequence[str] = (),
    tool_columns: Sequence[str] = (),
) -> Iterator[SessionSteps]:
    """Every session, in order of row id; row_id, session_id, start_ns and end_ns are always among the columns.

    Of a trace, only these columns are in memory as a whole, in Arrow's form.
    """
    streams = (
        _keyed(trace, Kind.SESSION, session_columns, _SESSION),
        _keyed(trace, Kind.LLM_CALL, call_columns, _CALL),
        _keyed(trace, Kind.TOOL_SPAN, tool_columns, _TOOL),
    )
    merged = heapq.merge(*streams, key=lambda item: item[:2])
    for _key, group in groupby(merged, key=lambda item: item[0]):
        parts: tuple[list[Row], list[Row], list[Row]] = ([], [], [])
        for _owner, stream, row in group:
            parts[stream].append(row)
        yield SessionSteps(parts[_SESSION][0] if parts[_SESSION] else None, parts[_CALL], parts[_TOOL])


def _keyed(trace: Trace, kind: Kind, columns: Sequence[str], stream: int) -> Iterator[tuple[_Key, int, Row]]:
    """The rows with the session they belong to; steps of no session come last, each for itself."""
    of_session = kind is Kind.SESSION
    needed = ("row_id", "start_ns", "end_ns", *(() if of_session else ("session_id",)))
    table = trace.rows(kind, list(dict.fromkeys((*needed, *columns))))
    owner = "row_id" if of_session else "session_id"
    order = [(owner, "ascending"), ("start_ns", "ascending"), ("row_id", "ascending")]
    for row in _in_order(table, list(dict.fromkeys(order))):
        session = row[owner]
        yield ((False, session) if session is not None else (True, row["row_id"])), stream, row


def _in_order(table: pa.Table, order: list[tuple[str, str]]) -> Iterator[Row]:
    ordered = table.sort_by(order)
    for start in range(0, ordered.num_rows, ROWS_PER_PIECE):
        yield from ordered.slice(start, ROWS_PER_PIECE).to_pylist()


def session_name(session: Row) -> str:
    """What a session is called: its name, its conversation, or its row."""
    return str(session["name"] or session["conversation_id"] or f"session {session['row_id']}")
