"""How many sessions a replay holds: enough in the window, and enough to tell chance from falling behind."""

import numpy as np
import pytest

from tracekit.analyzers.sizing.horizon import (
    precise_steady,
    sessions_of_a_replay,
    steady_sessions,
)
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.slo import parse_slos
from tracekit.analyzers.steady import steady_window

MEDIAN = parse_slos(["session_p50<60s"])
TAIL = parse_slos(["tpot_p99<60s"])
MANY_CALLS = 1e6
"""A session of so many calls is not replayed more often than it must be."""


def test_at_least_as_many_as_the_design_says():
    alone_s = np.full(10, 1e-3)
    assert steady_sessions(MEDIAN, 0.01, alone_s, MANY_CALLS) == 400
    assert steady_sessions(TAIL, 0.01, alone_s, MANY_CALLS) == 2000


def test_percentiles_of_exponential_values_are_as_precise_as_said():
    slos = parse_slos(["session_p95<60s"])
    count = precise_steady(slos, 1.0)
    values = np.random.default_rng(0).exponential(1.0, (2000, count))
    found = np.percentile(values, 95, axis=1)
    assert found.std() / found.mean() == pytest.approx(0.02, rel=0.1)
    assert precise_steady(slos, 100.0) == 120  # by calls


@pytest.mark.parametrize(("rate_per_s", "session_s"), [(1.0, 5.0), (20.0, 10.0), (2.0, 600.0)])
def test_a_fleet_without_queues_is_seldom_called_unstable(rate_per_s, session_s):
    random = np.random.default_rng(1)
    alone_s = random.exponential(session_s, 500)
    steady = steady_sessions(MEDIAN, rate_per_s, alone_s, MANY_CALLS)
    p95_s = float(np.percentile(alone_s, 95))
    sessions = sessions_of_a_replay(steady, rate_per_s, p95_s, float(alone_s.max()))
    unstable, fewest = 0, sessions
    for number in range(200):
        release_s = Replicate(0, number).arrival_s(rate_per_s, sessions)
        end_s = release_s + alone_s[Replicate(0, number).drawn(500, sessions)]
        window = steady_window(release_s, end_s, float(end_s.max()), p95_s)
        unstable += bool(window.unstable)
        fewest = min(fewest, int(window.is_steady.sum()))
    assert unstable <= 3
    assert fewest >= 0.97 * steady
