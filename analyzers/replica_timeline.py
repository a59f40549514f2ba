"""What the replicas of a replay do over time, in bins that do not grow with the trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.analyzers.kernels.layout import Cause, Floats, State
from tracekit.analyzers.presence import bin_edges, mean_presence
from tracekit.analyzers.timeline import CAUSES, NS_PER_S, Timeline

SHOWN = 8


@dataclass(frozen=True)
class ReplicaTimeline:
    """Shares of each bin by what is done in it, each of shape (bins,); idleness by its cause, as `idle_tool_wait`.

    `fleet` is over all `count` replicas, `replicas` the first few of them; what never happens is left out.
    """

    bin_s: float
    count: int
    fleet: dict[str, Floats]
    replicas: list[dict[str, Floats]]


def replica_timeline(timeline: Timeline, shown: int = SHOWN) -> ReplicaTimeline:
    """The replicas' states over the whole horizon, of the first `shown` ones also each by itself."""
    edges_s = bin_edges(timeline.horizon_ns / NS_PER_S)
    replica = timeline.outcome.segments["replica"]
    count = timeline.replicas
    fleet = _shares(timeline, np.ones(replica.size, np.bool_), edges_s)
    return ReplicaTimeline(
        bin_s=float(edges_s[1]),
        count=count,
        fleet={name: values / count for name, values in fleet.items()},
        replicas=[_shares(timeline, replica == index, edges_s) for index in range(min(shown, count))],
    )


def _shares(timeline: Timeline, chosen: np.ndarray, edges_s: Floats) -> dict[str, Floats]:
    segments = timeline.outcome.segments
    shares = {}
    for name, (state, cause) in _KINDS.items():
        own = chosen & (segments["state"] == state) & (segments["cause"] == cause)
        if own.any():
            shares[name] = mean_presence(
                timeline.segment_start_ns[own] / NS_PER_S, timeline.segment_end_ns[own] / NS_PER_S, edges_s
            )
    return shares


_KINDS = {
    **{state.name.lower(): (state, Cause.NONE) for state in (State.PREFILL, State.MIXED, State.DECODE)},
    **{f"idle_{cause.name.lower()}": (State.IDLE, cause) for cause in CAUSES},
    **{state.name.lower(): (state, Cause.NONE) for state in (State.STARTING, State.OFF)},
}
