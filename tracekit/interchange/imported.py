"""What every format is turned into: sessions, calls and tool spans as rows of a trace, written as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracekit.interchange.prefix_tree import Shared
from tracekit.provenance import Provenance
from tracekit.schema import EdgeSource, Kind, Status
from tracekit.trace import TraceWriter, table_of

_ROWS_HELD = 65_536

Row = dict[str, Any]


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
            "status": self.status.value,
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
        self._writer = writer
        self._next_row = 0
        self._held: dict[Kind, list[Row]] = {Kind.SESSION: [], Kind.LLM_CALL: [], Kind.TOOL_SPAN: []}

    def open_session(self, start_ns: int, **columns: Any) -> ImportedSession:
        """A session that begins; `columns` are of its row."""
        self.sessions += 1
        return ImportedSession(self._row_id(), start_ns, columns)

    def close_session(self, session: ImportedSession) -> None:
        """Its row is written; no step follows."""
        self._hold(Kind.SESSION, session.row())

    def add_call(
        self,
        session: ImportedSession,
        start_ns: int,
        end_ns: int | None,
        *,
        parents: Sequence[int] = (),
        edge_source: EdgeSource = EdgeSource.EXPLICIT,
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
        self._hold(Kind.LLM_CALL, {**step, "status": status.value, **columns})
        return int(step["row_id"])

    def add_tool(
        self,
        session: ImportedSession,
        start_ns: int,
        end_ns: int | None,
        *,
        parents: Sequence[int] = (),
        edge_source: EdgeSource = EdgeSource.EXPLICIT,
        status: Status = Status.OK,
        row_id: int | None = None,
        **columns: Any,
    ) -> int:
        """One tool span; its row id."""
        self.tools += 1
        step = self._step(session, start_ns, end_ns, parents, edge_source, row_id)
        self._hold(Kind.TOOL_SPAN, {**step, "status": status.value, **columns})
        return int(step["row_id"])

    def reserve(self) -> int:
        """A row id for a step that is added later."""
        return self._row_id()

    def finish(self, provenance: Provenance) -> None:
        """The last rows are written, with what the source did not say."""
        for kind in self._held:
            self._write(kind)
        provenance.not_seen.calls_without_tokens = self.calls_without_tokens
        provenance.not_seen.calls_without_end = self.calls_without_end
        self._writer.provenance = provenance

    def _step(
        self,
        session: ImportedSession,
        start_ns: int,
        end_ns: int | None,
        parents: Sequence[int],
        edge_source: EdgeSource,
        row_id: int | None,
    ) -> Row:
        session.cover(start_ns, end_ns)
        return {
            "row_id": self._row_id() if row_id is None else row_id,
            "session_id": session.row_id,
            "start_ns": start_ns,
            "end_ns": end_ns,
            "parents": parents,
            "edge_source": edge_source.value if parents else None,
        }

    def _row_id(self) -> int:
        self._next_row += 1
        return self._next_row - 1

    def _hold(self, kind: Kind, row: Row) -> None:
        held = self._held[kind]
        held.append(row)
        if len(held) == _ROWS_HELD:
            self._write(kind)

    def _write(self, kind: Kind) -> None:
        self._writer.write(table_of(kind, self._held[kind]))
        self._held[kind] = []


def prefix_columns(shared: Shared, block_tokens: int, input_tokens: int) -> Row:
    """Prefix identity as a call's columns; nothing shared is 0 tokens of no call."""
    return {
        "prefix_call_id": shared.call,
        "prefix_tokens": min(shared.blocks * block_tokens, input_tokens),
        "prefix_block_tokens": block_tokens,
    }
