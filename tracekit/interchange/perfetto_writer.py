"""A trace as native Perfetto track events, which ui.perfetto.dev opens.

A session is a process. Its tracks: the session itself, one for each LLM call that runs beside others, one for each
tool likewise, so that what overlaps never nests. Inside a call lies the wait for its first token. Arrows go from a
step to those that start after it. Power and the server's own metrics are counters, a process for each host. Times
are the trace's Unix ns. The messages: https://perfetto.dev/docs/reference/trace-packet-proto
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow.compute as pc

from tracekit.errors import TraceEmpty
from tracekit.interchange.exported import Exported, cut
from tracekit.interchange.lanes import Lanes
from tracekit.interchange.protobuf import double, fixed64, message, signed, text, unsigned
from tracekit.interchange.session_steps import Row, SessionSteps, session_name, session_steps
from tracekit.schema import Kind
from tracekit.trace import Trace

_SESSION = ("status", "name", "conversation_id", "agent_name", "score")
_CALL = (
    "parents", "status", "error_type", "api", "model", "stream", "finish_reason", "first_token_ns", "input_tokens",
    "cached_tokens", "output_tokens", "reasoning_tokens", "usage_source", "attempt_count",
)  # fmt: skip
_TOOL = ("parents", "status", "error_type", "name", "tool_call_id", "tool_source", "confidence")
_STRUCTURE = frozenset({"row_id", "session_id", "start_ns", "end_ns", "parents", "first_token_ns"})

_BEGIN, _END, _INSTANT, _COUNTER = 1, 2, 3, 4
_STATE_CLEARED, _NEEDS_STATE = 1, 2
_REALTIME, _BOOTTIME = 1, 6
_BY_RANK = 3
_SEQUENCE = 1
_MOST_INTERNED = 50_000


class _Counter(NamedTuple):
    """A column drawn as a curve."""

    column: str
    label: str
    unit: str


_CURVES: dict[Kind, tuple[_Counter, ...]] = {
    Kind.POWER_SAMPLE: (
        _Counter("power_w", "power", "W"),
        _Counter("utilization_gpu", "utilization", "share"),
        _Counter("memory_used_bytes", "memory", "bytes"),
    ),
    Kind.ENGINE_SAMPLE: (
        _Counter("running_requests", "running", "requests"),
        _Counter("waiting_requests", "waiting", "requests"),
        _Counter("kv_fraction", "KV cache in use", "share"),
    ),
}
_SAMPLED: dict[Kind, tuple[str, ...]] = {
    Kind.POWER_SAMPLE: ("device", "device_name", "gpu_index", "gpu_name"),
    Kind.ENGINE_SAMPLE: ("engine", "endpoint"),
}


def export(trace: Trace) -> Exported:
    """The packets of `trace`.

    Raises
    ------
    TraceEmpty : nothing in it has a time.
    """
    starts = [
        pc.min(trace.rows(kind, ["start_ns"])["start_ns"]).as_py() for kind in Kind if trace.count(kind)
    ]
    if not starts:
        raise TraceEmpty.of(trace.path, "row", "There is nothing to draw.")
    return Exported(
        _packets(trace, min(starts)), ["open it in https://ui.perfetto.dev; it stays on your machine"]
    )


def _packets(trace: Trace, first_ns: int) -> Iterator[bytes]:
    writer = _Writer()
    yield writer.clocks(first_ns)
    for part in session_steps(trace, _SESSION, _CALL, _TOOL):
        yield from _session(writer, part)
    for kind in _CURVES:
        yield from _curves(writer, trace, kind)
    yield from _marks(writer, trace)


class _Writer:
    """One packet sequence: its track ids and its interned names."""

    def __init__(self) -> None:
        self._tracks = 0
        self._processes = 0
        self._flows = 0
        self._names: dict[str, int] = {}
        self._keys: dict[str, int] = {}

    def clocks(self, at_ns: int) -> bytes:
        """Says that the trace's time is the wall clock's."""
        clocks = [message(1, unsigned(1, clock), unsigned(2, at_ns)) for clock in (_REALTIME, _BOOTTIME)]
        return _packet(message(6, *clocks), unsigned(13, _STATE_CLEARED))

    def process(self, name: str) -> tuple[int, bytes]:
        """A process: its track, and the packet that declares it."""
        self._processes += 1
        process = message(3, unsigned(1, self._processes), text(6, cut(name)))
        return self._track(text(2, cut(name)), process, unsigned(11, _BY_RANK))

    def track(self, parent: int, name: str, rank: int) -> tuple[int, bytes]:
        """A track for slices under a process."""
        return self._track(unsigned(5, parent), text(2, cut(name)), unsigned(12, rank))

    def counter(self, parent: int, name: str, unit: str, rank: int) -> tuple[int, bytes]:
        """A track for a curve."""
        return self._track(
            unsigned(5, parent), text(2, cut(name)), unsigned(12, rank), message(8, text(6, unit))
        )

    def _track(self, *fields: bytes) -> tuple[int, bytes]:
        self._tracks += 1
        return self._tracks, _packet(message(60, unsigned(1, self._tracks), *fields))

    def flow(self) -> int:
        """The id of a new arrow."""
        self._flows += 1
        return self._flows

    def event(
        self, kind: int, track: int, at_ns: int, name: str, said: Mapping[str, Any], *extra: bytes
    ) -> bytes:
        """A slice's begin, or an instant, with what is said about it."""
        new: list[bytes] = []
        fields = [
            _KINDS[kind],
            unsigned(11, track),
            self._interned(self._names, cut(name), 2, 10, 23, new),
        ]
        for key, value in said.items():
            named = self._interned(self._keys, key, 3, 1, 10, new)
            fields.append(message(4, named, _annotation(value)))
        body = [unsigned(8, at_ns), message(11, *fields, *extra), _NEEDING_STATE]
        return _packet(*([message(12, *new)] if new else []), *body)

    @staticmethod
    def _interned(
        known: dict[str, int], words: str, table: int, by_id: int, by_name: int, new: list[bytes]
    ) -> bytes:
        """The field that refers to `words`; where too many are known, the words themselves."""
        if (number := known.get(words)) is None:
            if len(known) >= _MOST_INTERNED:
                return text(by_name, words)
            number = known[words] = len(known) + 1
            new.append(message(table, unsigned(1, number), text(2, words)))
        return unsigned(by_id, number)


_OF_SEQUENCE = unsigned(10, _SEQUENCE)
_NEEDING_STATE = unsigned(13, _NEEDS_STATE)
_KINDS = {kind: unsigned(9, kind) for kind in (_BEGIN, _END, _INSTANT, _COUNTER)}


def _packet(*fields: bytes) -> bytes:
    return message(1, _OF_SEQUENCE, *fields)


def _annotation(value: Any) -> bytes:
    if isinstance(value, bool):
        return unsigned(2, value)
    if isinstance(value, int):
        return signed(4, value)
    if isinstance(value, float):
        return double(5, value)
    return text(6, cut(str(value)))


def _end(track: int, at_ns: int) -> bytes:
    return _packet(unsigned(8, at_ns), message(11, _KINDS[_END], unsigned(11, track)))


def _point(track: int, at_ns: int, value: float) -> bytes:
    event = message(11, _KINDS[_COUNTER], unsigned(11, track), double(44, value))
    return _packet(unsigned(8, at_ns), event)


def _slice(writer: _Writer, track: int, name: str, row: Row, *arrows: bytes) -> Iterator[bytes]:
    """A row as a slice; an instant where its end is unknown."""
    said = {key: value for key, value in row.items() if key not in _STRUCTURE and value is not None}
    start_ns, end_ns = row["start_ns"], row["end_ns"]
    if end_ns is None:
        yield writer.event(_INSTANT, track, start_ns, name, said | {"end": "unknown"}, *arrows)
        return
    yield writer.event(_BEGIN, track, start_ns, name, said, *arrows)
    first_ns = row.get("first_token_ns")
    if first_ns is not None and start_ns <= first_ns <= end_ns:
        yield writer.event(_BEGIN, track, start_ns, "to first token", {})
        yield _end(track, first_ns)
    yield _end(track, end_ns)


def _session(writer: _Writer, part: SessionSteps) -> Iterator[bytes]:
    session = part.session
    name = "steps of no session" if session is None else session_name(session)
    process, declared = writer.process(name)
    yield declared
    if session is not None:
        track, declared = writer.track(process, "session", 0)
        yield declared
        yield from _slice(writer, track, name, session)
    arrows = _arrows(writer, part)
    yield from _lanes(writer, process, "LLM calls", 1, part.calls, arrows)
    yield from _lanes(writer, process, "tools", 1_000_000, part.tools, arrows)


def _lanes(
    writer: _Writer, process: int, label: str, rank: int, rows: list[Row], arrows: Mapping[int, bytes]
) -> Iterator[bytes]:
    """Steps on as many tracks as run at once."""
    lanes, tracks = Lanes(), list[int]()
    for row in rows:
        start_ns = row["start_ns"]
        lane = lanes.place(start_ns, start_ns if row["end_ns"] is None else row["end_ns"])
        if lane == len(tracks):
            track, declared = writer.track(process, f"{label} {lane + 1}", rank + lane)
            tracks.append(track)
            yield declared
        name = row.get("name") if "name" in row else row["model"]
        yield from _slice(
            writer, tracks[lane], name or label.rstrip("s"), row, arrows.get(row["row_id"], b"")
        )


def _arrows(writer: _Writer, part: SessionSteps) -> dict[int, bytes]:
    """The flows that leave and reach each step."""
    steps = [*part.calls, *part.tools]
    here = {row["row_id"] for row in steps}
    fields: dict[int, list[bytes]] = defaultdict(list)
    for row in steps:
        for parent in row["parents"] or ():
            if parent in here and parent != row["row_id"]:
                flow = writer.flow()
                fields[parent].append(fixed64(47, flow))
                fields[row["row_id"]].append(fixed64(48, flow))
    return {key: b"".join(value) for key, value in fields.items()}


def _curves(writer: _Writer, trace: Trace, kind: Kind) -> Iterator[bytes]:
    hosts: dict[str | None, int] = {}
    tracks: dict[tuple[Any, ...], int] = {}
    about = ("host", *_SAMPLED[kind])
    columns = [curve.column for curve in _CURVES[kind]]
    for piece in trace.pieces(kind, ["start_ns", *about, *columns]):
        for row in piece.to_pylist():
            for curve in _CURVES[kind]:
                if row[curve.column] is None:
                    continue
                key = (*(row[name] for name in about), curve.column)
                if key not in tracks:
                    if row["host"] not in hosts:
                        hosts[row["host"]], declared = writer.process(_machine(kind, row["host"]))
                        yield declared
                    name = f"{_sampled(kind, row)} {curve.label}"
                    tracks[key], declared = writer.counter(hosts[row["host"]], name, curve.unit, len(tracks))
                    yield declared
                yield _point(tracks[key], row["start_ns"], float(row[curve.column]))


def _machine(kind: Kind, host: str | None) -> str:
    what = "power" if kind is Kind.POWER_SAMPLE else "server"
    return f"{what} on {host}" if host else what


def _sampled(kind: Kind, row: Row) -> str:
    if kind is Kind.ENGINE_SAMPLE:
        return str(row["endpoint"] or row["engine"] or "server")
    if row["device"] in (None, "gpu"):
        return f"GPU {'' if row['gpu_index'] is None else row['gpu_index']} {row['gpu_name'] or ''}".strip()
    return str(row["device_name"] or row["device"])


def _marks(writer: _Writer, trace: Trace) -> Iterator[bytes]:
    track = None
    for piece in trace.pieces(Kind.MARK, ["start_ns", "name", "value"]):
        for row in piece.to_pylist():
            if track is None:
                process, declared = writer.process("marks")
                yield declared
                track, declared = writer.track(process, "marks", 0)
                yield declared
            said = {} if row["value"] is None else {"value": row["value"]}
            yield writer.event(_INSTANT, track, row["start_ns"], row["name"] or "mark", said)
