"""How far a meter's joules may be from the truth at an instant, and so the bound beside every figure.

At an instant t between two reads the true energy E lies between what is certain: it never falls, and it rises
no faster than the most that the device draws (`most_w`). What a read at t shows is older than t: a counter
that moved since the read before by less than the time between them, and by less than its update period where
that is known; watts by their update period and half of the window that they average over. With C the counter:

    C_a, C_b - most_w (t_b - t)  <=  E(t)  <=  C_b + behind_b, C_a + behind_a + most_w (t - t_a)

with behind = most_w x age, and no more than the counter's next advance. `middle` and `half` describe the range
of meter - truth; the joules between two instants are off by the difference of the middles, give or take both
halves. Integrated watts are off besides by what happens between samples: `variance_at` sums (2 sigma)^2 with
sigma^2 = (dP dt)^2 / 2 an interval, the variance of the trapezoid where power changes faster than it is read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.analyzers.metering.meter import Meter, Pairs, Source
from tracekit.units import NS_PER_S

RESOLUTION_J = 1e-3
"""Of NVML's counter."""
SHORTEST_S = 1e-3
"""Reads closer than this say nothing about watts."""


class Range(NamedTuple):
    """Of meter - truth at instants, in J, each of shape (t,)."""

    middle: Floats
    half: Floats


class Bracket:
    """The range of one meter's error at any instant."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.most_w = _most_w(meter)
        reads = meter.reads
        at = np.append(meter.counter.first, meter.counter.last[-1:])
        self._counter_behind_j = self._behind(meter.counter, _counter_age_s(meter, at)) + RESOLUTION_J
        power_at = np.append(meter.power.first, meter.power.last[-1:])
        self._power_behind_j = self.most_w * reads.lag_s[power_at]
        self._variance = np.concatenate([[0.0], np.cumsum(_variances(meter))])

    def at(self, t_ns: Ints, *, before: bool) -> Range:
        """The range just before or just after each instant; 0 in gaps and outside."""
        interval = self._meter.interval_of(t_ns, before=before)
        middle, half = np.zeros(len(t_ns)), np.zeros(len(t_ns))
        for kind, pairs, pair_of, behind_j in (
            (Source.COUNTER, self._meter.counter, self._meter.counter_pair, self._counter_behind_j),
            (Source.WATTS, self._meter.power, self._meter.power_pair, self._power_behind_j),
        ):
            is_kind = np.append(self._meter.source == kind, False)  # -1 is the last
            here = np.flatnonzero(is_kind[interval])
            if len(here):
                pair = pair_of[interval[here]]
                middle[here], half[here] = self._within(pairs, behind_j, pair, t_ns[here])
        return Range(middle, half)

    def _within(self, pairs: Pairs, behind_j: Floats, pair: Ints, t_ns: Ints) -> Range:
        first, last = pairs.first[pair], pairs.last[pair]
        since_s = (t_ns - self._meter.reads.t_ns[first]) / NS_PER_S
        until_s = (self._meter.reads.t_ns[last] - t_ns) / NS_PER_S
        advance_j = pairs.joules[pair]
        metered_j = advance_j * since_s / pairs.seconds[pair]
        most_j = np.minimum(advance_j + behind_j[pair + 1], behind_j[pair] + self.most_w * since_s)
        least_j = np.maximum(0.0, advance_j - self.most_w * until_s)
        high_j, low_j = metered_j - least_j, metered_j - most_j
        return Range((high_j + low_j) / 2, np.abs(high_j - low_j) / 2)

    def _behind(self, pairs: Pairs, age_s: Floats) -> Floats:
        """Joules that each read, (p + 1,), may not show yet; a last read that has not moved shows none of them."""
        has_moved = pairs.is_good & (pairs.joules > 0.0)
        coming_j = np.append(np.where(has_moved, pairs.joules, np.inf), np.inf)
        return np.asarray(np.minimum(self.most_w * age_s, coming_j[: len(age_s)]), np.float64)

    def variance_at(self, t_ns: Ints) -> Floats:
        """(2 sigma)^2 in J^2 of integrated watts from the first sample to each instant."""
        reads = self._meter.reads
        origin = reads.t_ns[0]
        t = (reads.t_ns - origin).astype(np.float64)
        return np.asarray(np.interp((t_ns - origin).astype(np.float64), t, self._variance), np.float64)


def _most_w(meter: Meter) -> float:
    """The most that the device draws: its limit and its samples, or else what the counter shows."""
    reads = meter.reads
    told_w = reads.watts[~np.isnan(reads.watts)]
    most_w = max(reads.limit_w or 0.0, float(told_w.max()) if len(told_w) else 0.0)
    if reads.limit_w is not None:
        return most_w
    steady = meter.counter.is_good & (meter.counter.seconds >= SHORTEST_S)
    counted_w = meter.counter.joules[steady] / meter.counter.seconds[steady]
    return max(most_w, float(counted_w.max()) if len(counted_w) else 0.0)


def _counter_age_s(meter: Meter, at: Ints) -> Floats:
    """How old at most the counter is at each of the reads `at`: no older than the read before, which was another."""
    reads = meter.reads
    known = np.flatnonzero(~np.isnan(reads.counter_j))
    if not len(at):
        return np.zeros(0)
    place = np.searchsorted(known, at)
    before = known[np.maximum(place - 1, 0)]
    age_s = (reads.t_ns[at] - reads.t_ns[before]) / NS_PER_S
    usual_s = (
        float(np.median(meter.counter.seconds)) + float(np.median(np.diff(reads.t_ns[known]))) / NS_PER_S
    )
    age_s[0] = usual_s  # nothing was read before the first
    if len(at) > 1 and reads.counter_j[at[-1]] == reads.counter_j[at[-2]]:  # the last has not moved
        age_s[-1] = age_s[-2] + (reads.t_ns[at[-1]] - reads.t_ns[at[-2]]) / NS_PER_S
    if reads.counter_update_s is not None:
        age_s = np.minimum(age_s, 2 * reads.counter_update_s)
    return np.asarray(age_s, np.float64)


def _variances(meter: Meter) -> Floats:
    """(2 sigma)^2 of each interval between samples: 2 (dP dt)^2 where watts are integrated."""
    pairs = meter.power
    pair = meter.power_pair
    if not len(pairs.first):
        return np.zeros(len(meter.source))
    change_w = np.diff(meter.reads.watts[np.append(pairs.first, pairs.last[-1:])])
    squared = 2 * (change_w * pairs.seconds) ** 2
    share = np.diff(meter.reads.t_ns) / NS_PER_S / pairs.seconds[np.maximum(pair, 0)]
    return np.where(meter.source == Source.WATTS, squared[np.maximum(pair, 0)] * share, 0.0)
