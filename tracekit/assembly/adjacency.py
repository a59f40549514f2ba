"""Tools of agents that write every prompt anew: what an answer asked for, until the same agent's next call.

Neither an id nor the conversation ties the two calls; that they are neighbours in one session, in one thread and
task, under the same instructions, is all there is. An agent that ran a tool of its own name meanwhile has told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tracekit.assembly.call import Call
from tracekit.assembly.lineage import Link
from tracekit.assembly.session import Session, instructions
from tracekit.assembly.tool_span import ToolSpan, window_of
from tracekit.schema import Status, ToolSource


def adjacent_windows(
    sessions: Iterable[Session], links: Mapping[Call, Link], spans: Sequence[ToolSpan]
) -> list[ToolSpan]:
    """A window for every tool call that nobody is known to have answered, where such a neighbour follows."""
    answered = {span.call for span in spans if span.call is not None}
    continued = {link.parent for link in links.values()}
    told: dict[object, list[int]] = defaultdict(list)
    for span in spans:
        if span.key is not None:
            told[span.context].append(span.start_ns)
    found = []
    for session in sessions:
        for call, following in _neighbours(session):
            is_open = call.produced_tools and call not in answered and call not in continued
            if is_open and not _any_between(told[call.last.context], call, following):
                found += [
                    window_of(call, following, *tool, source=ToolSource.ADJACENCY)
                    for tool in call.produced_tools
                ]
    return found


def _neighbours(session: Session) -> Iterable[tuple[Call, Call]]:
    """Each answered call with the same agent's next one, if that began after the answer."""
    latest: dict[object, Call] = {}
    for call in session.calls:
        agent = (call.first.context, instructions(call))
        previous = latest.get(agent)
        if previous is not None and previous.status is Status.OK and (previous.end_ns or 0) <= call.start_ns:
            yield previous, call
        latest[agent] = call


def _any_between(starts_ns: Iterable[int], call: Call, following: Call) -> bool:
    return any((call.end_ns or 0) <= start_ns <= following.start_ns for start_ns in starts_ns)
