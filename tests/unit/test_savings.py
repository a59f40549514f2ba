"""What each step saves: worked out by hand, and by replaying without it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.session import Inside
from tests.oracle.workloads import FLAT, Costs, Story, call, fleet, gap, tool, workload_of, workloads
from tests.unit.what_if.second_a_step import SECOND_A_STEP
from tracekit.analyzers.covering import highest_cover
from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.replay import replay_recorded
from tracekit.analyzers.replayed_graph import ReplayedGraph
from tracekit.analyzers.savings import PARTS, savings


def found(nodes, tail_s=0.0, **limits):
    work = workload_of([Story(0.0, nodes, tail_s)])
    return savings(work, replay(work, SECOND_A_STEP, FLAT, fleet(**limits)))


def test_a_chain_saves_all_of_every_step():
    """3 s, then 5 s, 0.5 s of the client, 2 s; a second to the end."""
    told = found([call(10, 3), tool(5.0, 0), call(10, 2, 1, lag_s=0.5)], tail_s=1.0)
    assert told.path.step_s.tolist() == [3, 5, 2]
    assert told.path.lag_s.tolist() == [0, 0, 0.5]
    assert told.tail_s.tolist() == [1.0]
    assert told.saves.step_s.tolist() == [3, 5, 2]
    assert told.saves.lag_s.tolist() == [0, 0, 0.5]
    assert {part: seconds.tolist() for part, seconds in told.without.items()} == {
        "call": [5], "queue": [0], "tool": [5], "gap": [0], "lag": [0.5],
    }  # fmt: skip


def test_of_two_ways_the_longer_saves_what_it_is_longer():
    """Tools of 5 and 4 s at once: without the first, the second still takes 4 s; both together take 5."""
    told = found([call(10, 1), tool(5.0, 0), tool(4.0, 0), call(10, 1, 1, 2)])
    assert told.path.step_s.tolist() == [1, 5, 0, 1]
    assert told.saves.step_s.tolist() == [1, 1, 0, 1]
    assert told.without["tool"].tolist() == [5]


def test_a_queue_is_apart_from_its_call():
    """One at a time: the second call waits 3 s for the first and takes 2."""
    told = found([call(10, 3), call(10, 2), tool(1.0, 1)], max_num_seqs=1)
    assert told.path.queue_s.tolist() == [0, 3, 0]
    assert told.path.step_s.tolist() == [0, 2, 1]
    assert told.saves.queue_s.tolist() == [0, 3, 0]
    assert told.saves.step_s.tolist() == [0, 3, 1]  # the first call of 3 s is left
    assert told.without["queue"].tolist() == [3]


def test_what_starts_inside_a_call_is_held_up_by_its_part_before():
    """The tool starts at the call's second token, 2 s in."""
    inside = tool(5.0, 0)
    inside.inside[0] = Inside(2, 0.0)
    told = found([call(10, 4), inside])
    assert told.path.step_s.tolist() == [2, 5]
    assert told.saves.step_s.tolist() == [2, 3]


def test_a_session_of_nothing_and_one_of_a_gap():
    work = workload_of([Story(0.0, [], 2.0), Story(1.0, [gap(3.0)])])
    told = savings(work, replay(work, SECOND_A_STEP, FLAT, fleet()))
    assert told.path.step_s.tolist() == [3]
    assert told.without["gap"].tolist() == [0, 3]


some = settings(max_examples=60, deadline=None, derandomize=True)


def replayed(work, sequences):
    return replay(work, SECOND_A_STEP._replace(base_s=0.01), FLAT, fleet(max_num_seqs=sequences))


@some
@given(st.sampled_from(list(Costs)).flatmap(workloads), st.sampled_from([1, 2, 64]))
def test_a_path_is_as_long_as_its_session(work, sequences):
    outcome = replayed(work, sequences)
    told = savings(work, outcome)
    whole = sum(np.bincount(work.session, part, len(told.tail_s)) for part in told.path) + told.tail_s
    length_s = outcome.sessions["end_s"] - outcome.sessions["start_s"]
    np.testing.assert_allclose(whole, length_s, atol=1e-9)
    assert all((part >= 0).all() for part in (*told.path, *told.saves, *told.without.values()))
    assert set(told.without) == set(PARTS)


@some
@given(st.sampled_from(list(Costs)).flatmap(workloads), st.sampled_from([1, 2, 64]))
def test_each_saving_is_what_going_through_the_graph_without_it_says(work, sequences):
    outcome = replayed(work, sequences)
    told, graph = savings(work, outcome), ReplayedGraph.of(work, outcome)
    nothing = np.zeros(len(work.kind))
    whole_s = graph.ends_without(nothing, work.lag_s)
    np.testing.assert_allclose(whole_s, graph.end_s, atol=1e-9)
    for step, session in enumerate(work.session):
        only = np.arange(len(work.kind)) == step
        for saved, shorter_s, lag_s in (
            (told.saves.step_s, np.where(only, graph.length_s, 0.0), work.lag_s),
            (told.saves.queue_s, np.where(only, graph.queue_s, 0.0), work.lag_s),
            (told.saves.lag_s, nothing, np.where(only, 0.0, work.lag_s)),
        ):
            wanted_s = whole_s[session] - graph.ends_without(shorter_s, lag_s)[session]
            assert saved[step] == pytest.approx(wanted_s, abs=1e-9)


@some
@given(st.sampled_from(list(Costs)).flatmap(workloads))
def test_each_saving_is_what_the_kernel_says_of_fixed_lengths(work):
    """Where nothing starts inside another: each step at its replayed length, and one of them at 0."""
    work = work._replace(
        inner_edge=work.inner_edge[:0],
        inner_token=work.inner_token[:0],
        inner_fraction=work.inner_fraction[:0],
    )
    outcome = replayed(work, 2)
    told = savings(work, outcome)
    length_s = outcome.steps["end_s"] - outcome.steps["start_s"]
    fixed = work._replace(kind=np.full_like(work.kind, StepKind.GAP))
    end_s = replay_recorded(fixed._replace(duration_s=length_s)).sessions["end_s"]
    for step, session in enumerate(work.session):
        shorter = length_s.copy()
        shorter[step] = 0.0
        without_s = replay_recorded(fixed._replace(duration_s=shorter)).sessions["end_s"]
        assert told.saves.step_s[step] == pytest.approx((end_s - without_s)[session], abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.floats(-5, 5)), max_size=30))
def test_the_highest_interval_over_each_place(intervals):
    low, high = (np.array([row[end] for row in intervals], np.int64) for end in (0, 1))
    value = np.array([row[2] for row in intervals])
    wanted = [
        max((row[2] for row in intervals if row[0] <= place < row[1]), default=-np.inf) for place in range(41)
    ]
    assert highest_cover(41, low, high, value).tolist() == wanted
