"""Tool spans: marked by the agent itself, or the window between an answer and the request with its results."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tracekit.assembly.attempt import known_status
from tracekit.assembly.call import Call
from tracekit.assembly.lineage import Link
from tracekit.schema import EdgeSource, Status, ToolSource
from tracekit.spool import Record

# A window from the wire also holds the framework's own work around the tool (20-40 ms measured, 100 ms on
# a first call), so its ends are less sure than a mark's.
WINDOW_CONFIDENCE = 0.8


@dataclass(eq=False)
class ToolSpan:
    """One execution of one tool; `call` is the LLM call that asked for it, if known."""

    start_ns: int
    end_ns: int | None
    status: Status
    name: str | None
    source: ToolSource
    confidence: float
    call: Call | None = None
    tool_call_id: str | None = None
    key: str | None = None
    record: Record = field(default_factory=dict)
    error_type: str | None = None
    contains_calls: bool = False
    row_id: int = -1
    session_id: int | None = None
    parents: list[int] = field(default_factory=list)
    edge_source: str | None = None

    @property
    def context(self) -> tuple[object, ...]:
        """Where it ran, as of an attempt; of a window nothing is known."""
        return (self.record.get("pid"), self.record.get("thread"), self.record.get("task"))


def marked_tools(records: Iterable[Record]) -> list[ToolSpan]:
    """The spans that the agent marked with `tracekit.tool`, or a framework reported."""
    spans: dict[str, ToolSpan] = {}
    for record in records:
        if record["t"] == "tool_start":
            spans[record["id"]] = ToolSpan(
                start_ns=record["ns"],
                end_ns=None,
                status=Status.INTERRUPTED,
                name=record.get("name"),
                source=_known_source(record.get("source")),
                confidence=1.0,
                tool_call_id=record.get("tool_call_id"),
                key=record["id"],
                record=record,
            )
        elif record["t"] == "tool_end" and (span := spans.get(record["id"])):
            span.end_ns = record["ns"]
            span.status = known_status(record.get("status"))
            span.error_type = record.get("error_type")
    return list(spans.values())


def tool_spans(calls: Iterable[Call], links: Mapping[Call, Link], marked: list[ToolSpan]) -> list[ToolSpan]:
    """Every span there is evidence for, in order of start.

    Marked ones, each with the tool call it answers where that can be told, and a window for every other tool
    call whose result came back: until the first request that carried it.
    """
    marks = _Marks(marked)
    found: dict[tuple[Call, str], ToolSpan] = {}
    for call in calls:
        link = links.get(call)
        if link is None or link.source is not EdgeSource.TOOL_ID:
            continue
        names = dict(link.parent.produced_tools)
        for tool_call_id in link.tool_call_ids:
            if (link.parent, tool_call_id) not in found:
                name = names.get(tool_call_id)
                mark = marks.claim(link.parent, call, tool_call_id, name)
                found[link.parent, tool_call_id] = mark or _window(link.parent, call, tool_call_id, name)
    windows = [span for span in found.values() if span.key is None]
    return sorted([*marked, *windows], key=lambda span: span.start_ns)


class _Marks:
    """Marked spans by the tool call's id, else by name, to ask which of them answers a tool call."""

    def __init__(self, marked: Iterable[ToolSpan]) -> None:
        self._spans: dict[str | None, list[ToolSpan]] = defaultdict(list)
        for span in sorted(marked, key=lambda span: span.start_ns):
            self._spans[span.tool_call_id or span.name].append(span)
        self._starts = {key: [span.start_ns for span in spans] for key, spans in self._spans.items()}

    def claim(self, parent: Call, call: Call, tool_call_id: str, name: str | None) -> ToolSpan | None:
        """The span between the answer and the request with the result that fits best; it is given out once."""
        free = [
            span
            for key in (tool_call_id, name)
            for span in self._between(key, parent, call)
            if span.call is None
        ]
        ours = [span for span in free if span.record.get("session") in (None, _session_mark(call))]
        best = min(ours, key=lambda span: _strangeness(span, parent, call), default=None)
        if best is not None:
            best.call, best.tool_call_id = parent, tool_call_id
        return best

    def _between(self, key: str | None, parent: Call, call: Call) -> list[ToolSpan]:
        starts = self._starts.get(key, [])
        return self._spans[key][bisect_left(starts, parent.start_ns) : bisect_right(starts, call.start_ns)]


def _session_mark(call: Call) -> object:
    return call.first.record.get("session")


def _strangeness(span: ToolSpan, parent: Call, call: Call) -> tuple[bool, bool, int]:
    """Least for a span of the session's own mark, then of the calls' own task, then the earliest."""
    contexts = (parent.last.context, call.first.context)
    return (span.record.get("session") is None, span.context not in contexts, span.start_ns)


def _known_source(word: object) -> ToolSource:
    return ToolSource(str(word)) if word in tuple(ToolSource) else ToolSource.FRAMEWORK


def _window(parent: Call, call: Call, tool_call_id: str, name: str | None) -> ToolSpan:
    return ToolSpan(
        start_ns=parent.end_ns or call.start_ns,
        end_ns=call.start_ns,
        status=Status.OK,
        name=name,
        source=ToolSource.TOOL_ID,
        confidence=WINDOW_CONFIDENCE,
        call=parent,
        tool_call_id=tool_call_id,
    )
