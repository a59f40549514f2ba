"""Whether a fleet is named: it passes if 190 of its 200 replicates meet every objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.sizing.observation import Observation
from tracekit.analyzers.sizing.replayer import Candidate, Replayer, Run
from tracekit.analyzers.sizing.replicate import REPLICATES, Replicate
from tracekit.analyzers.sizing.slo import Slo

PASS_SHARE = 0.95
LOW_PERCENT, HIGH_PERCENT = 2.5, 97.5
"""Between which 95 % of the replicates lie: the interval of every figure."""
BATCH = 10
"""Replicates between two looks at whether a fleet can still pass; the same for any number of threads."""
SIGMAS = 5.0
"""Of the mean difference to a rival, beyond which more replicates would not turn it round."""
SURPRISE = 1e-4
"""A fleet that would pass shows as many failures as this with a chance of one in ten thousand."""


class Interval(NamedTuple):
    """The median over the replicates, and the values between which 95 % of them lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Interval:
        """Of one value a replicate, at least one."""
        found = np.asarray(values, np.float64)
        return cls(*(percentile(found, percent) for percent in (50, LOW_PERCENT, HIGH_PERCENT)))


@dataclass(frozen=True, eq=False)
class Verdict:
    """A fleet's replicates, `asked` if it is not stopped early, and what they come to."""

    candidate: Candidate
    slos: tuple[Slo, ...]
    observations: tuple[Observation, ...]
    asked: int
    is_outdone: bool = False  # stopped because another fleet is better, whatever the objectives

    @property
    def is_whole(self) -> bool:
        """Whether no replicate was spared because the outcome was clear."""
        return len(self.observations) == self.asked

    @cached_property
    def meeting(self) -> int:
        """Replicates that keep up and meet every objective."""
        return sum(observation.meets(self.slos) for observation in self.observations)

    @property
    def passes(self) -> bool:
        return self.is_whole and self.meeting >= least_meeting(self.asked)

    @property
    def unstable(self) -> int:
        """Replicates that do not keep up."""
        return sum(observation.unstable for observation in self.observations)

    def missing(self, place: int) -> int:
        """Replicates that miss the objective at that place."""
        return sum(not observation.met(self.slos)[place] for observation in self.observations)

    def slo_interval(self, place: int) -> Interval:
        """What that objective limits."""
        return Interval.of([observation.slo_s[place] for observation in self.observations])

    def interval(self, name: str) -> Interval:
        """A quantity of the observations by its field."""
        return Interval.of([getattr(observation, name) for observation in self.observations])


def least_meeting(replicates: int) -> int:
    """Of so many replicates those that must meet every objective: 190 of 200."""
    return math.ceil(PASS_SHARE * replicates - 1e-9)


@cache
def is_hopeless(failures: int, replicates: int, asked: int) -> bool:
    """Whether so many failures mean that it cannot pass, for certain or by all that chance allows."""
    if failures > asked - least_meeting(asked):
        return True
    chance = sum(_chance_of(count, replicates) for count in range(failures, replicates + 1))
    return failures > 0 and chance < SURPRISE


def _chance_of(failures: int, replicates: int) -> float:
    """That so many replicates fail where one in twenty does; by logarithms, since thousands have no factorial."""
    ways = math.lgamma(replicates + 1) - math.lgamma(failures + 1) - math.lgamma(replicates - failures + 1)
    return math.exp(
        ways + failures * math.log(1 - PASS_SHARE) + (replicates - failures) * math.log(PASS_SHARE)
    )


def needs_more(seen: Sequence[Observation], rival: Sequence[Observation]) -> bool:
    """Whether replicate by replicate the watts are above the rival's by more than chance allows."""
    more_w = np.array([one.watts - other.watts for one, other in zip(seen, rival, strict=False)])
    spread_w = float(more_w.std(ddof=1)) / math.sqrt(len(more_w))
    return float(more_w.mean()) > SIGMAS * spread_w


def judge(
    replayer: Replayer,
    candidate: Candidate,
    asked: int = REPLICATES,
    *,
    stops_early: bool = True,
    rival: tuple[Observation, ...] | None = None,
) -> Verdict:
    """The fleet under `asked` replicates, or as many as it takes to see that it cannot pass.

    With `rival`, a fleet's observations under the same replicates, also no more than it takes to see that the fleet
    needs more watts than that.
    """
    load = replayer.load
    seen: list[Observation] = []
    while len(seen) < asked:
        numbers = range(len(seen), min(asked, len(seen) + BATCH))
        runs = [Run(candidate, Replicate(load.seed, number)) for number in range(numbers.start, asked)]
        seen += replayer.observe(runs[: len(numbers)], ahead=runs[len(numbers) :])
        failures = sum(not observation.meets(load.slos) for observation in seen)
        if stops_early and is_hopeless(failures, len(seen), asked):
            break
        if rival is not None and len(seen) > 1 and needs_more(seen, rival):
            return Verdict(candidate, load.slos, tuple(seen), asked, is_outdone=True)
    return Verdict(candidate, load.slos, tuple(seen), asked)
