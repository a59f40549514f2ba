"""A GPU's joules as a function of time: constant watts between reads, nothing where nobody knows.

The energy counter comes first. It is read more often than it changes, so its reads are those at which it has
moved; between two of them power is constant. Where it is missing, watts are integrated (trapezoids). A stretch
over which the counter ran backwards, the device was lost, or nothing was read for `longest_s` is a gap: its
joules are unknown, and in no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.analyzers.metering.reads import GpuReads
from tracekit.units import NS_PER_S

LONGEST_S = 3.0
"""Without a read for longer, nothing is known (as InferenceX has it); or three times the usual interval."""
USUAL_INTERVALS = 3
BACKWARDS = "the energy counter ran backwards"
STANDS_STILL = "the energy counter stood still"
NO_SAMPLES = "no samples"


class Source(IntEnum):
    """Where the joules between two samples come from."""

    GAP = 0
    COUNTER = 1
    WATTS = 2


BEST_LAST = (Source.WATTS, Source.COUNTER)


class Gap(NamedTuple):
    """A stretch whose joules are unknown, and by how much the counter advanced over it, if that is known."""

    start_ns: int
    end_ns: int
    reason: str
    counter_advance_j: float | None

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / NS_PER_S


class Common(NamedTuple):
    """Joules by the counter and by integrated watts over the same stretches, and how long these are in all."""

    counted_j: float
    integrated_j: float
    seconds: float

    @property
    def difference(self) -> float | None:
        """(integral - counter) / counter; None where the counter says nothing."""
        return self.integrated_j / self.counted_j - 1.0 if self.counted_j > 0.0 else None


class Pairs(NamedTuple):
    """Successive reads of one quantity, as indices of samples, and the joules between them; each of shape (p,)."""

    first: Ints
    last: Ints
    joules: Floats
    seconds: Floats
    is_lost: Flags
    is_long: Flags

    @property
    def is_backwards(self) -> Flags:
        return np.asarray(self.joules < 0.0, np.bool_)

    @property
    def is_good(self) -> Flags:
        return ~(self.is_lost | self.is_long | self.is_backwards)

    def of_intervals(self, count: int) -> Ints:
        """The pair that each of `count` intervals between samples lies in, -1: none; pairs follow on each other."""
        if not len(self.first):
            return np.full(count, -1, np.int64)
        pair = np.cumsum(np.bincount(self.first, minlength=count)[:count]) - 1
        pair[self.last[-1] :] = -1
        return np.asarray(pair, np.int64)


@dataclass(frozen=True, eq=False)
class Meter:
    """What the n samples of a device say about its joules; between samples i and i + 1 power is `watts[i]`."""

    reads: GpuReads
    longest_s: float
    counter: Pairs
    power: Pairs
    counter_pair: Ints  # (n - 1,) the pair of the counter that each interval lies in, -1: none
    power_pair: Ints  # (n - 1,)
    source: Ints  # (n - 1,) Source
    watts: Floats  # (n - 1,) 0 in gaps
    joules: Floats  # (n,) since the first sample, gaps left out
    known_s: Floats  # (n,) likewise

    @classmethod
    def of(cls, reads: GpuReads) -> Self:
        """The meter of a device with at least one sample."""
        intervals_s = np.diff(reads.t_ns) / NS_PER_S
        usual_s = float(np.median(intervals_s)) if len(intervals_s) else 0.0
        longest_s = max(LONGEST_S, USUAL_INTERVALS * usual_s)
        counter, power = _counter_pairs(reads, longest_s), _power_pairs(reads, longest_s)
        counter_pair, power_pair = (pairs.of_intervals(len(intervals_s)) for pairs in (counter, power))
        return cls._made_of(BEST_LAST, reads, longest_s, counter, power, counter_pair, power_pair)

    def only(self, kind: Source) -> Self:
        """The same samples by one source alone; all else is a gap."""
        return self._made_of(
            (kind,), self.reads, self.longest_s, self.counter, self.power, self.counter_pair, self.power_pair
        )

    @classmethod
    def _made_of(
        cls,
        kinds: Sequence[Source],
        reads: GpuReads,
        longest_s: float,
        counter: Pairs,
        power: Pairs,
        counter_pair: Ints,
        power_pair: Ints,
    ) -> Self:
        intervals_s = np.diff(reads.t_ns) / NS_PER_S
        source, watts = np.full(len(intervals_s), Source.GAP, np.int64), np.zeros(len(intervals_s))
        pairs_of = {Source.WATTS: (power, power_pair), Source.COUNTER: (counter, counter_pair)}
        for kind in kinds:
            pairs, pair = pairs_of[kind]
            good = _flags_at(pairs.is_good, pair)
            source[good] = kind
            watts[good] = (pairs.joules / pairs.seconds)[pair[good]]
        if Source.COUNTER in kinds:
            refused = _flags_at(counter.is_lost | counter.is_backwards, counter_pair)
            source[refused] = Source.GAP
            watts[refused] = 0.0
        known_s = np.where(source == Source.GAP, 0.0, intervals_s)
        joules = _sums(watts * known_s)
        return cls(
            reads, longest_s, counter, power, counter_pair, power_pair, source, watts, joules, _sums(known_s)
        )

    @property
    def start_ns(self) -> int:
        return int(self.reads.t_ns[0])

    @property
    def end_ns(self) -> int:
        return int(self.reads.t_ns[-1])

    @property
    def measured_j(self) -> float | None:
        """All joules outside gaps; None if there is nothing else."""
        return float(self.joules[-1]) if self.known_s[-1] > 0.0 else None

    @property
    def counter_resets(self) -> int:
        """How often the counter ran backwards."""
        return int(self.counter.is_backwards.sum())

    @cached_property
    def common(self) -> Common:
        """Both sources over the stretches that have both."""
        intervals_s = np.diff(self.reads.t_ns) / NS_PER_S
        pair = self.power_pair
        has_watts = _flags_at(self.power.is_good, pair)
        watt_j = np.where(has_watts, _at(self.power.joules / self.power.seconds, pair) * intervals_s, 0.0)
        missing, integrated_j = _sums(np.where(has_watts, 0, 1)), _sums(watt_j)
        first, last = self.counter.first, self.counter.last
        both = self.counter.is_good & (missing[last] == missing[first])
        return Common(
            counted_j=float(self.counter.joules[both].sum()),
            integrated_j=float((integrated_j[last] - integrated_j[first])[both].sum()),
            seconds=float(self.counter.seconds[both].sum()),
        )

    @cached_property
    def run_edges_ns(self) -> Ints:
        """The first sample, every one at which the source of joules changes, and the last."""
        inner = np.flatnonzero(np.diff(self.source)) + 1
        return np.unique(self.reads.t_ns[np.concatenate([[0], inner, [len(self.reads.t_ns) - 1]])])

    def joules_at(self, t_ns: Ints) -> Floats:
        """Joules from the first sample to each instant, gaps left out."""
        return self._at(t_ns, self.joules)

    def known_s_at(self, t_ns: Ints) -> Floats:
        """Measured seconds from the first sample to each instant."""
        return self._at(t_ns, self.known_s)

    def _at(self, t_ns: Ints, sums: Floats) -> Floats:
        origin = self.reads.t_ns[0]
        t = (self.reads.t_ns - origin).astype(np.float64)
        return np.asarray(np.interp((t_ns - origin).astype(np.float64), t, sums), np.float64)

    def interval_of(self, t_ns: Ints, *, before: bool) -> Ints:
        """The interval that an instant lies in, and at a sample the one before or after it; -1 outside."""
        count = len(self.source)
        at = np.searchsorted(self.reads.t_ns, t_ns, side="left" if before else "right") - 1
        return np.where((at >= 0) & (at < count), at, -1)

    @cached_property
    def gaps(self) -> list[Gap]:
        """Stretches between the first and the last sample that nothing is known of, in order of time."""
        if not len(self.source):
            return []
        is_gap, (reason, words) = self.source == Source.GAP, self._reasons()
        differs = reason[1:] != reason[:-1]
        starts = np.flatnonzero(is_gap & np.append(True, differs | ~is_gap[:-1]))
        ends = np.flatnonzero(is_gap & np.append(differs | ~is_gap[1:], True)) + 1
        return [
            self._gap(first, last, words[int(reason[first])])
            for first, last in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def _gap(self, first: int, last: int, reason: str) -> Gap:
        """From sample `first` to `last`; the counter spans it if one pair does."""
        span = np.flatnonzero((self.counter.first == first) & (self.counter.last == last))
        is_known = len(span) == 1 and not (self.counter.is_lost | self.counter.is_backwards)[span[0]]
        t_ns = self.reads.t_ns
        advance_j = float(self.counter.joules[span[0]]) if is_known else None
        return Gap(int(t_ns[first]), int(t_ns[last]), reason, advance_j)

    def _reasons(self) -> tuple[Ints, tuple[str, ...]]:
        """Why each interval would be a gap, as an index into the words beside it."""
        reads = self.reads
        words = (NO_SAMPLES, STANDS_STILL, BACKWARDS, *reads.reasons)
        driver = len(words) - len(reads.reasons)
        is_null = np.isnan(reads.counter_j) & np.isnan(reads.watts) & (reads.reason >= 0)
        code = np.zeros(len(self.source), np.int64)
        pair = self.counter_pair
        is_read = ~np.isnan(reads.counter_j)
        code[is_read[1:] & is_read[:-1]] = 1
        code = np.where(is_null[:-1], driver + reads.reason[:-1], code)
        code = np.where(is_null[1:], driver + reads.reason[1:], code)
        code[np.diff(reads.t_ns) / NS_PER_S > self.longest_s] = 0
        code[_flags_at(self.counter.is_backwards, pair)] = 2
        lost = np.flatnonzero(reads.is_lost)
        if len(lost):
            next_lost = lost[np.minimum(np.searchsorted(lost, self.counter.first), len(lost) - 1)]
            is_lost = _flags_at(self.counter.is_lost, pair)
            code[is_lost] = driver + reads.reason[next_lost[pair[is_lost]]]
        return code, words


def _counter_pairs(reads: GpuReads, longest_s: float) -> Pairs:
    """From each read at which the counter has moved to the next one; none if it never does."""
    known = np.flatnonzero(~np.isnan(reads.counter_j))
    moved = np.diff(reads.counter_j[known]) != 0.0
    if not moved.any():
        return _pairs(reads, np.zeros(0, np.int64), np.zeros(0), longest_s)
    kept = np.append(True, moved)
    kept[-1] = True
    reads_at = known[kept]
    return _pairs(reads, reads_at, np.diff(reads.counter_j[reads_at]), longest_s)


def _power_pairs(reads: GpuReads, longest_s: float) -> Pairs:
    known = np.flatnonzero(~np.isnan(reads.watts))
    middle_w = (reads.watts[known][1:] + reads.watts[known][:-1]) / 2
    return _pairs(reads, known, middle_w * np.diff(reads.t_ns[known]) / NS_PER_S, longest_s)


def _pairs(reads: GpuReads, at: Ints, joules: Floats, longest_s: float) -> Pairs:
    first, last = at[:-1], at[1:]
    seconds = (reads.t_ns[last] - reads.t_ns[first]) / NS_PER_S
    lost = _sums(reads.is_lost)
    is_lost = np.asarray(lost[last] > lost[first], np.bool_)
    return Pairs(first, last, joules, seconds, is_lost, np.asarray(seconds > longest_s, np.bool_))


def _sums(values: Floats | Flags | Ints) -> Floats:
    """Sums of the values before each place, one more than there are values."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _at(values: Floats | Ints, index: Ints) -> Floats:
    """`values[index]`; whatever where there are none."""
    return np.asarray(values[np.maximum(index, 0)] if len(values) else np.zeros(len(index)), np.float64)


def _flags_at(values: Flags, index: Ints) -> Flags:
    """`values[index]` where there is one, else false."""
    if not len(values):
        return np.zeros(len(index), np.bool_)
    return np.asarray(values[np.maximum(index, 0)] & (index >= 0), np.bool_)
