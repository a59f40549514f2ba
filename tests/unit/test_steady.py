"""The steady window by hand, and the sessions alone that it is measured by."""

import numpy as np
import pytest

from tests.oracle.workloads import Story, call, gap, tool, workload_of
from tracekit.analyzers.drawn_sessions import draw_sessions
from tracekit.analyzers.replay import replay_on
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.steady import steady_window
from tracekit.analyzers.unloaded import unloaded_session_p95_s, unloaded_sessions_s

FLEET = Fleet.of("H100", "Llama-3.1-8B", replicas=3)
ALONE = Fleet.of("H100", "Llama-3.1-8B")
RELEASE_S = np.arange(101.0)


def test_the_window_opens_after_a_tenth_of_the_horizon():
    window = steady_window(RELEASE_S, RELEASE_S + 2.0, 102.0, 2.0)
    assert (window.start_s, window.end_s) == (pytest.approx(10.2), 100.0)
    assert np.flatnonzero(window.is_steady).tolist() == list(range(11, 101))
    assert window.unstable is False


def test_long_sessions_open_it_later_and_its_edges_are_after_and_until():
    window = steady_window(RELEASE_S, RELEASE_S + 2.0, 102.0, 40.0)
    assert window.start_s == 40.0
    assert np.flatnonzero(window.is_steady).tolist() == list(range(41, 101))


def test_fewer_completions_than_98_percent_of_arrivals_are_unstable():
    """100 arrive in (0, 100]; 98 end in it, or 97."""
    release_s, end_s = np.arange(1.0, 101.0), np.full(100, 50.0)
    end_s[98:] = 200.0
    assert steady_window(release_s, end_s, 0.0, 0.0).unstable is False
    end_s[97] = 100.5
    assert steady_window(release_s, end_s, 0.0, 0.0).unstable is True


def test_completions_in_the_window_may_be_of_sessions_from_before_it():
    release_s = np.array([0.0, 1.0, 20.0, 21.0])
    assert steady_window(release_s, np.array([20.5, 20.6, 99.0, 99.0]), 99.0, 0.0).unstable is False
    assert steady_window(release_s, np.array([5.0, 5.0, 99.0, 99.0]), 99.0, 0.0).unstable is True


def test_a_window_without_arrivals_says_nothing():
    window = steady_window(np.zeros(3), np.full(3, 5.0), 5.0, 4.0)
    assert not window.is_steady.any()
    assert window.unstable is None


def story_workload():
    random = np.random.default_rng(5)
    sessions = []
    for place in range(6):
        prompt, output = (int(count) for count in random.integers(1, 400, 2))
        nodes = [
            call(prompt, output, lag_s=0.02), tool(float(random.uniform(0.1, 2)), 0),
            call(prompt + output, 7, 1, lag_s=0.01), gap(0.1, 0),
        ]  # fmt: skip
        nodes[2].prefix = (place, 0, prompt)
        sessions.append(Story(float(place), nodes, tail_s=0.25))
    return workload_of(sessions)


def test_sessions_alone_take_what_a_replay_of_each_takes():
    workload = story_workload()
    found_s = unloaded_sessions_s(workload, FLEET)
    for session in range(6):
        one = replay_on(draw_sessions(workload, np.array([session]), np.zeros(1)), ALONE)
        assert found_s[session] == pytest.approx(one.timeline.session_end_ns[0] / 1e9, abs=1e-6)


def test_their_p95_counts_each_as_often_as_it_was_drawn():
    workload = story_workload()
    alone_s = unloaded_sessions_s(workload, FLEET)
    short, long = int(np.argmin(alone_s)), int(np.argmax(alone_s))
    often = np.array([short] * 19 + [long])
    assert unloaded_session_p95_s(workload, often, FLEET) == pytest.approx(alone_s[short], abs=1e-6)
    assert unloaded_session_p95_s(workload, often[1:], FLEET) == pytest.approx(alone_s[long], abs=1e-6)


def test_few_sessions_that_may_be_late_by_chance_are_told_from_a_fleet_that_falls_behind():
    """40 in 39 s, each of 26 s alone: some 27 are there at any time, and three sigmas of two such are 22."""
    release_s = np.arange(1.0, 41.0)
    few_late = np.where(release_s > 20, 100.0, release_s + 0.5)
    window = steady_window(release_s, few_late, 0.0, 26.0)
    assert (window.unstable, window.may_be_chance) == (True, True)
    all_late = np.full(40, 100.0)
    window = steady_window(np.arange(1.0, 81.0), np.full(80, 100.0), 0.0, 26.0)
    assert (window.unstable, window.may_be_chance) == (True, False)
    assert steady_window(release_s, all_late, 0.0, 1.0).may_be_chance is False
