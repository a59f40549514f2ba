"""Edges: which steps of a session a step starts after, with the evidence.

Best first: the request carries results of tools (they are its parents) or continues a call; a tool span was
asked for by a call; else timing within the session: every step that ended before the start, transitively
reduced, which in an interval order leaves those that no later-starting ended step follows. Steps that
overlap are siblings. A tool that contains LLM calls (a sub-agent) is a frame around steps, not a step.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from tracekit.assembly.call import Call
from tracekit.assembly.lineage import Link
from tracekit.assembly.session import Session
from tracekit.assembly.tool_span import ToolSpan
from tracekit.schema import EdgeSource

Step = Call | ToolSpan


def connect(session: Session, links: Mapping[Call, Link]) -> None:
    """Fills `parents` (row ids) and `edge_source` of every step of the session; the first step has none."""
    steps = [step for step in session.steps if not (isinstance(step, ToolSpan) and step.contains_calls)]
    answers: dict[tuple[Call, str], ToolSpan] = {}
    for span in session.tools:
        if span.call is not None and span.tool_call_id is not None:
            answers[span.call, span.tool_call_id] = span
    ended = _Ended(steps)
    for step in steps:
        parents, source = _evidence(step, links, answers, session) or (ended.before(step), EdgeSource.TIMING)
        step.parents = [parent.row_id for parent in parents]
        step.edge_source = source.value if parents else None


def _evidence(
    step: Step, links: Mapping[Call, Link], answers: Mapping[tuple[Call, str], ToolSpan], session: Session
) -> tuple[list[Step], EdgeSource] | None:
    if isinstance(step, ToolSpan):
        return ([step.call], EdgeSource.TOOL_ID) if step.call is not None else None
    link = links.get(step)
    if link is None:
        return None
    if link.source is EdgeSource.TOOL_ID:
        spans = [answers[link.parent, key] for key in link.tool_call_ids if (link.parent, key) in answers]
        if any(span.contains_calls for span in spans):
            return None  # the steps inside the frame end last, and timing finds them
        return (list(spans) or [link.parent], EdgeSource.TOOL_ID)
    between = _tools_between(link.parent, step, session)
    return (list(between) or [link.parent], link.source)


def _tools_between(parent: Call, call: Call, session: Session) -> list[Step]:
    """Tools of the session that ran after `parent` answered and before `call`.

    Agents that put results into plain text leave no ids, yet the call waited for them.
    """
    after = [
        span
        for span in session.tools
        if not span.contains_calls and parent.end_ns is not None and span.start_ns >= parent.end_ns
    ]
    return _Ended(after).before(call)


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
            if other is not step and (_end_ns(other) > latest_start_ns or other.start_ns == latest_start_ns):
                direct.append(other)
        return direct[::-1]


def _end_ns(step: Step) -> int:
    return step.end_ns if step.end_ns is not None else step.start_ns
