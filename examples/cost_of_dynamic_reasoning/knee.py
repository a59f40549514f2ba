"""How many requests a second one GPU holds: the largest rate at which p95 is at most twice that at the lowest rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from math import sqrt
from statistics import fmean
from typing import Any, NamedTuple, Self

import numpy as np

from examples.cost_of_dynamic_reasoning.hardware import SMALL, Profile, replay_by
from tracekit.analyzers.kernels.layout import Workload
from tracekit.analyzers.release import poisson_release
from tracekit.analyzers.timeline import NS_PER_S, Timeline

TIMES = 2.0
HIGHEST_QPS = 64.0
PRECISION = 1.005
FIRST_STEP = 2.0
BEYOND = 1.4
CURVE_POINTS = 10


class Load(NamedTuple):
    """How a rate is tried: sessions a replay, and seeds."""

    sessions: int
    seeds: tuple[int, ...]


FULL = Load(400, (1, 2, 3))
QUICK = Load(40, (1,))


@dataclass(frozen=True)
class Knee:
    """The knee by seed, and p95 at rates up to BEYOND it: (requests/s, s), means over seeds."""

    qps: tuple[float, ...]
    curve: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Self:
        """As the results have it."""
        return cls(tuple(kept["qps"]), tuple((qps, p95_s) for qps, p95_s in kept["curve"]))

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(self.qps))

    def to_json(self) -> dict[str, Any]:
        """As the results keep it."""
        return asdict(self)


def find_knee(workload: Workload, lowest_qps: float, cached: bool, profile: Profile, load: Load) -> Knee:
    """By halving the interval of log rate, for each seed; then the curve up to some way beyond."""

    def p95_s(qps: float, seed: int) -> float:
        return session_p95_s(loaded(workload, qps, cached, profile, load.sessions, seed))

    knees = [_knee_of_seed(partial(p95_s, seed=seed), lowest_qps) for seed in load.seeds]
    rates = np.geomspace(lowest_qps, BEYOND * max(knees), CURVE_POINTS)
    curve = [(float(qps), fmean(p95_s(float(qps), seed) for seed in load.seeds)) for qps in rates]
    return Knee(tuple(knees), tuple(curve))


def _knee_of_seed(p95_s: Callable[[float], float], lowest_qps: float) -> float:
    limit_s = TIMES * p95_s(lowest_qps)
    low = high = lowest_qps
    while high < HIGHEST_QPS and p95_s(high := high * FIRST_STEP) <= limit_s:
        low = high
    while high / low > PRECISION:
        middle = sqrt(low * high)
        low, high = (middle, high) if p95_s(middle) <= limit_s else (low, middle)
    return low


def loaded(
    workload: Workload, qps: float, cached: bool, profile: Profile, sessions: int, seed: int
) -> Timeline:
    """Sessions drawn with replacement that arrive at random on one A100."""
    released, _drawn = poisson_release(workload, qps, sessions, seed)
    fleet = replace(SMALL, pools=(replace(SMALL.pools[0], prefix_cache=cached),))
    return replay_by(released, fleet, profile)


def session_p95_s(timeline: Timeline) -> float:
    """Of the time from release to end."""
    session_s = (timeline.session_end_ns - timeline.session_start_ns) / NS_PER_S
    return float(np.percentile(session_s, 95, method="inverted_cdf"))


def knee_of_curve(curve: list[list[float]]) -> float:
    """The same rule on a published curve of (rate, p95), straight lines between its points."""
    limit_s = TIMES * curve[0][1]
    for (low, low_s), (high, high_s) in pairwise(curve):
        if high_s > limit_s:
            return low + (high - low) * (limit_s - low_s) / (high_s - low_s)
    return curve[-1][0]
