"""Tools inside tools: a mark in a framework's tool, an MCP call in either, a sub-agent around them all.

What runs inside a span and has its tool call's id or its name is the same work, seen twice: one span stays, the
outer one. Anything else inside is a part of the outer tool, and no step of its own. Only where LLM calls ran
inside a tool is it a frame, and what is in it are steps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping

from tracekit.assembly.call import Call
from tracekit.assembly.tool_span import ToolSpan

_MCP = "mcp"


def without_twins(marked: Iterable[ToolSpan]) -> tuple[list[ToolSpan], dict[str, ToolSpan]]:
    """The spans, each piece of work once, with the span around each; and the span that each key stands for."""
    stands_for: dict[str, ToolSpan] = {}
    kept = []
    for span in sorted(marked, key=lambda span: span.start_ns):
        around = stands_for.get(span.record.get("tool") or "")
        if around is not None and not _is_open(around, span.start_ns):
            around = None  # a task that the tool left behind
        if around is not None and _is_same_work(around, span):
            around.tool_call_id = around.tool_call_id or span.tool_call_id
            stands_for[span.key or ""] = around
            continue
        span.around = around
        stands_for[span.key or ""] = span
        kept.append(span)
    return kept, stands_for


def find_frames(calls: Iterable[Call], stands_for: Mapping[str, ToolSpan]) -> None:
    """Marks the spans that LLM calls were made in; a call knows the span directly around it."""
    for call in calls:
        span = stands_for.get(call.first.record.get("tool") or "")
        if span is None or not _is_open(span, call.start_ns):
            continue
        call.around = span
        frame: ToolSpan | None = span
        while frame is not None and not frame.contains_calls:
            frame.contains_calls = True
            frame = frame.around


def find_unmarked_frames(spans: Iterable[ToolSpan], calls: Iterable[Call]) -> None:
    """Marks the windows in which the very thread and task that waits for the tool made another call.

    A call of another thread or task may as well be a title or a summary made meanwhile.
    """
    by_context: dict[object, list[Call]] = defaultdict(list)
    for call in calls:  # in order of start
        by_context[call.first.context].append(call)
    for span in spans:
        if span.key is None and span.call is not None and span.end_ns is not None:
            own = by_context.get(span.call.last.context, [])
            first = bisect_left(own, span.start_ns, key=lambda call: call.start_ns)
            last = bisect_left(own, span.end_ns, key=lambda call: call.start_ns)
            span.contains_calls = any((call.end_ns or span.end_ns) <= span.end_ns for call in own[first:last])


def _is_open(span: ToolSpan, at_ns: int) -> bool:
    return span.start_ns <= at_ns and (span.end_ns is None or at_ns < span.end_ns)


def _is_same_work(outer: ToolSpan, inner: ToolSpan) -> bool:
    if outer.tool_call_id and inner.tool_call_id:
        return outer.tool_call_id == inner.tool_call_id
    if outer.name == inner.name:
        return True
    from_mcp = inner.record.get("adapter") == _MCP
    return from_mcp and bool(inner.name) and str(outer.name).endswith(str(inner.name))  # "server_search"
