"""The Pareto front: fleets that none beats in price, in latency and in energy at once, by one replicate."""

from __future__ import annotations

import math
from typing import NamedTuple

from tracekit.analyzers.sizing.observation import Observation
from tracekit.analyzers.sizing.replayer import Candidate, Replayer, Run
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.scan import Scan

LARGER = (1.25, 1.5, 2.0, 3.0)
"""Times the fewest replicas: what more of them buy."""
GROWN = 6
"""Kinds of which larger fleets are looked at, the cheapest first."""


class Point(NamedTuple):
    """One fleet in one replicate, and whether none beats it."""

    candidate: Candidate
    observation: Observation
    is_on_front: bool


def pareto(replayer: Replayer, scan: Scan, most_replicas: int) -> list[Point]:
    """Fleets that meet the objectives, the cheapest first."""
    fitting = [found.candidate for found in scan.found if found.candidate is not None]
    fitting.sort(key=lambda one: (one.usd_per_h, one.kind.sort_key))
    grown = [
        Candidate(one.kind, size)
        for one in _distinct(fitting)[:GROWN]
        for size in dict.fromkeys(min(most_replicas, math.ceil(times * one.replicas)) for times in LARGER)
        if size > one.replicas
    ]
    fleets = list(dict.fromkeys(one.replayed for one in [*fitting, *grown]))
    first = Replicate(replayer.load.seed, 0, is_nominal=True)
    observations = replayer.observe([Run(one, first) for one in fleets])
    measures = [
        (one.usd_per_h, observation.slo_s[0], observation.watts)
        for one, observation in zip(fleets, observations, strict=True)
    ]
    points = [
        Point(one, observation, not any(_beats(other, measure) for other in measures))
        for one, observation, measure in zip(fleets, observations, measures, strict=True)
        if observation.meets(replayer.load.slos)
    ]
    return sorted(points, key=lambda point: (point.candidate.usd_per_h, point.candidate.kind.sort_key))


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """The cheapest router of each kind of replica."""
    return list({one.kind.pools: one for one in reversed(candidates)}.values())[::-1]


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
