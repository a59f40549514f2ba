"""One GPU's time cut at the events of its pool and where its measuring breaks off: joules of each segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints
from tracekit.analyzers.metering.bracket import Bracket
from tracekit.analyzers.metering.meter import Meter
from tracekit.analyzers.metering.spread import (
    Edges,
    Ends,
    Spans,
    Weights,
    ends_of,
    spread,
    uncertainty_of_segments,
    uncertainty_within,
)
from tracekit.units import NS_PER_S


class Figure(NamedTuple):
    """Joules with their bound, the GPU-seconds that they are of, and how many of these nobody measured."""

    energy_j: float
    bound_j: float
    gpu_s: float
    unmeasured_s: float

    def __add__(self, other: Figure) -> Figure:  # type: ignore[override]
        return Figure(*(mine + its for mine, its in zip(self, other, strict=True)))


NOTHING = Figure(0.0, 0.0, 0.0, 0.0)


def missing_s(whole_s: Floats | float, known_s: Floats | float) -> Floats:
    """Seconds of the whole that are not known, to the nanosecond: no rounding of sums is left."""
    return np.maximum(0.0, np.round(np.asarray(whole_s - known_s, np.float64), 9)) + 0.0


class Parts(NamedTuple):
    """What spans have of a GPU, each of shape (n,); `within_j`: of their bound what arises between their ends."""

    energy_j: Floats
    middle_j: Floats
    variance_j2: Floats
    within_j: Floats


@dataclass(frozen=True, eq=False)
class Cut:
    """k segments between k + 1 edges.

    `segment` is the pool's segment that each lies in, NOBODY outside all events. `middle_j` and `variance_j2` are
    of the error, as `edges` is (see `bracket`).
    """

    edges_ns: Ints
    segment: Ints
    seconds: Floats
    known_s: Floats
    energy_j: Floats
    middle_j: Floats
    variance_j2: Floats
    edges: Edges

    @classmethod
    def of(cls, meter: Meter, events_ns: Ints) -> Self:
        """The meter cut at its pool's edges; without any, at its own breaks."""
        bracket = Bracket(meter)
        edges_ns = _merged(events_ns, meter.run_edges_ns)
        is_break = np.zeros(len(edges_ns), np.bool_)
        is_break[np.searchsorted(edges_ns, meter.run_edges_ns)] = True
        segment = np.searchsorted(events_ns, edges_ns[:-1], side="right") - 1
        before, after = bracket.at(edges_ns, before=True), bracket.at(edges_ns, before=False)
        known_s = np.diff(meter.known_s_at(edges_ns))
        return cls(
            edges_ns=edges_ns,
            segment=np.where(segment < len(events_ns) - 1, segment, NOBODY),
            seconds=np.diff(edges_ns) / NS_PER_S,
            known_s=known_s,
            energy_j=np.diff(meter.joules_at(edges_ns)),
            middle_j=np.where(known_s > 0.0, before.middle[1:] - after.middle[:-1], 0.0),
            variance_j2=np.diff(bracket.variance_at(edges_ns)),
            edges=Edges(before.half, after.half, is_break),
        )

    @property
    def is_known(self) -> Flags:
        return np.asarray(self.known_s > 0.0, np.bool_)

    def figure(self, is_in: Flags) -> Figure:
        """The segments that `is_in` marks, together."""
        if not len(is_in):
            return NOTHING
        weight = (is_in & self.is_known).astype(np.float64)
        bound_j = abs(float(weight @ self.middle_j)) + float(np.sqrt(weight @ self.variance_j2))
        seconds = float(self.seconds[is_in].sum())
        return Figure(
            energy_j=float(self.energy_j[is_in].sum()),
            bound_j=bound_j + uncertainty_of_segments(weight, self.edges),
            gpu_s=seconds,
            unmeasured_s=float(missing_s(seconds, float(self.known_s[is_in].sum()))),
        )

    def spans(self, spans: Spans, events_ns: Ints) -> Spans:
        """Spans between the pool's edges as spans between these."""
        place = np.searchsorted(self.edges_ns, events_ns)
        return spans._replace(first=place[spans.first], last=place[spans.last])

    def weights(self, weights: Weights) -> Weights:
        """Weights of the pool's segments as weights of these; none outside."""
        shared = np.pad(weights.shared, ((0, 0), (0, 1)))[:, self.segment]
        return Weights(shared, np.append(weights.each, 0.0)[self.segment])

    def parts(self, spans: Spans, weights: Weights) -> Parts:
        """What each span has of the joules and of what is uncertain about them."""
        return Parts(
            spread(spans, weights, self.energy_j),
            spread(spans, weights, self.middle_j),
            spread(spans, weights, self.variance_j2),
            uncertainty_within(spans, weights, self.is_known, self.edges),
        )

    def ends(self, owner: Ints, spans: Spans, weights: Weights) -> Ends:
        """The ends of the spans, for the bound of their owners."""
        return ends_of(owner, spans, weights, self.is_known, self.edges)

    def sums(self, spans: Spans, amounts: Floats) -> Floats:
        """Of each span the amounts (k,) of its segments, whole."""
        sums = np.concatenate([[0.0], np.cumsum(amounts)])
        return np.asarray(sums[spans.last] - sums[spans.first], np.float64)


def _merged(many: Ints, few: Ints) -> Ints:
    """Both ascending without repetition, as one; without sorting the many anew."""
    place = np.searchsorted(many, few)
    is_new = np.append(many, -1)[place] != few
    return np.insert(many, place[is_new], few[is_new])
