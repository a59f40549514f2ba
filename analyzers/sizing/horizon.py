"""How many sessions a replay must hold to have enough of them in its steady window."""

from __future__ import annotations

import math

import numpy as np

from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.kernels.layout import Floats
from tracekit.analyzers.sizing.slo import Slo
from tracekit.analyzers.steady import KEEPS_UP_FRACTION, NOISE_SIGMAS, WARM_UP_FRACTION

LEAST_STEADY = 400
LEAST_STEADY_OF_TAIL = 2_000
"""Steady sessions of a replay, and where a p99 or beyond is limited."""
PRECISION = 0.02
"""Relative standard deviation of a percentile that more steady sessions are added for, by the law of an exponential."""
CALLS_FOR_PRECISION = 12_000
"""Calls of a replay beyond which none are added: some 60 ms of a core."""
SPARE_SIGMAS = 3.0
"""Of the number of arrivals in the window: so that hardly a draw has too few."""


def least_steady(slos: tuple[Slo, ...]) -> int:
    """Steady sessions that the objectives ask for."""
    return LEAST_STEADY_OF_TAIL if any(slo.is_of_the_tail for slo in slos) else LEAST_STEADY


def precise_steady(slos: tuple[Slo, ...], calls_per_session: float) -> int:
    """Steady sessions that make percentiles as precise as PRECISION, or as many as CALLS_FOR_PRECISION allow.

    A percentile p of n exponential values has the relative standard deviation
    sqrt(p (1 - p) / n) / ((1 - p) ln(1 / (1 - p))).
    """
    wanted = 0.0
    for slo in slos:
        beyond = 1.0 - slo.percent / 100.0
        wanted = max(wanted, (1.0 - beyond) / (beyond * math.log(beyond) ** 2) / PRECISION**2)
    return math.floor(min(wanted, CALLS_FOR_PRECISION / max(calls_per_session, 1e-9)))


def steady_sessions(
    slos: tuple[Slo, ...], rate_per_s: float, alone_s: Floats, calls_per_session: float
) -> int:
    """The most of the above and of what it takes to see a shortfall of 2 % of the completions.

    `alone_s` (s,) is of each session. Of sessions that arrive in a window of W seconds some end after it, others that
    came before end in it, so completions differ from arrivals by chance, with variance 2 rate E[min(S, W)] for
    session times S (M/G/infinity). And where the window opens after w seconds, sessions longer than w are still
    becoming more, so that rate E[max(S - w, 0)] fewer end. That and three sigmas are to be less than 2 %.
    """
    needed = max(least_steady(slos), precise_steady(slos, calls_per_session))
    share = 1.0 - KEEPS_UP_FRACTION
    growing = rate_per_s * float(np.maximum(alone_s - percentile(alone_s, 95), 0.0).mean())
    for _ in range(40):
        within_s = float(np.minimum(alone_s, needed / rate_per_s).mean())
        noise = NOISE_SIGMAS * math.sqrt(2.0 * rate_per_s * within_s)
        wanted = max(needed, math.ceil((growing + noise) / share))
        if wanted <= needed:
            break
        needed = wanted
    return needed


def sessions_of_a_replay(steady: int, rate_per_s: float, alone_p95_s: float, slowest_s: float) -> int:
    """Sessions to release so that `steady` of them come after the warm-up.

    The warm-up is the longer of the unloaded p95 and a tenth of the horizon, which ends `slowest_s` after the last
    release.
    """
    spare = steady + SPARE_SIGMAS * math.sqrt(steady)
    window_s = spare / rate_per_s
    tenth_s = WARM_UP_FRACTION * (window_s + slowest_s) / (1.0 - WARM_UP_FRACTION)
    warm_up = rate_per_s * max(alone_p95_s, tenth_s)
    return math.ceil(spare + warm_up + SPARE_SIGMAS * math.sqrt(warm_up)) + 1
