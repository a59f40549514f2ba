"""What is asked of a fleet, and what all replays of one kind of fleet have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.kernels.layout import Floats, Pool, StepKind, Workload
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.sizing.candidate import Kind
from tracekit.analyzers.sizing.horizon import sessions_of_a_replay, steady_sessions
from tracekit.analyzers.sizing.model_error import AS_MODELLED, Deviation, ModelError, model_error
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.slo import Slo
from tracekit.analyzers.sizing.task import Recorded
from tracekit.analyzers.unloaded import sessions_alone_s


class Load(NamedTuple):
    """What is asked of the fleet."""

    workload: Workload  # as recorded
    rate_per_s: float
    slos: tuple[Slo, ...]
    seed: int = 0
    bias: Deviation = AS_MODELLED  # sigmas that the model is off in every replicate


class Alone(NamedTuple):
    """The numbers of one replica, and of a fleet of nothing else."""

    pools: tuple[Pool, ...]
    seed: int

    @classmethod
    def of(cls, kind: Kind) -> Alone:
        """By the catalog. Raises UnknownName, ModelDoesNotFit."""
        fleet = kind.fleet(kind.least_replicas).alone()
        return cls(pools_of(fleet), fleet.seed)


def alone_s(recorded: Recorded, alone: Alone) -> Floats:
    """Seconds of each recorded session by itself, (s,); what a worker is sent to do."""
    return sessions_alone_s(recorded.workload, alone.pools, alone.seed)


@dataclass(frozen=True, eq=False)
class Basis:
    """What a kind's replays have in common, whatever its size, its router and the rate.

    `pools` are of any size, `gpus` of one replica of each, `alone_s` (s,) each recorded session by itself.
    """

    pools: tuple[Pool, ...]
    gpus: tuple[int, ...]
    error: ModelError
    alone_s: Floats
    _alone_p95_s: dict[tuple[int, int, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: Kind, alone_s: Floats) -> Basis:
        """By the catalog. Raises UnknownName, ModelDoesNotFit."""
        smallest = kind.fleet(kind.least_replicas)
        gpus = tuple(pool.tp for pool in smallest.pools)
        return cls(pools_of(smallest), gpus, model_error(smallest), alone_s)

    def sessions(self, load: Load) -> int:
        """Sessions of a replay under the load."""
        calls = np.count_nonzero(load.workload.kind == StepKind.CALL) / len(self.alone_s)
        steady = steady_sessions(load.slos, load.rate_per_s, self.alone_s, calls)
        limits_s = [slo.limit_s for slo in load.slos if slo.metric == "session"]
        slowest_s = max(float(self.alone_s.max()), *limits_s, 0.0)
        return sessions_of_a_replay(steady, load.rate_per_s, percentile(self.alone_s, 95), slowest_s)

    def alone_p95_s(self, replicate: Replicate, sessions: int) -> float:
        """The p95 of the sessions that a replicate draws, each by itself."""
        key = (replicate.seed, replicate.number, sessions)
        if key not in self._alone_p95_s:
            drawn = replicate.drawn(len(self.alone_s), sessions)
            self._alone_p95_s[key] = percentile(np.ascontiguousarray(self.alone_s[drawn]), 95)
        return self._alone_p95_s[key]
