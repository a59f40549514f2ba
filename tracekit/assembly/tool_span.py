"""Tool spans: told by a framework or the agent itself, or the window between an answer and what used its results.

Best evidence first: a span that somebody opened and closed; a request that carries the result of a tool call by
its id; a request that carries the conversation on without ids, after an answer that asked for tools; the next
request of the same agent in the same session. Without an answer that asked for a tool there is no window: what
lies between two calls is then a gap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tracekit.assembly.attempt import context_of, known_status
from tracekit.assembly.call import Call
from tracekit.assembly.lineage import Link
from tracekit.schema import EdgeSource, Status, ToolSource
from tracekit.spool import Record

CONFIDENCE = {
    ToolSource.FRAMEWORK: 1.0,
    ToolSource.TOOL_ID: 0.8,
    ToolSource.PREFIX_CHAIN: 0.6,
    ToolSource.ADJACENCY: 0.3,
}
"""How sure a span's ends are. A window from the wire also holds the framework's own work around the tool (20-40 ms
measured, 100 ms on a first call); without the id it is not even known that the tool ran; and of two calls that
are only neighbours not that the second waited for it."""


@dataclass(eq=False)
class ToolSpan:
    """One execution of one tool.

    Attributes
    ----------
    call : the LLM call that asked for it, if known.
    key : its name in the spool; None for a window.
    around : the span that it ran inside of.
    contains_calls : whether LLM calls ran inside it.
    """

    start_ns: int
    end_ns: int | None
    status: Status
    name: str | None
    source: ToolSource
    call: Call | None = None
    tool_call_id: str | None = None
    key: str | None = None
    record: Record = field(default_factory=dict)
    error_type: str | None = None
    around: ToolSpan | None = None
    contains_calls: bool = False
    row_id: int = -1
    session_id: int | None = None
    parents: list[int] = field(default_factory=list)
    edge_source: str | None = None

    @property
    def confidence(self) -> float:
        """How sure its ends are, 0 to 1."""
        return CONFIDENCE[self.source]

    @property
    def context(self) -> tuple[object, ...]:
        """Where it ran, as of an attempt; of a window nothing is known."""
        return context_of(self.record)

    @property
    def inside(self) -> ToolSpan | None:
        """The tool that this one is a part of; none in a frame, whose parts are steps."""
        return self.around if self.around is not None and not self.around.contains_calls else None

    @property
    def is_step(self) -> bool:
        """Whether it is a node of the session's graph: neither a frame around steps nor a part of one."""
        return not self.contains_calls and self.inside is None


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
                tool_call_id=record.get("tool_call_id"),
                key=record["id"],
                record=record,
            )
        elif record["t"] == "tool_end" and (span := spans.get(record["id"])):
            span.end_ns = record["ns"]
            span.status = known_status(record.get("status"))
            span.error_type = record.get("error_type")
    return list(spans.values())


def tool_spans(
    calls: Sequence[Call], links: Mapping[Call, Link], marked: Sequence[ToolSpan]
) -> list[ToolSpan]:
    """Every span there is evidence for in requests and marks, in order of start.

    Marked ones, each with the tool call it answers where that can be told, and a window for every other tool
    call that was answered: until the first request that carried its result, or that went on without it.
    """
    marks = _Marks([span for span in marked if span.inside is None], _names(calls))
    found: dict[tuple[Call, str], ToolSpan] = {}
    for source, asked in ((ToolSource.TOOL_ID, _by_id), (ToolSource.PREFIX_CHAIN, _by_conversation)):
        for call in calls:
            link = links.get(call)
            if link is not None and not _starts_anew(link.parent, call):
                wanted = [tool for tool in asked(link) if (link.parent, tool[0]) not in found]
                for (tool_call_id, name), mark in marks.claim(link.parent, call, wanted):
                    window = mark or window_of(link.parent, call, tool_call_id, name, source)
                    found[link.parent, tool_call_id] = window
    windows = [span for span in found.values() if span.key is None]
    return sorted([*marked, *windows], key=lambda span: span.start_ns)


def _starts_anew(parent: Call, call: Call) -> bool:
    """Whether the agent had ended its task, as its framework says, and was given another: a human was between."""
    runs = (parent.last.record.get("agent_run"), call.first.record.get("agent_run"))
    return None not in runs and runs[0] != runs[1]


def window_of(parent: Call, call: Call, tool_call_id: str, name: str | None, source: ToolSource) -> ToolSpan:
    """The time between the answer that asked for a tool and the request that went on with its result."""
    return ToolSpan(
        start_ns=parent.end_ns or call.start_ns,
        end_ns=call.start_ns,
        status=Status.OK,
        name=name,
        source=source,
        call=parent,
        tool_call_id=tool_call_id,
    )


Tool = tuple[str, str | None]
"""A tool call's id and name."""


def _by_id(link: Link) -> list[Tool]:
    """The tool calls whose results the request carries by id."""
    names = dict(link.parent.produced_tools)
    return [(tool_call_id, names.get(tool_call_id)) for tool_call_id in link.tool_call_ids]


def _by_conversation(link: Link) -> list[Tool]:
    """The tool calls that a request goes on from without any of their ids: results put into plain text."""
    return [] if link.source is EdgeSource.TOOL_ID else link.parent.produced_tools


def _names(calls: Iterable[Call]) -> frozenset[object]:
    return frozenset(key for call in calls for tool in call.produced_tools for key in tool)


class _Marks:
    """Marked spans by the tool call's id and by name, to ask which of them answers a tool call."""

    def __init__(self, marked: Iterable[ToolSpan], known: frozenset[object]) -> None:
        self._spans: dict[str | None, list[ToolSpan]] = defaultdict(list)
        self._strangers: list[ToolSpan] = []  # neither their id nor their name was ever asked for
        for span in sorted(marked, key=lambda span: span.start_ns):
            keys = [key for key in (span.tool_call_id, span.name) if key in known]
            if span.tool_call_id in known:
                keys = [span.tool_call_id]  # it says which call it answers
            for key in keys:
                self._spans[key].append(span)
            if not keys:
                self._strangers.append(span)
        self._starts = {key: [span.start_ns for span in spans] for key, spans in self._spans.items()}
        self._stranger_starts = [span.start_ns for span in self._strangers]

    def claim(self, parent: Call, call: Call, wanted: Sequence[Tool]) -> list[tuple[Tool, ToolSpan | None]]:
        """Each tool call with the span that answers it; a span is given out once.

        By the id or the name; and where the agent calls its tools otherwise than the model does, in order, if
        it ran as many of them as were asked for.
        """
        claimed = [(tool, self._best(parent, call, *tool)) for tool in wanted]
        open_tools = [tool for tool, span in claimed if span is None]
        strangers = self._strangers_between(parent, call) if open_tools else []
        if len(strangers) != len(open_tools):
            return claimed
        for tool, span in zip(open_tools, strangers, strict=True):
            span.call, span.tool_call_id = parent, tool[0]
        by_tool = dict(zip(open_tools, strangers, strict=True))
        return [(tool, span or by_tool[tool]) for tool, span in claimed]

    def _best(self, parent: Call, call: Call, tool_call_id: str, name: str | None) -> ToolSpan | None:
        """The free span between the answer and the request that fits best."""
        free = [
            span
            for key in (tool_call_id, name)
            for span in self._between(key, parent, call)
            if span.call is None
        ]
        ours = [span for span in free if not _is_elsewhere(span, parent, call)]
        best = min(ours, key=lambda span: _strangeness(span, parent, call), default=None)
        if best is not None:
            best.call, best.tool_call_id = parent, tool_call_id
        return best

    def _strangers_between(self, parent: Call, call: Call) -> list[ToolSpan]:
        first = bisect_left(self._stranger_starts, parent.end_ns or parent.start_ns)
        last = bisect_right(self._stranger_starts, call.start_ns)
        return [
            span
            for span in self._strangers[first:last]
            if span.call is None
            and _distance(span, parent, call) < 2
            and not _is_elsewhere(span, parent, call)
        ]

    def _between(self, key: str | None, parent: Call, call: Call) -> list[ToolSpan]:
        starts = self._starts.get(key, [])
        return self._spans[key][bisect_left(starts, parent.start_ns) : bisect_right(starts, call.start_ns)]


def _strangeness(span: ToolSpan, parent: Call, call: Call) -> tuple[bool, int, int]:
    """Least for a span of the session's own mark, then of the calls' own task or flow, then the earliest."""
    return (span.record.get("session") is None, _distance(span, parent, call), span.start_ns)


def _distance(span: ToolSpan, parent: Call, call: Call) -> int:
    """0 in the calls' own thread and task, 1 in their flow or run, 2 elsewhere."""
    if span.context in (parent.last.context, call.first.context):
        return 0
    return 1 if _shares(span, parent, call, "agent_run") or _shares(span, parent, call, "scope") else 2


def _shares(span: ToolSpan, parent: Call, call: Call, flow: str) -> bool:
    known = (parent.last.record.get(flow), call.first.record.get(flow))
    return span.record.get(flow) is not None and span.record.get(flow) in known


def _is_elsewhere(span: ToolSpan, parent: Call, call: Call) -> bool:
    """Whether the span is known to belong to another session mark, or to another flow."""
    if span.record.get("session") not in (None, call.first.record.get("session")):
        return True
    flow = "agent_run" if call.first.record.get("agent_run") else "scope"
    is_told = span.record.get(flow) is not None and call.first.record.get(flow) is not None
    return is_told and _distance(span, parent, call) == 2


def _known_source(word: object) -> ToolSource:
    return ToolSource(str(word)) if word in tuple(ToolSource) else ToolSource.FRAMEWORK
