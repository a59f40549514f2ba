"""When sessions arrive in a replay: as recorded, at a rate, drawn anew, or every call by the clock.

Releases that draw take sessions with replacement from a seeded generator: the same seed gives the same draw.
"""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.arrivals import (
    MOST_SESSIONS,
    bursty_arrivals_s,
    daily_arrivals_s,
    poisson_arrivals_s,
    within_reach,
)
from tracekit.analyzers.daily_profile import DailyProfile
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.kernels.layout import Floats, Ints, Workload
from tracekit.errors import ScenarioInvalid


def scaled_release(workload: Workload, rate_per_s: float) -> Workload:
    """The recorded arrivals, stretched so that sessions arrive at `rate_per_s` on average.

    Raises
    ------
    ScenarioInvalid : all sessions arrive at once, so there is no rate to scale.
    """
    count = len(workload.session_arrival_s)
    span_s = float(workload.session_arrival_s[-1])
    if count < 2 or span_s == 0:
        raise ScenarioInvalid.no_rate(count)
    factor = (count - 1) / span_s / rate_per_s
    return workload._replace(session_arrival_s=within_reach(workload.session_arrival_s * factor, rate_per_s))


def poisson_release(workload: Workload, rate_per_s: float, sessions: int, seed: int) -> tuple[Workload, Ints]:
    """`sessions` drawn sessions that arrive as a Poisson process of `rate_per_s`, the first at 0; and which ones.

    Raises
    ------
    ScenarioInvalid : the last would arrive after more than 100 years, or they are more than MOST_SESSIONS.
    """
    random = np.random.default_rng(seed)
    drawn = _draw(random, workload, sessions)
    return draw_sessions(workload, drawn, poisson_arrivals_s(random, rate_per_s, sessions)), drawn


def bursty_release(
    workload: Workload, rate_per_s: float, burstiness: float, sessions: int, seed: int
) -> tuple[Workload, Ints]:
    """As `poisson_release`, but in bursts: see `bursty_arrivals_s`."""
    random = np.random.default_rng(seed)
    drawn = _draw(random, workload, sessions)
    return draw_sessions(workload, drawn, bursty_arrivals_s(random, rate_per_s, burstiness, sessions)), drawn


def daily_release(
    workload: Workload, profile: DailyProfile, rate_per_s: float | None, days: int, seed: int
) -> tuple[Workload, Ints, float]:
    """Drawn sessions that arrive along a day's profile over `days` days; which ones; the first one's s since midnight.

    `rate_per_s` is the mean over a day, or None if the profile's own rates hold.

    Raises
    ------
    ScenarioInvalid : nobody arrives, or far too many do.
    """
    random = np.random.default_rng(seed)
    arrival_s = daily_arrivals_s(random, profile, rate_per_s, days)
    drawn = _draw(random, workload, len(arrival_s))
    return draw_sessions(workload, drawn, arrival_s - arrival_s[0]), drawn, float(arrival_s[0])


def open_loop_release(workload: Workload, start_s: Floats) -> Workload:
    """Every step as a root of its session, released at its recorded time whatever happened to those before it.

    `start_s` (n,) is each step's recorded start since its session's arrival, as `Compiled.start_s` has it.
    """
    return workload._replace(
        lag_s=np.maximum(start_s, 0.0),
        parent_count=np.zeros_like(workload.parent_count),
        child_start=np.zeros_like(workload.child_start),
        child_index=workload.child_index[:0],
        inner_edge=workload.inner_edge[:0],
        inner_token=workload.inner_token[:0],
        inner_fraction=workload.inner_fraction[:0],
    )


def _draw(random: np.random.Generator, workload: Workload, sessions: int) -> Ints:
    if sessions > MOST_SESSIONS:
        raise ScenarioInvalid.too_many_sessions(sessions, MOST_SESSIONS)
    return random.integers(0, len(workload.session_arrival_s), sessions)
