"""A replicate: sessions drawn anew, arriving anew, under one draw of how wrong the model is.

Everything is drawn from the seed and the replicate's number, so all fleets see the same sessions at the same times
(common random numbers), and a draw of more sessions begins with that of fewer. Sessions are drawn twice with
replacement: first as many as were recorded, which stand for what another recording would have held, then from those
as many as arrive. Without the first draw a long replay of a short recording would take its few sessions for the
truth, and intervals would be too narrow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.arrivals import MOST_SESSIONS, within_reach
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.kernels.layout import Floats, Ints, Workload
from tracekit.analyzers.sizing.model_error import AS_MODELLED, Deviation
from tracekit.errors import ScenarioInvalid

REPLICATES = 200
POPULATION, SESSIONS, ARRIVALS, DEVIATION = range(4)
"""The streams of a replicate: what one draws does not move the others."""


class Replicate(NamedTuple):
    """Number `number` of those that `seed` gives; `is_nominal` has it take the model as it is."""

    seed: int
    number: int
    is_nominal: bool = False

    def random(self, stream: int) -> np.random.Generator:
        """The draws of one of the streams above."""
        return np.random.default_rng((self.seed, self.number, stream))

    def deviation(self) -> Deviation:
        """How far off the model is in this replicate."""
        if self.is_nominal:
            return AS_MODELLED
        time, power = self.random(DEVIATION).standard_normal(2)
        return Deviation(float(time), float(power))

    def drawn(self, recorded: int, sessions: int) -> Ints:
        """Which of the `recorded` sessions arrive, (sessions,), in order of arrival."""
        if sessions > MOST_SESSIONS:
            raise ScenarioInvalid.too_many_sessions(sessions, MOST_SESSIONS)
        population = self.random(POPULATION).integers(0, recorded, recorded)
        return population[self.random(SESSIONS).integers(0, recorded, sessions)]

    def arrival_s(self, rate_per_s: float, sessions: int) -> Floats:
        """A Poisson process of that rate, (sessions,), the first at 0."""
        waits_s = self.random(ARRIVALS).exponential(1.0, sessions - 1) / rate_per_s
        return within_reach(np.concatenate([[0.0], np.cumsum(waits_s)]), rate_per_s)

    def workload(self, recorded: Workload, rate_per_s: float, sessions: int) -> tuple[Workload, Ints]:
        """The sessions as they arrive, and which recorded one each is."""
        drawn = self.drawn(len(recorded.session_arrival_s), sessions)
        return draw_sessions(recorded, drawn, self.arrival_s(rate_per_s, sessions)), drawn
