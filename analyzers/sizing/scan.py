"""The first look at every kind: the fewest replicas that meet the objectives in one replicate.

Kinds are looked at in waves, in the order of the price below which they cannot be; what one wave finds bounds what
the next one looks at, so waves have one size on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tracekit.analyzers.sizing.bound import least_replicas
from tracekit.analyzers.sizing.candidate import Kind
from tracekit.analyzers.sizing.observation import Observation
from tracekit.analyzers.sizing.replayer import Candidate, Replayer, Run
from tracekit.analyzers.sizing.replicate import Replicate

WAVE = 6
DEAR = 4.0
"""Times the cheapest fleet found so far, beyond which a kind is not looked at: too dear for any front."""
FIRST_STEP = 1.25
"""From a size that fails to the next one tried."""


@dataclass(frozen=True, eq=False)
class Found:
    """What one replicate says of a kind; `replicas` is None if no size up to the limit does."""

    kind: Kind
    bound: int  # replicas below which it cannot keep up
    most: int  # replicas that were allowed
    replicas: int | None
    observation: Observation | None  # at that size; else at the largest tried

    @property
    def candidate(self) -> Candidate | None:
        return None if self.replicas is None else Candidate(self.kind, self.replicas)


class Skipped(NamedTuple):
    """A kind that was not replayed, and the least it could cost in an hour."""

    kind: Kind
    usd_per_h: float


@dataclass(frozen=True, eq=False)
class Scan:
    """All kinds, in order of their least price."""

    found: tuple[Found, ...]
    skipped: tuple[Skipped, ...]


class _Bisection:
    """The search for one kind's fewest replicas, a size at a time: up from a guess, then between."""

    def __init__(self, kind: Kind, bound: int, most: int) -> None:
        self.kind, self.bound, self.most = kind, bound, most
        self.next: int | None = min(bound, most)
        self.fails = bound - 1
        self.passes: int | None = None
        self.at: dict[int, Observation] = {}

    def take(self, observation: Observation, is_met: bool) -> None:
        """What the size asked for came to."""
        size = self.next
        assert size is not None
        self.at[size] = observation
        if is_met:
            self.passes = size
        else:
            self.fails = size
        self.next = self._after(size)

    def _after(self, size: int) -> int | None:
        if self.passes is not None:
            return None if self.passes - self.fails <= 1 else (self.fails + self.passes) // 2
        if size >= self.most:
            return None
        if len(self.at) == 1:
            return self.most if self.most <= 2 * size else max(size + 1, int(size * FIRST_STEP))
        return min(self.most, max(size + 1, 2 * size - self.bound + 1))

    def found(self) -> Found:
        size = self.passes if self.passes is not None else max(self.at)
        return Found(self.kind, self.bound, self.most, self.passes, self.at[size])


def scan(replayer: Replayer, kinds: tuple[Kind, ...], most_replicas: int) -> Scan:
    """The fewest replicas of every kind in one replicate, which takes the model as it is."""
    load = replayer.load
    replayer.prepare(list(kinds))
    bounds = {
        kind: least_replicas(load.workload, replayer.basis(kind).pools, load.rate_per_s) for kind in kinds
    }
    ordered = sorted(kinds, key=lambda kind: (kind.usd_per_h(bounds[kind]), kind.sort_key))
    found: list[Found] = []
    skipped: list[Skipped] = []
    for wave in _waves(ordered):
        cap = DEAR * _cheapest(found)
        looked_at = []
        for kind in wave:
            least_usd_per_h = kind.usd_per_h(bounds[kind])
            if least_usd_per_h > cap:
                skipped.append(Skipped(kind, least_usd_per_h))
            else:
                looked_at.append(
                    _Bisection(kind, bounds[kind], _most(kind, bounds[kind], most_replicas, cap))
                )
        found += _bisected(replayer, looked_at)
    return Scan(tuple(found), tuple(skipped))


def _waves(kinds: list[Kind]) -> Iterator[list[Kind]]:
    for start in range(0, len(kinds), WAVE):
        yield kinds[start : start + WAVE]


def _cheapest(found: list[Found]) -> float:
    prices = (one.candidate.usd_per_h for one in found if one.candidate is not None)
    return min(prices, default=float("inf"))


def _most(kind: Kind, bound: int, most_replicas: int, cap: float) -> int:
    """The largest size that is neither too many replicas nor too dear."""
    most = most_replicas
    if cap < float("inf"):
        most = min(most, int(cap / kind.usd_per_h(kind.least_replicas) * kind.least_replicas))
    return max(bound, most)


def _bisected(replayer: Replayer, searches: list[_Bisection]) -> list[Found]:
    """All searches together, a size of each at a time."""
    first = Replicate(replayer.load.seed, 0, is_nominal=True)
    while open_ones := [search for search in searches if search.next is not None]:
        runs = [Run(Candidate(search.kind, search.next or 0), first) for search in open_ones]
        for search, observation in zip(open_ones, replayer.observe(runs), strict=True):
            search.take(observation, observation.meets(replayer.load.slos))
    return [search.found() for search in searches]
