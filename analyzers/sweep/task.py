"""One replay of a sweep as numbers alone: a worker needs no catalog, no file and no trace.

So a worker on another machine cannot know another price or calibration than the one who asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, NamedTuple

from tracekit.analyzers import scenario
from tracekit.analyzers.kernels.layout import Floats, Pool, Workload
from tracekit.analyzers.kernels.prepare import pool_rows
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.what_if.changes import Changes
from tracekit.analyzers.workers.code import content_digest


class Released(NamedTuple):
    """A workload as it arrives, and its sessions' scores (s,), NaN where there is none."""

    workload: Workload
    score: Floats

    def digest(self) -> str:
        """A name for its content."""
        return content_digest(self.workload._asdict() | {"score": self.score})


_COSTS_NOTHING = {
    "replicas": 1,
    "min_replicas": None,
    "max_num_seqs": None,
    "max_num_batched_tokens": None,
    "prefix_cache": True,
    "retention": "lru",
    "startup_s": 0.0,
}
"""Settings that what a step takes and draws does not depend on, at values that go together."""


class Costs:
    """What steps take and draw, worked out once for pools that differ in other things."""

    def __init__(self) -> None:
        self._known: dict[scenario.Pool, Pool] = {}

    def pools_of(self, fleet: Fleet) -> tuple[Pool, ...]:
        """As `replay.pools_of`, and raises the same."""
        limits = fleet.limits()
        return tuple(
            self._priced(pool)._replace(limits=of_pool)
            for pool, of_pool in zip(fleet.pools, limits, strict=True)
        )

    def _priced(self, pool: scenario.Pool) -> Pool:
        alike: dict[str, Any] = _COSTS_NOTHING
        kind = replace(pool, **alike)
        if kind not in self._known:
            alone = Fleet((replace(kind, role="both"),))
            self._known[kind] = pools_of(alone)[0]
        return self._known[kind]


class Task(NamedTuple):
    """What a replay is computed from: which of the released workloads, what is changed of it, and the fleet's numbers.

    `gpus` is of one replica of each pool.
    """

    released: int
    changes: Changes
    seed: int
    pools: tuple[Pool, ...]
    gpus: tuple[int, ...]
    fleet_seed: int

    @classmethod
    def of(cls, released: int, fleet: Fleet, changes: Changes, seed: int, costs: Costs | None = None) -> Task:
        """The replay of a scenario's fleet and changes.

        Raises
        ------
        UnknownName, ScenarioInvalid, ModelDoesNotFit, CalibrationInvalid : the fleet cannot be.
        """
        gpus = tuple(pool.tp for pool in fleet.pools)
        pools = (costs or Costs()).pools_of(fleet)
        return cls(released, changes, seed, pools, gpus, fleet.seed)

    @property
    def sessions(self) -> str:
        """A name for what is replayed: which workload, changed in which way."""
        return f"{self.released} {self.changes} {self.seed}"

    def key(self, digest: str, code: str) -> str:
        """A name for its result: the content of its workload, every number of the fleet, and what computes."""
        told = hashlib.sha256(pool_rows(self.pools).tobytes())
        limits = self.pools[0].limits
        rest = (
            digest,
            code,
            self.changes,
            self.seed,
            self.gpus,
            self.fleet_seed,
            limits.router,
            limits.queue_order,
            [pool.limits.calls for pool in self.pools],
        )
        told.update(repr(rest).encode())
        return told.hexdigest()
