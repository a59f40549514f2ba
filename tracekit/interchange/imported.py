"""What every format is turned into: sessions, calls and tool spans as rows of a trace, written as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from tracekit.errors import SourceUnreadable
from tracekit.interchange.prefix_tree import Shared
from tracekit.limits import LONGEST_NS
from tracekit.provenance import Provenance
from tracekit.schema import EdgeSource, Kind, Status
from tracekit.trace import TraceWriter, table_of_columns

_ROWS_HELD = 32_768

Row = dict[str, Any]


class _Held:
    """Rows of one kind that wait to be written, as columns: lists of numbers cost no collection of garbage."""

    def __init__(self, kind: Kind) -> None:
        self.count = 0
        self._kind = kind
        self._columns: dict[str, list[Any]] = {}

    def add(self, row: Row) -> None:
        """One more row; columns that it or earlier rows lack are null there."""
        for name, value in row.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = [None] * self.count
            elif len(column) < self.count:
                column.extend([None] * (self.count - len(column)))
            column.append(value)
        self.count += 1

    def take(self, on_unfit: Callable[[str], None]) -> pa.Table:
        """All of them; none is held any longer."""
        for column in self._columns.values():
            column.extend([None] * (self.count - len(column)))
        table = table_of_columns(self._kind, self._columns, self.count, on_unfit)
        self.count, self._columns = 0, {}
        return table


class ImportedSession:
    """A session while its steps come in; its end is known if the step that ends last has one."""

    __slots__ = ("_end_known", "columns", "end_ns", "row_id", "start_ns", "status")

    def __init__(self, row_id: int, start_ns: int, columns: Row) -> None:
        self.row_id = row_id
        self.start_ns = start_ns
        self.end_ns = start_ns
        self.status = Status.OK
        self.columns = columns
        self._end_known = False

    def cover(self, start_ns: int, end_ns: int | None) -> None:
        """Stretches the session over a step."""
        self.start_ns = min(self.start_ns, start_ns)
        last_ns = start_ns if end_ns is None else end_ns
        if last_ns > self.end_ns or (last_ns == self.end_ns and end_ns is not None):
            self.end_ns = last_ns
            self._end_known = end_ns is not None

    def row(self) -> Row:
        return {
            "row_id": self.row_id,
            "session_id": self.row_id,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns if self._end_known else None,
            "status": self.status,
            "origin": "imported",
            **self.columns,
        }


class ImportedTrace:
    """The trace being written; `calls` counts what is in it so far."""

    def __init__(self, writer: TraceWriter) -> None:
        self.sessions = 0
        self.calls = 0
        self.tools = 0
        self.calls_without_tokens = 0
        self.calls_without_end = 0
        self.unfit_values = 0
        self._writer = writer
        self._next_row = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._held_sessions = _Held(Kind.SESSION)
        self._held_calls = _Held(Kind.LLM_CALL)
        self._held_tools = _Held(Kind.TOOL_SPAN)

    def open_session(self, start_ns: int, **columns: Any) -> ImportedSession:
        """A session that begins; `columns` are of its row."""
        self.sessions += 1
        return ImportedSession(self._row_id(), start_ns, columns)

    def close_session(self, session: ImportedSession) -> None:
        """Its row is written; no step follows."""
        self._hold(self._held_sessions, session.row())

    def add_call(
        self,
        session: ImportedSession,
        start_ns: int,
        end_ns: int | None,
        *,
        parents: Sequence[int] = (),
        edge_source: EdgeSource | None = EdgeSource.EXPLICIT,
        status: Status = Status.OK,
        row_id: int | None = None,
        **columns: Any,
    ) -> int:
        """One LLM call; its row id. `columns` are of its row; those left out are unknown."""
        self.calls += 1
        self.calls_without_end += end_ns is None
        if columns.get("input_tokens") is None or columns.get("output_tokens") is None:
            self.calls_without_tokens += 1
        step = self._step(session, start_ns, end_ns, parents, edge_source, row_id)
        self._hold(self._held_calls, {**step, "status": status, **columns})
        return int(step["row_id"])

    def add_tool(
        self,
        session: ImportedSession,
        start_ns: int,
        end_ns: int | None,
        *,
        parents: Sequence[int] = (),
        edge_source: EdgeSource | None = EdgeSource.EXPLICIT,
        status: Status = Status.OK,
        row_id: int | None = None,
        **columns: Any,
    ) -> int:
        """One tool span; its row id."""
        self.tools += 1
        step = self._step(session, start_ns, end_ns, parents, edge_source, row_id)
        self._hold(self._held_tools, {**step, "status": status, **columns})
        return int(step["row_id"])

    def reserve(self) -> int:
        """A row id for a step that is added later."""
        return self._row_id()

    def finish(self, provenance: Provenance) -> None:
        """The last rows are written, with what the source did not say."""
        for held in (self._held_sessions, self._held_calls, self._held_tools):
            self._writer.write(held.take(self._unfit))
        provenance.not_seen.calls_without_tokens = self.calls_without_tokens
        provenance.not_seen.calls_without_end = self.calls_without_end
        provenance.not_seen.unfit_values = self.unfit_values
        self._writer.provenance = provenance

    def _step(
        self,
        session: ImportedSession,
        start_ns: int,
        end_ns: int | None,
        parents: Sequence[int],
        edge_source: EdgeSource | None,
        row_id: int | None,
    ) -> Row:
        self._stretch(start_ns, start_ns if end_ns is None else end_ns)
        session.cover(start_ns, end_ns)
        return {
            "row_id": self._row_id() if row_id is None else row_id,
            "session_id": session.row_id,
            "start_ns": start_ns,
            "end_ns": end_ns,
            "parents": parents,
            "edge_source": edge_source if parents else None,
        }

    def _stretch(self, start_ns: int, end_ns: int) -> None:
        """Raises SourceUnreadable if the trace with a step of these times is longer than a trace may be."""
        self._first_ns = start_ns if self._first_ns is None else min(self._first_ns, start_ns)
        self._last_ns = max(self._last_ns, end_ns)
        if self._last_ns - self._first_ns > LONGEST_NS:
            raise SourceUnreadable.beyond_time(self._last_ns - self._first_ns)

    def _unfit(self, _column: str) -> None:
        self.unfit_values += 1

    def _row_id(self) -> int:
        self._next_row += 1
        return self._next_row - 1

    def _hold(self, held: _Held, row: Row) -> None:
        held.add(row)
        if held.count == _ROWS_HELD:
            self._writer.write(held.take(self._unfit))


def prefix_columns(shared: Shared, block_tokens: int, input_tokens: int) -> Row:
    """Prefix identity as a call's columns; nothing shared is 0 tokens of no call."""
    return {
        "prefix_call_id": shared.call,
        "prefix_tokens": min(shared.blocks * block_tokens, input_tokens),
        "prefix_block_tokens": block_tokens,
    }
