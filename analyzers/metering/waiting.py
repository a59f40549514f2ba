"""Why a virtual replica is idle, and which sessions and tools make it so (DESIGN: attribution).

S is the sessions that have called here and will call again. The first that holds: `tool_wait` (one of S has no
call in flight anywhere and a tool open), `client_wait` (no call in flight, no tool), `peer_call` (S is not
empty: its calls are elsewhere), `no_demand`. With one replica there is no transfer and no imbalance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import NOBODY, Cause, Floats, Ints
from tracekit.analyzers.metering.spread import Spans, Weights
from tracekit.analyzers.metering.steps import Steps

CAUSES = (Cause.TOOL_WAIT, Cause.CLIENT_WAIT, Cause.PEER_CALL)
"""Those that sessions make true, the first that holds first."""


@dataclass(frozen=True, eq=False)
class Waiting:
    """What sessions do between their calls, and the cause of each idle segment.

    Every one of the n spans is a stretch in which a session of S does one thing; `open_tools` are then at work.
    Tool k is at work in the spans from `tool_first[k]` up to `tool_last[k]` that belong to its session.
    """

    session: Ints  # (n,)
    spans: Spans  # (n,) by cause: an index into CAUSES
    open_tools: Ints  # (n,)
    tool: Ints  # (k,) indices into steps.tools
    tool_first: Ints  # (k,)
    tool_last: Ints
    cause: Ints  # (segments,) Cause; NONE where a call is in flight
    weights: Weights

    @classmethod
    def of(cls, steps: Steps, is_here: Flags, edges_ns: Ints, is_idle: Flags) -> Self:
        """The waits of the sessions whose calls `is_here` (c,) marks."""
        sessions = len(steps.session_id)
        mine = np.zeros(sessions + 1, np.bool_)
        mine[steps.calls.session[is_here]] = True
        mine[NOBODY] = False
        call = np.flatnonzero(mine[steps.calls.session])
        tool = np.flatnonzero(mine[steps.tools.session])
        first_ns, last_ns = _first_and_last(steps, is_here, sessions)
        within = np.flatnonzero(mine[:-1])
        owner, time_ns, calls, tools = _events(steps, call, tool, within, first_ns, last_ns)
        order = np.lexsort((time_ns, owner))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        owner, time_ns = owner[order], time_ns[order]
        open_calls, open_tools = np.cumsum(calls[order]), np.cumsum(tools[order])
        until_ns = np.append(time_ns[1:], time_ns[-1:])
        same = np.append(owner[1:] == owner[:-1], False)
        in_s = same & (until_ns > time_ns) & (time_ns >= first_ns[owner]) & (until_ns <= last_ns[owner])
        kind = np.select([open_calls > 0, open_tools > 0], [2, 0], 1)
        kept = np.flatnonzero(in_s)
        spans = Spans(
            first=np.searchsorted(edges_ns, time_ns[kept]),
            last=np.searchsorted(edges_ns, until_ns[kept]),
            group=kind[kept],
            own=np.zeros(len(kept)),
        )
        begin = 2 * len(call)
        cause, weights = _causes(spans, len(edges_ns), is_idle)
        return cls(
            session=owner[kept],
            spans=spans,
            open_tools=open_tools[kept],
            tool=tool,
            tool_first=np.searchsorted(kept, place[begin : begin + len(tool)]),
            tool_last=np.searchsorted(kept, place[begin + len(tool) : begin + 2 * len(tool)]),
            cause=cause,
            weights=weights,
        )

    def of_tools(self, amounts: Floats) -> Floats:
        """What each tool of `tool` has of its session's spans (n,): equal parts with the tools beside it."""
        at_work = self.spans.group == 0
        part = np.where(at_work, amounts / np.maximum(self.open_tools, 1), 0.0)
        sums = np.concatenate([[0.0], np.cumsum(part)])
        return np.asarray(sums[self.tool_last] - sums[self.tool_first], np.float64)


def _first_and_last(steps: Steps, is_here: Flags, sessions: int) -> tuple[Ints, Ints]:
    """When each session's first and last call here began; never, if it has none."""
    first_ns = np.full(sessions, np.iinfo(np.int64).max)
    last_ns = np.full(sessions, np.iinfo(np.int64).min)
    owned = np.flatnonzero(is_here & (steps.calls.session != NOBODY))
    np.minimum.at(first_ns, steps.calls.session[owned], steps.calls.start_ns[owned])
    np.maximum.at(last_ns, steps.calls.session[owned], steps.calls.start_ns[owned])
    return first_ns, last_ns


def _events(
    steps: Steps, call: Ints, tool: Ints, within: Ints, first_ns: Ints, last_ns: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """Whose each event is, when, and by how much it changes open calls and tools: call and tool ends, ends of S."""
    calls, tools = steps.calls, steps.tools
    none, one = np.zeros(len(tool), np.int64), np.ones(len(tool), np.int64)
    call_none, call_one = np.zeros(len(call), np.int64), np.ones(len(call), np.int64)
    nothing = np.zeros(2 * len(within), np.int64)
    return (
        np.concatenate(
            [
                calls.session[call],
                calls.session[call],
                tools.session[tool],
                tools.session[tool],
                within,
                within,
            ]
        ),
        np.concatenate(
            [
                calls.start_ns[call],
                calls.end_ns[call],
                tools.start_ns[tool],
                tools.end_ns[tool],
                first_ns[within],
                last_ns[within],
            ]
        ),
        np.concatenate([call_one, -call_one, none, none, nothing]),
        np.concatenate([call_none, call_none, one, -one, nothing]),
    )


def _causes(spans: Spans, edges: int, is_idle: Flags) -> tuple[Ints, Weights]:
    """The cause of every segment, and the part that each session which makes it true has of it."""
    counts = []
    for group in range(len(CAUSES)):
        here = spans.group == group
        change = np.bincount(spans.first[here], minlength=edges) - np.bincount(
            spans.last[here], minlength=edges
        )
        counts.append(np.cumsum(change)[:-1])
    count = np.array(counts).reshape(len(CAUSES), edges - 1)
    cause = np.where(
        is_idle,
        np.select([row > 0 for row in count], [int(cause) for cause in CAUSES], int(Cause.NO_DEMAND)),
        int(Cause.NONE),
    )
    shared = np.array([np.where(cause == kind, 1.0, 0.0) for kind in CAUSES]) / np.maximum(count, 1)
    return cause.astype(np.int64), Weights(shared, np.zeros(edges - 1))
