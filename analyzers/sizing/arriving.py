"""How the sessions of a replicate come, and which of them count: at one rate, or over a day."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.arrivals import daily_arrivals_s
from tracekit.analyzers.columns import Flags
from tracekit.analyzers.daily_profile import HOURS_PER_DAY, S_PER_HOUR, DailyProfile
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.kernels.layout import Outcome, Workload
from tracekit.analyzers.sizing.observation import steady
from tracekit.analyzers.sizing.replicate import ARRIVALS, Replicate
from tracekit.analyzers.steady import SteadyWindow

S_PER_DAY = HOURS_PER_DAY * S_PER_HOUR


class AtRate(NamedTuple):
    """So many sessions at one rate; those of the steady window count."""

    rate_per_s: float
    sessions: int
    alone_p95_s: float  # of the sessions that come, each by itself

    def drawn_by(self) -> Hashable:
        """What the draw depends on, beside the replicate and the recording."""
        return self.rate_per_s, self.sessions

    def workload(self, recorded: Workload, replicate: Replicate) -> Workload:
        """The sessions as they arrive."""
        return replicate.workload(recorded, self.rate_per_s, self.sessions)[0]

    def window(self, outcome: Outcome) -> SteadyWindow:
        """Which of them count."""
        return steady(outcome, self.alone_p95_s)


class OverDay(NamedTuple):
    """A day of a profile (`DailyProfile`) with that mean rate; all sessions count, until midnight or their last end."""

    hour: tuple[float, ...]
    level: tuple[float, ...]
    is_rate: bool
    mean_per_s: float

    @classmethod
    def of(cls, profile: DailyProfile, mean_per_s: float) -> OverDay:
        """The day of that profile."""
        return cls(tuple(profile.hour.tolist()), tuple(profile.level.tolist()), profile.is_rate, mean_per_s)

    def drawn_by(self) -> Hashable:
        """What the draw depends on, beside the replicate and the recording."""
        return self

    def workload(self, recorded: Workload, replicate: Replicate) -> Workload:
        """The day's sessions, since midnight."""
        profile = DailyProfile(np.array(self.hour), np.array(self.level), self.is_rate)
        random = replicate.random(ARRIVALS)
        arrival_s = daily_arrivals_s(random, profile, self.mean_per_s, 1)
        drawn = replicate.drawn(len(recorded.session_arrival_s), len(arrival_s))
        return draw_sessions(recorded, drawn, arrival_s)

    def window(self, outcome: Outcome) -> SteadyWindow:
        """Everybody, in the whole day."""
        everybody: Flags = np.ones(len(outcome.sessions), np.bool_)
        return SteadyWindow(
            0.0, min(float(S_PER_DAY), outcome.horizon_s), everybody, unstable=False, may_be_chance=True
        )
