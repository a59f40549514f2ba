"""The steady window of a replay with drawn arrivals (DESIGN: sizing): which sessions count, and whether it keeps up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Floats

WARM_UP_FRACTION = 0.1
"""Of the horizon, if the unloaded session p95 is not longer."""

KEEPS_UP_FRACTION = 0.98
"""Completions over arrivals in the window below which a fleet does not keep up."""

NOISE_SIGMAS = 3.0
"""A stable fleet is to be called unstable by chance in one of 700 replays, not in one of five."""


@dataclass(frozen=True, eq=False)
class SteadyWindow:
    """After `start_s`, up to and with `end_s`; `is_steady` (s,) are the sessions released in it.

    They are followed to their end. `unstable`: fewer sessions ended in the window than 0.98 x those released in
    it, whichever they were; None if none was released in it, so that nothing can be said. `may_be_chance`: so few were
    released that a fleet which keeps up may end as many fewer.
    """

    start_s: float
    end_s: float
    is_steady: Flags
    unstable: bool | None
    may_be_chance: bool


def steady_window(
    release_s: Floats, end_s: Floats, horizon_s: float, unloaded_session_p95_s: float
) -> SteadyWindow:
    """The window of a replay: after max(10 % of the horizon, the unloaded session p95), until the last release.

    `release_s` and `end_s` (s,) are the sessions', in s since the first arrival; the horizon is the last end.
    """
    start_s = max(WARM_UP_FRACTION * horizon_s, unloaded_session_p95_s)
    last_s = float(release_s.max())
    is_steady = _within(release_s, start_s, last_s)
    arrivals, completions = np.count_nonzero(is_steady), np.count_nonzero(_within(end_s, start_s, last_s))
    unstable = bool(completions < KEEPS_UP_FRACTION * arrivals) if arrivals else None
    # who is there at both ends of the window is a matter of chance: M/G/infinity
    there = arrivals * min(1.0, unloaded_session_p95_s / (last_s - start_s)) if last_s > start_s else arrivals
    may_be_chance = bool(arrivals - completions <= NOISE_SIGMAS * math.sqrt(2.0 * there))
    return SteadyWindow(start_s, last_s, is_steady, unstable, may_be_chance)


def _within(instant_s: Floats, after_s: float, until_s: float) -> Flags:
    return (instant_s > after_s) & (instant_s <= until_s)
