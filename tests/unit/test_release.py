"""Releases as workloads: who arrives, when, and what waits for what."""

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, Story, call, columns, fleet, gap, tool, workload_of
from tracekit.analyzers.daily_profile import DailyProfile
from tracekit.analyzers.kernels.layout import StepCost
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.release import bursty_release, daily_release, open_loop_release, poisson_release

SECOND_A_STEP = StepCost(1.0, *(0.0,) * (len(StepCost._fields) - 1))
FLAT_DAY = DailyProfile(np.array([0.0]), np.array([1.0]), is_rate=False)


@pytest.fixture
def workload():
    return workload_of([Story(0.0, [call(9, 2), tool(2.0, 0), call(9, 2, 1)]), Story(1.0, [call(5, 1)])])


@pytest.mark.parametrize(
    "draw",
    [
        lambda workload, seed: poisson_release(workload, 2.0, 40, seed),
        lambda workload, seed: bursty_release(workload, 2.0, 3.0, 40, seed),
        lambda workload, seed: daily_release(workload, FLAT_DAY, 1e-3, 1, seed)[:2],
    ],
    ids=["poisson", "bursty", "daily"],
)
def test_drawn_releases_start_at_0_and_follow_their_seed(workload, draw):
    copies, drawn = draw(workload, 3)
    assert copies.session_arrival_s[0] == 0
    assert np.all(np.diff(copies.session_arrival_s) >= 0)
    assert np.diff(copies.session_step_start).tolist() == [[3, 1][session] for session in drawn]
    again, drawn_again = draw(workload, 3)
    assert np.array_equal(drawn, drawn_again)
    assert np.array_equal(copies.session_arrival_s, again.session_arrival_s)
    assert not np.array_equal(draw(workload, 4)[0].session_arrival_s, copies.session_arrival_s)


def test_a_day_says_when_its_first_session_arrives(workload):
    noon = DailyProfile(np.array([12.0, 13.0]), np.array([1.0, 0.0]), is_rate=False)
    copies, _drawn, first_s = daily_release(workload, noon, 0.01, 1, seed=0)
    assert 12 * 3600 <= first_s < 12.1 * 3600
    assert copies.session_arrival_s[-1] < 3600


def test_in_an_open_loop_every_step_starts_as_recorded(workload):
    start_s = np.array([0.0, 0.5, 1.5, 0.0])
    opened = open_loop_release(workload, start_s)
    slow = replay(opened, SECOND_A_STEP, FLAT, fleet())
    assert slow.steps["start_s"].tolist() == [0.0, 0.5, 1.5, 1.0]
    assert slow.calls["end_s"].tolist() == [
        2.0,
        4.0,
        2.0,
    ]  # the second call is there before the first has ended
    closed = replay(workload, SECOND_A_STEP, FLAT, fleet())
    assert closed.steps["start_s"].tolist() == [0.0, 2.0, 4.0, 1.0]


def test_an_open_loop_keeps_dtypes_and_ends_with_its_last_step():
    workload = workload_of([Story(0.0, [gap(1.0), call(4, 3, 0)], tail_s=0.5)])
    opened = open_loop_release(workload, np.array([0.0, 1.0]))
    assert [array.dtype for array in columns(opened).values()] == [
        array.dtype for array in columns(workload).values()
    ]
    assert replay(opened, SECOND_A_STEP, FLAT, fleet()).sessions["end_s"].tolist() == [4.5]
