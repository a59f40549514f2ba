"""The search: a look at every kind, then verdicts in the order of what is wanted, until nothing can be better.

A fleet of more replicas is taken to be no worse, so that each kind has a smallest size that passes. A kind whose
largest size below the best fleet so far does not pass cannot be better, and a few replicates show most of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tracekit.analyzers.sizing.candidate import Kind
from tracekit.analyzers.sizing.observation import Observation
from tracekit.analyzers.sizing.replayer import Candidate, Replayer
from tracekit.analyzers.sizing.replicate import REPLICATES
from tracekit.analyzers.sizing.scan import Found, Scan
from tracekit.analyzers.sizing.verdict import BATCH, Verdict, judge

MEASURES = {"cost": "cost", "energy": "energy", "carbon": "energy"}
"""What decides by each objective: on one grid the fleet of the least energy is that of the lowest carbon."""
HOPE = 4
"""The stride at which the largest size is looked at, before all sizes up to it are."""
LINE_ERROR = 0.01
"""By which watts may be below the straight line from one replicate."""
NEAR_SHARE, NEAR_REPLICAS = 0.25, 2
"""A kind that needs this much more in one replicate than the best fleet leaves it is given up without a verdict."""


class Best(NamedTuple):
    """The fleet that is best by one measure, and what it comes to: $ an hour, or W."""

    measure: str
    verdict: Verdict
    value: float


@dataclass(frozen=True, eq=False)
class Valued:
    """A kind's size in one replicate, and how its value grows with replicas."""

    found: Found
    value: float
    per_replica: float

    def at(self, replicas: int) -> float:
        """Its value in another size, by a straight line."""
        assert self.found.replicas is not None
        return self.value + (replicas - self.found.replicas) * self.per_replica

    def largest_below(self, value: float) -> int:
        """The largest size whose value is below."""
        assert self.found.replicas is not None
        size = self.found.replicas + int((value - self.value) / self.per_replica)
        while self.at(size) >= value:
            size -= 1
        return size


def best_fleet(
    replayer: Replayer, scan: Scan, measure: str, most_replicas: int, asked: int = REPLICATES
) -> Best | None:
    """The best fleet of those that pass; None if none does."""
    best: Best | None = None
    for valued in _in_order(replayer, scan, measure):
        found = _better(replayer, valued, measure, best, most_replicas, asked)
        best = found or best
    return best


def value_of(verdict: Verdict, measure: str) -> float:
    """What is to be least: $ an hour; else W, since all fleets are on one grid."""
    if measure == "cost":
        return verdict.candidate.usd_per_h
    return sum(observation.watts for observation in verdict.observations) / len(verdict.observations)


def _in_order(replayer: Replayer, scan: Scan, measure: str) -> list[Valued]:
    valued = [_valued(replayer, found, measure) for found in scan.found if found.replicas is not None]
    return sorted(valued, key=lambda one: (one.value, one.found.kind.sort_key))


def _valued(replayer: Replayer, found: Found, measure: str) -> Valued:
    candidate, observation = found.candidate, found.observation
    assert candidate is not None
    assert observation is not None
    if measure == "cost":
        return Valued(found, candidate.usd_per_h, candidate.usd_per_h / candidate.replicas)
    idle_w = [pool.power.idle_w for pool in replayer.basis(found.kind).pools]
    shares = found.kind.mix
    return Valued(
        found, observation.watts, sum(share * watts for share, watts in zip(shares, idle_w, strict=True))
    )


def _better(
    replayer: Replayer, valued: Valued, measure: str, best: Best | None, most_replicas: int, asked: int
) -> Best | None:
    """The kind's smallest size that passes, if that is better than the best so far."""
    found = valued.found
    assert found.replicas is not None
    largest = most_replicas
    if best is not None:
        reach = best.value if measure == "cost" else best.value * (1.0 + LINE_ERROR)
        largest = min(largest, valued.largest_below(reach))
        slack = max(NEAR_REPLICAS, int(NEAR_SHARE * found.replicas))
        if largest < found.bound or largest < found.replicas - slack:
            return None
    rival = None if best is None or measure == "cost" else best.verdict.observations
    verdict = smallest_passing(
        replayer, found.kind, found.bound, min(found.replicas, largest), largest, asked, rival
    )
    if verdict is None or verdict.is_outdone:
        return None
    value = value_of(verdict, measure)
    return Best(measure, verdict, value) if best is None or value < best.value else None


def _is_out_of_reach(replayer: Replayer, largest: Candidate, asked: int) -> bool:
    """Whether not even the largest fleet holds, as a few replicates show."""
    return (
        not judge(replayer, largest, min(asked, BATCH)).passes and not judge(replayer, largest, asked).passes
    )


def smallest_passing(
    replayer: Replayer,
    kind: Kind,
    least: int,
    guess: int,
    most: int,
    asked: int = REPLICATES,
    rival: tuple[Observation, ...] | None = None,
) -> Verdict | None:
    """The verdict on the smallest size from `least` to `most` that passes; None if none does.

    From the guess upwards in growing strides until one passes, then between; or downwards likewise. A size that the
    `rival` outdoes is an upper end like one that passes, since larger ones need more still: the verdict on it is given
    where no smaller one passes.
    """
    fails, passed = least - 1, None
    size, stride = max(guess, least), 1
    while size <= most:
        verdict = judge(replayer, Candidate(kind, size), asked, rival=rival)
        if verdict.passes or verdict.is_outdone:
            passed = verdict
            break
        if size == most or (stride == HOPE and _is_out_of_reach(replayer, Candidate(kind, most), asked)):
            return None
        fails = size
        size, stride = min(most, size + stride), 2 * stride
    if passed is None:
        return None
    stride = 1
    while passed.candidate.replicas - fails > 1:
        high = passed.candidate.replicas
        size = high - stride if fails < least else (fails + high) // 2
        size, stride = max(size, fails + 1), 2 * stride
        verdict = judge(replayer, Candidate(kind, size), asked, rival=rival)
        if verdict.passes or verdict.is_outdone:
            passed = verdict
        else:
            fails = size
    return passed
