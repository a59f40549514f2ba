"""Replays of fleets under replicates, each once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from tracekit.analyzers.kernels.layout import Pool, Workload
from tracekit.analyzers.scenario import DEFAULT_ROUTER, QUEUE_ORDERS, ROUTERS, Fleet
from tracekit.analyzers.scenario import Pool as ScenarioPool
from tracekit.analyzers.sizing.arriving import AtRate
from tracekit.analyzers.sizing.basis import Alone, Basis, Load, alone_s
from tracekit.analyzers.sizing.candidate import Kind
from tracekit.analyzers.sizing.crew import Crew, Told
from tracekit.analyzers.sizing.model_error import deviating
from tracekit.analyzers.sizing.observation import Observation
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.task import Recorded, Task


class Candidate(NamedTuple):
    """A kind in a size."""

    kind: Kind
    replicas: int

    @property
    def fleet(self) -> Fleet:
        return self.kind.fleet(self.replicas)

    @property
    def replayed(self) -> Candidate:
        """The same, or what is sure to be the same: a single replica has nothing to route."""
        if self.replicas > 1:
            return self
        return Candidate(replace(self.kind, router=DEFAULT_ROUTER), self.replicas)

    @property
    def usd_per_h(self) -> float:
        return self.kind.usd_per_h(self.replicas)

    @property
    def gpus(self) -> int:
        return self.kind.gpus(self.replicas)


class Run(NamedTuple):
    """One replay: a fleet under a replicate."""

    candidate: Candidate
    replicate: Replicate


class Replayer:
    """Replays under one load, by a crew; what was replayed before is remembered."""

    def __init__(
        self,
        load: Load,
        crew: Crew,
        bases: dict[tuple[ScenarioPool, ...], Basis] | None = None,
        told: Told | None = None,
    ) -> None:
        self.load = load
        self.crew = crew
        self._told = crew.tell(Recorded.of(load.workload)) if told is None else told
        self._bases = {} if bases is None else bases
        # by numbers: fleets of other names or shares may come to the same
        self._seen: dict[Task, Observation] = {}
        self._ahead: set[Task] = set()

    def under(self, load: Load) -> Replayer:
        """A replayer of the same fleets under another load."""
        if load.workload is self.load.workload:
            return Replayer(load, self.crew, self._bases, self._told)
        return Replayer(load, self.crew)

    def prepare(self, kinds: list[Kind]) -> None:
        """Work out what replays of these kinds have in common, side by side. Raises UnknownName, ModelDoesNotFit."""
        missing = {kind.pools: kind for kind in kinds if kind.pools not in self._bases}
        alone = [Alone.of(kind) for kind in missing.values()]
        found = self.crew.map(alone_s, self._told, alone, lambda _place, _found: self.crew.count())
        for kind, seconds in zip(missing.values(), found, strict=True):
            self._bases[kind.pools] = Basis.of(kind, seconds)

    def basis(self, kind: Kind) -> Basis:
        """What the kind's replays have in common."""
        if kind.pools not in self._bases:
            self.prepare([kind])
        return self._bases[kind.pools]

    def observe(self, runs: Sequence[Run], ahead: Iterable[Run] = ()) -> list[Observation]:
        """What each replay says, in order; workers that would stand idle replay some of those `ahead` meanwhile."""
        asked = [self._task(run) for run in runs]
        new = [task for task in dict.fromkeys(asked) if task not in self._seen]
        spare = self._spare(new, ahead)
        said = self.crew.observe(self._told, [*new, *spare], counted=len(new))
        self._seen.update(zip((*new, *spare), said, strict=True))
        for task in self._ahead.intersection(asked):
            self._ahead.remove(task)
            self.crew.count()
        self._ahead.update(spare)
        return [self._seen[task] for task in asked]

    def _spare(self, new: list[Task], ahead: Iterable[Run]) -> list[Task]:
        """What is replayed with the new ones, so that every worker has something to do."""
        idle = self.crew.workers - len(new)
        if not new or idle <= 0:
            return []
        others = dict.fromkeys(self._task(run) for run in islice(ahead, idle))
        return [task for task in others if task not in self._seen and task not in new]

    def replay(self, tasks: Sequence[Task]) -> list[Observation]:
        """What other replays of the recorded sessions say, in order; they are not remembered."""
        return self.crew.observe(self._told, tasks)

    def workload_of(self, kind: Kind) -> Workload:
        """What replicate 0 of the kind's fleets is a replay of; worked out here, whatever became of the workers."""
        recorded = self._told.recorded
        if kind.pools not in self._bases:
            self._bases[kind.pools] = Basis.of(kind, alone_s(recorded, Alone.of(kind)))
        replicate = Replicate(self.load.seed, 0)
        return recorded.arriving(replicate, self._release(self._bases[kind.pools], replicate))

    def _release(self, basis: Basis, replicate: Replicate) -> AtRate:
        sessions = basis.sessions(self.load)
        return AtRate(self.load.rate_per_s, sessions, basis.alone_p95_s(replicate, sessions))

    def _task(self, run: Run) -> Task:
        candidate, replicate = run.candidate.replayed, run.replicate
        kind, basis = candidate.kind, self.basis(candidate.kind)
        deviation = replicate.deviation().beside(self.load.bias)
        pools = tuple(
            deviating(_sized(pool, count, own.min_replicas or 0), basis.error, deviation)
            for pool, own, count in zip(basis.pools, kind.pools, kind.counts(candidate.replicas), strict=True)
        )
        return Task(
            replicate,
            self._release(basis, replicate),
            pools,
            basis.gpus,
            int(ROUTERS[kind.router]),
            int(QUEUE_ORDERS[kind.queue_order]),
            self.load.slos,
        )


def _sized(pool: Pool, replicas: int, least: int) -> Pool:
    """The pool in another size, of which `least` are never switched off; 0: all."""
    limits = pool.limits._replace(replicas=replicas, min_replicas=min(least, replicas))
    return pool._replace(limits=limits)
