"""The steady window of a replay with drawn arrivals (DESIGN: sizing): which sessions count, and whether it keeps up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Floats

WARM_UP_FRACTION = 0.1
"""Of the horizon, if the unloaded session p95 is not longer."""

KEEPS_UP_FRACTION = 0.98
"""Completions over arrivals in the window below which a fleet does not keep up."""


@dataclass(frozen=True, eq=False)
class SteadyWindow:
    """After `start_s`, up to and with `end_s`; `is_steady` (s,) are the sessions released in it.

    They are followed to their end. `unstable`: fewer sessions ended in the window than 0.98 x those released in
    it, whichever they were; None if none was released in it, so that nothing can be said.
    """

    start_s: float
    end_s: float
    is_steady: Flags
    unstable: bool | None


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
    return SteadyWindow(start_s, last_s, is_steady, unstable)


def _within(instant_s: Floats, after_s: float, until_s: float) -> Flags:
    return (instant_s > after_s) & (instant_s <= until_s)
