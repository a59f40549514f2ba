"""A fleet over a day: replicas that come and go with the rate, against one that stands at its peak all day.

A day is replayed whole. Where it has more calls than a machine replays in a few seconds, every k-th session of it
arrives at a k-th of the fleet; a small fleet smooths less than a large one, so that the saving is understated.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.daily_profile import HOURS_PER_DAY, DailyProfile
from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import QUEUE_ORDERS, ROUTERS, Fleet, Pool
from tracekit.analyzers.sizing.arriving import S_PER_DAY, OverDay
from tracekit.analyzers.sizing.candidate import Kind
from tracekit.analyzers.sizing.model_error import deviating
from tracekit.analyzers.sizing.observation import Observation
from tracekit.analyzers.sizing.replayer import Candidate, Replayer
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.task import Task
from tracekit.analyzers.sizing.verdict import Interval, least_meeting

DAYS_REPLAYED = 20
"""Replicates of a day: held if 19 of them meet every objective."""
MOST_CALLS = 600_000
"""Of a day that is replayed."""
EAGERNESS = (0.25, 0.5, 0.75, 1.0, 1.5)
"""Calls standing on each replica at which one more is started, by those that stand on the peak fleet's."""
SPARE_SHARE = 0.25
"""Replicas beyond the peak fleet's that an elastic one may start: it is behind by the time they take to start."""
SMALL_FLEET = 8
"""Replicas up to which an elastic fleet without spare ones is looked at: there one is a large part of the price."""
QUIET_S = 120.0
"""Idle time after which a replica is switched off."""


class DailyLoad(NamedTuple):
    """A day's profile, and the mean rate over it; None takes the profile's levels as rates."""

    profile: DailyProfile
    rate_per_s: float | None
    startup_s: float

    def mean_per_s(self) -> float:
        """Sessions a second over the whole day."""
        return self.profile.mean_rate_per_s if self.rate_per_s is None else self.rate_per_s

    def highest_per_s(self) -> float:
        """The rate of the busiest hours."""
        return float(self._levels().max())

    def lowest_per_s(self) -> float:
        """The rate of the quietest hours."""
        return float(self._levels().min())

    def _levels(self) -> np.ndarray:
        edge_s, expected = self.profile.expected_sessions(self.rate_per_s, 1)
        lengths = np.diff(edge_s)
        return np.diff(expected)[lengths > 0] / lengths[lengths > 0]


class DayOf(NamedTuple):
    """A fleet's replayed days."""

    fleet: Fleet  # as large as the day is, not as the part of it that was replayed
    observations: tuple[Observation, ...]
    meeting: int

    @property
    def passes(self) -> bool:
        return self.meeting >= least_meeting(len(self.observations))

    def usd(self, part: int) -> Interval:
        """Dollars of the day; `part` is what part of the fleet was replayed."""
        return Interval.of([one.usd_per_s * S_PER_DAY * part for one in self.observations])

    def gpus(self, part: int) -> Interval:
        """Mean number of GPUs that are paid for."""
        return Interval.of([one.gpus * part for one in self.observations])


class Elasticity(NamedTuple):
    """The peak fleet and an elastic one over the same days; None where no elastic fleet holds."""

    part: int  # every part-th session was replayed, on as small a part of the fleet
    static: DayOf
    elastic: DayOf | None
    best_failing: DayOf | None  # the elastic fleet that came nearest, where none holds


def elasticity(replayer: Replayer, daily: DailyLoad, peak: Candidate, in_flight: float) -> Elasticity:
    """What elasticity saves; `in_flight` is the mean number of calls on the peak fleet at the peak."""
    part = _part(replayer, daily)
    counts = tuple(max(1, math.ceil(count / part)) for count in peak.kind.counts(peak.replicas))
    part = max(1, round(peak.replicas / sum(counts))) if part > 1 else 1
    static = Fleet(
        tuple(replace(pool, replicas=count) for pool, count in zip(peak.kind.pools, counts, strict=True)),
        peak.kind.router,
        peak.kind.queue_order,
    )
    standing = _days(replayer, daily, peak.kind, static, part, DAYS_REPLAYED)
    tried = [
        (fleet, _days(replayer, daily, peak.kind, fleet, part, 1))
        for fleet in _elastic_fleets(static, daily, in_flight / part)
    ]
    tried.sort(key=lambda one: one[1].observations[0].usd_per_s)
    best_failing = None
    for fleet, glance in tried:
        if not glance.passes:
            continue
        day = _days(replayer, daily, peak.kind, fleet, part, DAYS_REPLAYED)
        if day.passes:
            return Elasticity(part, standing, day, None)
        if best_failing is None or day.meeting > best_failing.meeting:
            best_failing = day
    nearest = min((glance for _fleet, glance in tried), key=_misses, default=None)
    return Elasticity(part, standing, None, best_failing or nearest)


def _misses(day: DayOf) -> float:
    return sum(value for one in day.observations for value in one.slo_s)


def _part(replayer: Replayer, daily: DailyLoad) -> int:
    workload = replayer.load.workload
    a_session = np.count_nonzero(workload.kind == StepKind.CALL) / len(workload.session_arrival_s)
    return max(1, math.ceil(daily.mean_per_s() * S_PER_DAY * a_session / MOST_CALLS))


def _elastic_fleets(static: Fleet, daily: DailyLoad, in_flight: float) -> list[Fleet]:
    """From as many replicas as the quietest hours need, to a few more than the peak's; of a small fleet, to as many."""
    share = daily.lowest_per_s() / daily.highest_per_s()
    each = in_flight / static.replicas
    thresholds = dict.fromkeys(max(1, round(eager * each)) for eager in EAGERNESS)
    leasts = {max(1, math.ceil(share * pool.replicas)) for pool in static.pools}
    leasts |= {max(1, math.ceil(0.5 * pool.replicas)) for pool in static.pools}
    spares = (False, True) if static.replicas <= SMALL_FLEET else (True,)
    fleets = [
        replace(
            static, pools=tuple(_elastic(pool, daily, least, threshold, spare=spare) for pool in static.pools)
        )
        for spare in spares
        for least in sorted(leasts)
        for threshold in thresholds
    ]
    return [
        fleet for fleet in fleets if any(pool.replicas > (pool.min_replicas or 0) for pool in fleet.pools)
    ]


def _elastic(pool: Pool, daily: DailyLoad, least: int, threshold: int, *, spare: bool) -> Pool:
    most = math.ceil((1.0 + SPARE_SHARE) * pool.replicas) + 1 if spare else pool.replicas
    return replace(
        pool,
        replicas=most,
        min_replicas=min(least, most),
        startup_s=daily.startup_s,
        scale_up_calls=threshold,
        scale_down_s=QUIET_S,
    )


def _days(
    replayer: Replayer, daily: DailyLoad, kind: Kind, fleet: Fleet, part: int, replicates: int
) -> DayOf:
    """Days of it, at a part of the rate."""
    load, basis = replayer.load, replayer.basis(kind)
    day = OverDay.of(daily.profile, daily.mean_per_s() / part)
    pools = pools_of(fleet)
    tasks = []
    for number in range(replicates):
        replicate = Replicate(load.seed, number, is_nominal=replicates == 1)
        deviation = replicate.deviation().beside(load.bias)
        tasks.append(
            Task(
                replicate,
                day,
                tuple(deviating(pool, basis.error, deviation) for pool in pools),
                basis.gpus,
                int(ROUTERS[fleet.router]),
                int(QUEUE_ORDERS[fleet.queue_order]),
                load.slos,
            )
        )
    observations = replayer.replay(tasks)
    meeting = sum(all(one.met(load.slos)) for one in observations)
    return DayOf(fleet, tuple(observations), meeting)


def profile_gaps(profile: DailyProfile) -> list[tuple[float, float]]:
    """Stretches of the day that the profile names no hour in, longer than its usual step, as (from, to)."""
    hours = [*profile.hour.tolist(), float(profile.hour[0]) + HOURS_PER_DAY]
    steps = np.diff(hours)
    usual = float(np.median(steps))
    return [
        (hours[place], hours[place + 1])
        for place, step in enumerate(steps)
        if len(profile.hour) > 1 and step > 1.5 * usual
    ]
