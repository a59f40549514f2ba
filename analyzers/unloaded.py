"""How long sessions take alone: the time that load cannot explain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.isolated import chain_sessions
from tracekit.analyzers.kernels.lanes import lanes_of, rules_of
from tracekit.analyzers.kernels.layout import Floats, Ints, Pool, Workload
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet


def unloaded_sessions_s(workload: Workload, fleet: Fleet) -> Floats:
    """Seconds from release to end of each session by itself on one replica of the fleet's kind, shape (s,).

    That is one for each of its lanes. By one replay of all of them in a row: each is released when the one before
    has ended, and finds nothing in the cache that it did not bring.

    Raises
    ------
    UnknownName, ModelDoesNotFit : the fleet names what the catalog lacks, or what cannot be.
    """
    alone = fleet.alone()
    return sessions_alone_s(workload, pools_of(alone), alone.seed)


def sessions_alone_s(workload: Workload, pools: Sequence[Pool], seed: int) -> Floats:
    """The same by the numbers of such replicas, one for each lane."""
    limits, lanes = pools[0].limits, lanes_of(workload, rules_of(pools), seed)
    in_a_row = replay_pools(chain_sessions(workload), pools, limits.router, limits.queue_order, seed, lanes)
    end_s = np.maximum.reduceat(in_a_row.steps["end_s"], workload.session_step_start[:-1].astype(np.int64))
    release_s = np.concatenate([[0.0], end_s[:-1]])
    return np.asarray(end_s - release_s + workload.session_tail_s, dtype=np.float64)


def unloaded_session_p95_s(recorded: Workload, drawn: Ints, fleet: Fleet) -> float:
    """The 95th percentile of that over the sessions `drawn` (k,) from `recorded`; each is replayed once."""
    sessions, place = np.unique(drawn, return_inverse=True)
    alone_s = unloaded_sessions_s(draw_sessions(recorded, sessions, np.zeros(len(sessions))), fleet)
    return percentile(alone_s[place], 95)
