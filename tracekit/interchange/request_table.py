"""Tables with one request a row: CSV or Parquet columns mapped to fields. azure, burstgpt, vidur and requests are such.

A row is a session of one call, unless a session id joins rows; then a call starts after those that had ended
(timing), and the rows of a session must come in order of start.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tracekit.errors import SourceUnreadable
from tracekit.interchange.bad_rows import BadRow
from tracekit.interchange.frontier import Frontier, Step
from tracekit.interchange.imported import ImportedSession, Row
from tracekit.interchange.quantity import (
    NS_PER_MS,
    NS_PER_S,
    instant_ns,
    optional_ns,
    optional_tokens,
)
from tracekit.interchange.reader import Reader
from tracekit.interchange.source import Source
from tracekit.schema import EdgeSource, Status

Parse = Callable[[Any, str], Any]


def _text(value: Any, _name: str) -> str | None:
    text = "" if value is None else str(value).strip()
    return None if text.lower() in ("", "nan", "none", "null") else text


def _instant(value: Any, name: str) -> int | None:
    return None if value is None or value == "" else instant_ns(value, name)


def _times(prefix: str) -> dict[str, Parse]:
    units = {"s": NS_PER_S, "ms": NS_PER_MS, "us": 1000, "ns": 1}
    return {f"{prefix}_{unit}": partial(optional_ns, ns_per_unit=ns) for unit, ns in units.items()}


# what a column can be mapped to; `start` and `end` are dates, the others numbers in the unit they name
FIELDS: Mapping[str, Parse] = {
    "start": _instant,
    "end": _instant,
    **_times("start"),
    **_times("end"),
    **_times("duration"),
    **_times("ttft"),
    **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"), optional_tokens),
    **dict.fromkeys(("session", "model"), _text),
}
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_PARQUET = b"PAR1"


class _Part(NamedTuple):
    """A column in use: its field, its position and name, and how to read it."""

    field: str
    at: int
    name: str
    parse: Parse


class _Times(NamedTuple):
    """Which fields hold a table's times; empty where none does."""

    start: str
    end: str
    duration: str
    ttft: str

    @classmethod
    def among(cls, fields: Iterable[str]) -> _Times:
        found = {field.partition("_")[0]: field for field in fields}
        return cls(*(found.get(prefix, "") for prefix in cls._fields))


class _OpenSession:
    """A session that rows still join."""

    __slots__ = ("frontier", "last_start_ns", "session")

    def __init__(self, session: ImportedSession) -> None:
        self.session = session
        self.frontier = Frontier()
        self.last_start_ns = session.start_ns


class RequestTableReader(Reader):
    """A table whose columns `columns()` maps to fields."""

    columns: ClassVar[Mapping[str, str]] = {}
    optional_columns: frozenset[str] = frozenset()
    usage_source: str | None = "server"

    def read(self, source: Source) -> None:
        """Takes one file, row by row."""
        if source.start() == _PARQUET:
            self._take_all(source, "row", *self._parquet(source))
            return
        with source.text() as lines:
            reader = csv.reader(lines)
            header = self._csv_header(source, reader)
            if header is not None:
                self._take_all(source, "line", header, self._csv_rows(source, reader))

    def finish(self) -> None:
        """Closes the sessions that rows joined."""
        for held in self._sessions.values():
            self.trace.close_session(held.session)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sessions: dict[str, _OpenSession] = {}

    def mapping(self, header: Sequence[str]) -> Mapping[str, str]:
        """Which column is which field, for a table with these columns."""
        return self.columns

    def status(self, _fields: Mapping[str, Any]) -> Status:
        """How the request ended."""
        return Status.OK

    def _csv_header(self, source: Source, reader: Iterator[list[str]]) -> list[str] | None:
        try:
            return next(reader, None)
        except csv.Error as error:
            raise SourceUnreadable.foreign(source.path, self.settings.name, f"{error}", None) from error

    def _csv_rows(self, source: Source, reader: Any) -> Iterator[tuple[int, Sequence[Any]]]:
        while True:
            try:
                for row in reader:
                    if row:
                        yield reader.line_num, row
                return
            except csv.Error as error:
                self.bad_rows.add(source.path, f"line {reader.line_num}", BadRow(f"it is not CSV: {error}"))

    def _parquet(self, source: Source) -> tuple[list[str], Iterator[tuple[int, Sequence[Any]]]]:
        try:
            file = pq.ParquetFile(source.path)
        except (pa.ArrowException, OSError) as error:
            raise SourceUnreadable.damaged(source.path, "its start", str(error).splitlines()[0]) from error
        header = list(file.schema_arrow.names)
        wanted = [name for name in header if name in self.mapping(header)]

        def rows() -> Iterator[tuple[int, Sequence[Any]]]:
            number = 0
            for batch in file.iter_batches(columns=wanted):
                for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, row

        return wanted, rows()

    def _take_all(
        self, source: Source, unit: str, header: Sequence[str], rows: Iterator[tuple[int, Sequence[Any]]]
    ) -> None:
        parts = self._parts(source, header)
        width = len(header)
        times = _Times.among(part.field for part in parts)
        taken, first_fault = 0, None
        for number, row in rows:
            try:
                self._take(_fields(row, parts, width), times)
                taken += 1
            except BadRow as fault:
                self.bad_rows.add(source.path, f"{unit} {number}", fault)
                first_fault = first_fault or fault
        if not taken and first_fault is not None:
            raise SourceUnreadable.foreign(
                source.path,
                self.settings.name,
                f"none of its rows can be used; the first: {first_fault}",
                None,
            )

    def _parts(self, source: Source, header: Sequence[str]) -> list[_Part]:
        places = {name.strip(): at for at, name in enumerate(header)}
        mapping = self.mapping(list(places))
        missing = [name for name in mapping if name not in places and name not in self.optional_columns]
        if missing:
            raise SourceUnreadable.foreign(
                source.path,
                self.settings.name,
                f"it has no column {', '.join(missing)} (it has {', '.join(list(places)[:12])})",
                self.settings.similar(set(places)),
            )
        return [
            _Part(field, places[name], name, FIELDS[field])
            for name, field in mapping.items()
            if name in places
        ]

    def _take(self, fields: dict[str, Any], times: _Times) -> None:
        start_ns, end_ns, first_token_ns = _moments(fields, times)
        columns: Row = {name: fields[name] for name in _TOKENS if fields.get(name) is not None}
        if (model := fields.get("model")) is not None:
            columns["model"] = model
        if first_token_ns is not None:
            columns["first_token_ns"] = first_token_ns
        if self.usage_source is not None:
            columns["usage_source"] = self.usage_source
        status = self.status(fields)
        name = fields.get("session")
        if name is None:
            session = self.trace.open_session(start_ns)
            self.trace.add_call(session, start_ns, end_ns, status=status, **columns)
            self.trace.close_session(session)
            return
        held = self._joined(name, start_ns)
        row_id = self.trace.add_call(
            held.session,
            start_ns,
            end_ns,
            parents=held.frontier.before(start_ns),
            edge_source=EdgeSource.TIMING,
            status=status,
            conversation_id=name,
            **columns,
        )
        held.frontier.add(Step(row_id, start_ns, start_ns if end_ns is None else end_ns))

    def _joined(self, name: str, start_ns: int) -> _OpenSession:
        held = self._sessions.get(name)
        if held is None:
            session = self.trace.open_session(start_ns, conversation_id=name, session_source="conversation")
            held = self._sessions[name] = _OpenSession(session)
        if start_ns < held.last_start_ns:
            raise BadRow("it starts before the row above it in its session; sort the file by start")
        held.last_start_ns = start_ns
        return held


def _fields(row: Sequence[Any], parts: Sequence[_Part], width: int) -> dict[str, Any]:
    if len(row) != width:
        raise BadRow("it has another number of columns than the header", len(row))
    return {field: parse(row[at], name) for field, at, name, parse in parts}


def _moments(fields: Mapping[str, Any], times: _Times) -> tuple[int, int | None, int | None]:
    """Start, end and first token, in ns."""
    start_ns, end_ns = fields.get(times.start), fields.get(times.end)
    duration_ns, ttft_ns = fields.get(times.duration), fields.get(times.ttft)
    if start_ns is None:
        if end_ns is None or duration_ns is None:
            raise BadRow("it has no start")
        start_ns = end_ns - duration_ns
        if start_ns < 0:
            raise BadRow("its duration is longer than the time at which it ends")
    if end_ns is None and duration_ns is not None:
        end_ns = start_ns + duration_ns
    if end_ns is not None and end_ns < start_ns:
        raise BadRow("it ends before it starts")
    return start_ns, end_ns, None if ttft_ns is None else start_ns + ttft_ns
