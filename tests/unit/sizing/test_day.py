"""A day: its rates, its gaps, and that a fleet which comes and goes is paid for while it is there."""

import numpy as np
import pytest

from tests.unit.sizing.loads import agents
from tracekit.analyzers.daily_profile import DailyProfile
from tracekit.analyzers.sizing.basis import Load
from tracekit.analyzers.sizing.candidate import Space, candidates
from tracekit.analyzers.sizing.crew import crew_of_threads
from tracekit.analyzers.sizing.day import DailyLoad, elasticity, profile_gaps
from tracekit.analyzers.sizing.replayer import Candidate, Replayer
from tracekit.analyzers.sizing.slo import parse_slos


def profile(levels):
    return DailyProfile(
        np.array(sorted(levels), np.float64), np.array([levels[hour] for hour in sorted(levels)]), False
    )


def test_rates_of_a_day():
    load = DailyLoad(profile({0: 1.0, 8: 4.0, 20: 1.0}), 0.5, 60.0)
    assert load.mean_per_s() == 0.5
    assert load.highest_per_s() == pytest.approx(4 * load.lowest_per_s())
    assert (load.highest_per_s() * 12 + load.lowest_per_s() * 12) / 24 == pytest.approx(0.5)


def test_gaps_are_steps_that_are_longer_than_the_usual_one():
    even = {float(hour): 1.0 for hour in range(0, 24, 2)}
    assert profile_gaps(profile(even)) == []
    del even[12.0]
    assert profile_gaps(profile(even)) == [(10.0, 14.0)]
    del even[22.0]
    assert (20.0, 24.0) in profile_gaps(profile(even))


@pytest.mark.parametrize(("peak", "share"), [(4, 0.7), (2, 0.8)])
def test_what_comes_and_goes_costs_less_where_nights_are_quiet(peak, share):
    slos = parse_slos(["session_p95<20s"])
    recorded = agents()
    daily = DailyLoad(profile({0: 0.02, 8: 1.0, 12: 0.02}), 0.05, 30.0)
    (kind,) = candidates(
        Space(gpus=("H100",), models=("Llama-3.1-8B",), tps=(1,), routers=("least-outstanding",)), recorded
    ).kinds
    with crew_of_threads() as crew:
        replayer = Replayer(Load(recorded, daily.highest_per_s(), slos), crew)
        found = elasticity(replayer, daily, Candidate(kind, peak), in_flight=8.0)
    assert found.part == 1
    assert found.static.passes
    static_usd = kind.usd_per_h(peak) * 24
    assert found.static.usd(1).low == pytest.approx(static_usd)
    assert found.elastic is not None
    assert found.elastic.usd(1).high < share * static_usd
    assert found.elastic.gpus(1).low >= found.elastic.fleet.pools[0].min_replicas - 1e-9
