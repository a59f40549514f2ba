"""When drawn sessions arrive: a Poisson process, a bursty one, or one that follows a day's profile."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.daily_profile import DailyProfile
from tracekit.analyzers.kernels.layout import Floats
from tracekit.errors import ScenarioInvalid
from tracekit.limits import LONGEST_NS

MOST_SESSIONS = 10_000_000
"""More than a machine of 64 GB can replay at once: asking for them would end in the OOM killer."""


def poisson_arrivals_s(random: np.random.Generator, rate_per_s: float, count: int) -> Floats:
    """`count` arrivals of a Poisson process of `rate_per_s`: shape (count,), seconds since the first.

    Raises
    ------
    ScenarioInvalid : the last would arrive after more than 100 years.
    """
    return _since_first(random.exponential(1.0, count - 1) / rate_per_s, rate_per_s)


def bursty_arrivals_s(
    random: np.random.Generator, rate_per_s: float, burstiness: float, count: int
) -> Floats:
    """`count` arrivals of a gamma renewal process: shape (count,), seconds since the first.

    Times between arrivals are gamma with mean 1/rate_per_s and coefficient of variation `burstiness` (shape
    1/burstiness^2): 1 is a Poisson process, more comes in bursts. Gamma is what BurstGPT (Wang et al., KDD
    2025, arXiv:2401.17644) fits to Azure's LLM traffic, and ServeGen (Xiang et al., arXiv:2505.09999) to much
    of Alibaba's. vLLM's option of the same name is the shape, where less means more bursts.

    Raises
    ------
    ScenarioInvalid : the last would arrive after more than 100 years.
    """
    shape = burstiness**-2
    return _since_first(random.gamma(shape, 1.0 / shape, count - 1) / rate_per_s, rate_per_s)


def daily_arrivals_s(
    random: np.random.Generator, profile: DailyProfile, rate_per_s: float | None, days: int
) -> Floats:
    """Arrivals of a nonhomogeneous Poisson process over `days` days: shape (k,), k random, s since midnight.

    Its rate follows `profile`; `rate_per_s` is the mean over a day, or None if the profile's own rates hold.
    Given their number, arrivals of such a process are independent with the rate as density (Lewis and Shedler,
    Naval Research Logistics 26, 1979), so they are uniform in the expected number and mapped back to time.

    Raises
    ------
    ScenarioInvalid : nobody arrives, or more than MOST_SESSIONS are expected.
    """
    edge_s, expected = profile.expected_sessions(rate_per_s, days)
    if expected[-1] > MOST_SESSIONS:
        raise ScenarioInvalid.too_many_sessions(float(expected[-1]), MOST_SESSIONS)
    count = random.poisson(expected[-1])
    if not count:
        raise ScenarioInvalid.nobody_arrives(float(expected[-1]))
    places = np.sort(random.uniform(0.0, expected[-1], count))
    return np.asarray(np.interp(places, expected, edge_s), dtype=np.float64)


def within_reach(arrival_s: Floats, rate_per_s: float) -> Floats:
    """The same arrivals (k,), ascending. Raises ScenarioInvalid if the last is after more than 100 years."""
    if not arrival_s[-1] <= LONGEST_NS / 1e9:
        raise ScenarioInvalid.too_long(rate_per_s)
    return arrival_s


def _since_first(waits_s: Floats, rate_per_s: float) -> Floats:
    return within_reach(np.concatenate([[0.0], np.cumsum(waits_s)]), rate_per_s)
