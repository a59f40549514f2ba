"""Edges: which steps of a session a step starts after, with the evidence.

Best first: the request carries results of tools (they are its parents) or continues a call; a tool span was
asked for by a call; else timing within the session: every step that ended before the start, transitively
reduced, which in an interval order leaves those that no later-starting ended step follows. Steps that
overlap are siblings. A tool that contains LLM calls (a sub-agent) is a frame around steps, not a step, and a
tool inside a tool is a part of that one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from tracekit.assembly.call import Call
from tracekit.assembly.lineage import Link
from tracekit.assembly.session import Session
from tracekit.assembly.tool_span import ToolSpan
from tracekit.schema import EdgeSource, ToolSource

Step = Call | ToolSpan
_EDGE_OF = {ToolSource.PREFIX_CHAIN: EdgeSource.PREFIX_CHAIN}


def connect(session: Session, links: Mapping[Call, Link]) -> None:
    """Fills `parents` (row ids) and `edge_source` of every step of the session; the first step has none."""
    steps = [step for step in session.steps if not isinstance(step, ToolSpan) or step.is_step]
    graph = _Graph(session, steps, links)
    for step in steps:
        parents, source = graph.evidence(step) or (graph.ended.before(step), EdgeSource.TIMING)
        step.parents = [parent.row_id for parent in parents]
        step.edge_source = source.value if parents else None


class _Graph:
    """One session's steps, and what their requests say of one another."""

    def __init__(self, session: Session, steps: Sequence[Step], links: Mapping[Call, Link]) -> None:
        self.ended = _Ended(steps)
        self._steps = set(steps)
        self._links = links
        self._answers = {
            (span.call, span.tool_call_id): span
            for span in session.tools
            if span.call is not None and span.tool_call_id
        }
        self._marks = sorted(
            (span for span in session.tools if span.is_step and span.source is not ToolSource.TOOL_ID),
            key=_start_ns,
        )
        self._mark_starts_ns = [span.start_ns for span in self._marks]

    def evidence(self, step: Step) -> tuple[list[Step], EdgeSource] | None:
        """The step's parents by its request; None where that shows none in this session."""
        if isinstance(step, ToolSpan):
            if step.call is None or step.call not in self._steps or step.source is ToolSource.ADJACENCY:
                return None
            return [step.call], _EDGE_OF.get(step.source, EdgeSource.TOOL_ID)
        link = self._links.get(step)
        if link is None or link.parent not in self._steps:
            return None  # an earlier session's conversation, carried on
        if link.source is not EdgeSource.TOOL_ID:
            return (list(self._tools_between(link.parent, step)) or [link.parent], link.source)
        spans = [
            self._answers[link.parent, key]
            for key in link.tool_call_ids
            if (link.parent, key) in self._answers
        ]
        if any(span.contains_calls for span in spans):
            return None  # the steps inside the frame end last, and timing finds them
        inside = [span for span in spans if span in self._steps]
        return (list(inside) or [link.parent], EdgeSource.TOOL_ID)

    def _tools_between(self, parent: Call, call: Call) -> list[Step]:
        """Tools that ran after `parent` answered and before `call`, asked for by it or of their task.

        Agents that put results into plain text leave no ids, yet the call waited for them.
        """
        if parent.end_ns is None:
            return []
        first = bisect_left(self._mark_starts_ns, parent.end_ns)
        last = bisect_right(self._mark_starts_ns, call.start_ns)
        contexts = (parent.last.context, call.first.context)
        ours = [span for span in self._marks[first:last] if span.call is parent or span.context in contexts]
        return _Ended(ours).before(call)


class _Ended:
    """The session's steps by end, to ask which of them a start follows directly; O(log n) a question."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = sorted((step for step in steps if step.end_ns is not None), key=_end_ns)
        self._ends_ns = [_end_ns(step) for step in self._steps]
        self._latest_start_ns = list(accumulate((step.start_ns for step in self._steps), max))

    def before(self, step: Step) -> list[Step]:
        """The steps that ended before `step` began and that no other such step started after."""
        count = bisect_right(self._ends_ns, step.start_ns)
        direct = []
        for index in range(count - 1, -1, -1):
            other, latest_start_ns = self._steps[index], self._latest_start_ns[count - 1]
            if _end_ns(other) < latest_start_ns:
                break
            if _precedes(other, step) and (
                _end_ns(other) > latest_start_ns or other.start_ns == latest_start_ns
            ):
                direct.append(other)
        return direct[::-1]


def _end_ns(step: Step) -> int:
    return step.end_ns if step.end_ns is not None else step.start_ns


def _start_ns(step: Step) -> int:
    return step.start_ns


def _precedes(other: Step, step: Step) -> bool:
    """Whether `other`, which ended by the start of `step`, may come before it; ties of an instant go by row."""
    if other.start_ns == step.start_ns and _end_ns(step) == step.start_ns:
        return other.row_id < step.row_id
    return other is not step
