"""Tool spans: marked by the agent itself, or the window between an answer and the request with its results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
                source=ToolSource(record.get("source") or ToolSource.FRAMEWORK),
                confidence=1.0,
                tool_call_id=record.get("tool_call_id"),
                key=record["id"],
                record=record,
            )
        elif record["t"] == "tool_end" and (span := spans.get(record["id"])):
            span.end_ns = record["ns"]
            span.status = Status(record.get("status", "ok"))
            span.error_type = record.get("error_type")
    return list(spans.values())


def tool_spans(calls: Iterable[Call], links: Mapping[Call, Link], marked: list[ToolSpan]) -> list[ToolSpan]:
    """Every span there is evidence for, in order of start.

    Marked ones, each with the tool call it answers where that can be told, and a window for every other tool
    call whose result came back.
    """
    unmatched = defaultdict(list)
    for span in sorted(marked, key=lambda span: span.start_ns):
        unmatched[span.tool_call_id or span.name].append(span)
    spans = list(marked)
    for call in calls:
        link = links.get(call)
        if link is not None and link.source is EdgeSource.TOOL_ID:
            spans += _windows(call, link, unmatched)
    return sorted(spans, key=lambda span: span.start_ns)


def _windows(call: Call, link: Link, unmatched: dict[str | None, list[ToolSpan]]) -> list[ToolSpan]:
    names = dict(link.parent.produced_tools)
    windows = []
    for tool_call_id in link.tool_call_ids:
        mark = _mark_between(link.parent, call, (tool_call_id, names.get(tool_call_id)), unmatched)
        if mark is not None:
            mark.call, mark.tool_call_id = link.parent, tool_call_id
        else:
            windows.append(_window(link.parent, call, tool_call_id, names.get(tool_call_id)))
    return windows


def _mark_between(
    parent: Call, call: Call, keys: tuple[str | None, ...], unmatched: dict[str | None, list[ToolSpan]]
) -> ToolSpan | None:
    for key in keys:
        for span in unmatched.get(key, ()):
            if span.call is None and parent.start_ns <= span.start_ns <= call.start_ns:
                unmatched[key].remove(span)
                return span
    return None


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
