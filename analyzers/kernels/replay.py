"""Replay a workload on pools of replicas, event by event (DESIGN: replay, attribution)."""

from collections.abc import Sequence

import numpy as np

from tracekit.analyzers.kernels.event_loop import advance
from tracekit.analyzers.kernels.lanes import check_rules, lanes_of, rules_of
from tracekit.analyzers.kernels.layout import (
    SEGMENT_ROW,
    Bytes,
    FleetLimits,
    Outcome,
    Pool,
    PowerCurve,
    Rows,
    StepCost,
    Workload,
)
from tracekit.analyzers.kernels.prepare import SLACK, check, pool_rows, prepare
from tracekit.analyzers.kernels.segments import by_replica
from tracekit.analyzers.kernels.simulation import Simulation, zeros

INSTANTS = 1_000_000
"""Instants between two looks at whether the user has interrupted."""


def simulate(sim: Simulation) -> Rows | None:
    """Run to the end; return the segments in order of their end; None if a pool of the memory was too small."""
    # what is not written is not touched, and a replay mostly has some 1.5 to 2 segments a call
    segments = zeros(64 + 8 * sim.engines.size + 2 * sim.calls.size, SEGMENT_ROW)
    while not advance(sim, segments, INSTANTS):
        if sim.memory.stock[0]["overflow"]:
            return None
        if sim.tally[0]["segments"] > segments.size - 8 * sim.engines.size:
            segments = np.concatenate([segments, np.zeros_like(segments)])
    return segments[: sim.tally[0]["segments"]]


def conclude(sim: Simulation, segments: Rows) -> Outcome:
    """What came of it, with the segments as they are."""
    tally = sim.tally[0]
    return Outcome(
        calls=sim.calls,
        waits=sim.waits,
        sessions=sim.sessions,
        segments=segments,
        pools=sim.pools,
        horizon_s=float(tally["horizon_s"]),
        null_idle_s=float(tally["null_idle_s"]),
        null_idle_j=float(tally["null_idle_j"]),
        null_idle_usd=float(tally["null_idle_usd"]),
        kv_token_s=float(tally["kv_token_s"]),
        kv_peak_tokens=int(tally["peak_tokens"]),
        kv_peak_fraction=float(tally["peak_fraction"]),
        evicted_blocks=int(sim.memory.stock[0]["evicted"]),
        refused=int(tally["refused"]),
        engine_steps=int(tally["engine_steps"]),
    )


def replay_pools(
    workload: Workload,
    pools: Sequence[Pool],
    router: int = 0,
    queue_order: int = 0,
    seed: int = 0,
    lanes: Bytes | None = None,
) -> Outcome:
    """Replay the workload on a fleet of pools behind one router.

    `lanes` (n,) says for which of the pools' rules (`rules_of`) each call is, where the rules are not to say it.
    A call of 0 tokens in or out is computed as one of 1. A refused call has replica -1 and takes 0 s; it does not
    use up a round-robin turn. Raises ValueError for graphs with a cycle, negative times and impossible pools.
    """
    check_rules(pools)
    rows = pool_rows(pools)
    check(workload, rows)
    if lanes is None:
        lanes = lanes_of(workload, rules_of(pools), seed)
    slack = SLACK
    while True:
        sim = prepare(workload, rows, int(router), int(queue_order), int(seed), slack, lanes)
        with np.errstate(over="ignore"):  # bits are drawn modulo 2^64
            segments = simulate(sim)
        if segments is not None:
            break
        slack = 8 * slack + 8
    if sim.parents_left.any():
        raise ValueError(
            "some steps never started: their graph has a cycle, or parent_count is not its edges"
        )
    outcome, replicas = conclude(sim, segments), sim.engines.size
    del sim  # what is not told makes room
    by_replica(outcome.segments, replicas)
    return outcome


def replay(
    workload: Workload,
    cost: StepCost,
    power: PowerCurve,
    limits: FleetLimits,
    *,
    usd_per_s: float = 0.0,
    seed: int = 0,
) -> Outcome:
    """Replay the workload on one pool: see `replay_pools`."""
    pool = Pool(cost, power, limits, usd_per_s)
    return replay_pools(workload, [pool], limits.router, limits.queue_order, seed)
