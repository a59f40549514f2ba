"""Replay a workload on a fleet: the kernel between a scenario's coefficients and a timeline in ns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from tracekit.analyzers import scenario
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.kernels.example import DARK, NO_COST, ONE_REPLICA, one_call
from tracekit.analyzers.kernels.jit import is_compiled
from tracekit.analyzers.kernels.lanes import lanes_of
from tracekit.analyzers.kernels.layout import Bytes, FleetLimits, Outcome, Pool, SmallInts, Workload
from tracekit.analyzers.kernels.replay import replay, replay_pools
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.timeline import Timeline
from tracekit.analyzers.workload import as_recorded


@dataclass(frozen=True)
class Replay:
    """One workload on one fleet, and what came of it."""

    fleet: Fleet
    replicas: tuple[Replica, ...]  # one of each pool
    limits: tuple[FleetLimits, ...]
    workload: Workload
    timeline: Timeline

    @property
    def replica(self) -> Replica:
        """One of the first pool."""
        return self.replicas[0]

    @cached_property
    def input_tokens(self) -> SmallInts:
        """Of each call, in the order of the outcome's calls."""
        tokens: SmallInts = self.workload.input_tokens[self.timeline.outcome.calls["step"]]
        return tokens

    @cached_property
    def output_tokens(self) -> SmallInts:
        """Of each call, in the order of the outcome's calls."""
        tokens: SmallInts = self.workload.output_tokens[self.timeline.outcome.calls["step"]]
        return tokens


def pools_of(fleet: Fleet) -> tuple[Pool, ...]:
    """The fleet's pools as the kernel takes them.

    Raises
    ------
    UnknownName, ScenarioInvalid, ModelDoesNotFit, CalibrationInvalid : names, sizes or files that cannot be.
    """
    return tuple(_pool(pool, limits) for pool, limits in zip(fleet.pools, fleet.limits(), strict=True))


def _pool(pool: scenario.Pool, limits: FleetLimits) -> Pool:
    cost = pool.cost()
    return Pool(cost.step, cost.power, limits, usd_per_s(pool.replica()), cost.table)


def usd_per_s(replica: Replica) -> float:
    """The price of one replica, all its GPUs."""
    return replica.tp * replica.gpu.price.typical / 3600


def lanes_on(workload: Workload, fleet: Fleet) -> Bytes:
    """For which of the fleet's lanes each step is, shape (n,); (0,) where it has but one."""
    return lanes_of(workload, fleet.lane_rules, fleet.seed)


def replay_on(
    workload: Workload, fleet: Fleet, pools: tuple[Pool, ...] | None = None, lanes: Bytes | None = None
) -> Replay:
    """The workload replayed on the fleet; by `pools` where its own (`pools_of`) were changed, at a cost of yours.

    `lanes` as of `lanes_on`, where they are not to be told from this workload.

    Raises
    ------
    UnknownName, ModelDoesNotFit : the fleet names what the catalog lacks, or what cannot be.
    """
    limits = fleet.limits()
    told = pools_of(fleet) if pools is None else pools
    outcome = replay_pools(workload, told, limits[0].router, limits[0].queue_order, fleet.seed, lanes)
    return Replay(
        fleet=fleet,
        replicas=tuple(pool.replica() for pool in fleet.pools),
        limits=limits,
        workload=workload,
        timeline=Timeline.of(outcome, [pool.tp for pool in fleet.pools]),
    )


def kernel_is_compiled() -> bool:
    """Whether the next replay starts at once; else its kernels are compiled first, for half a minute or so."""
    return is_compiled()


def compile_kernel() -> None:
    """Has the kernels compiled, or loaded, by replaying a workload of one call."""
    replay_recorded(one_call())


def replay_recorded(workload: Workload) -> Outcome:
    """The workload with every call at its recorded length: starts come back as they were recorded."""
    return replay(as_recorded(workload), NO_COST, DARK, ONE_REPLICA)
