"""What-ifs of tools, worked out by hand; a call takes as many seconds as it has output tokens."""

import numpy as np
import pytest

from tests.oracle.session import Inside
from tests.oracle.workloads import Story, call, gap, tool, workload_of
from tests.unit.what_if.second_a_step import change, end_s, same, starts_and_ends
from tracekit.analyzers.what_if.changed import changed
from tracekit.analyzers.what_if.changes import Changes


def one_tool(tool_s, **lags):
    """A call of 3 s, a tool, a call of 2 s."""
    return [call(10, 3), tool(tool_s, 0, **lags), call(10, 2, 1)]


@pytest.mark.parametrize(
    ("tool_s", "before_s", "after_s"),
    [
        (5.0, 10.0, 3 + (5 - 3) + 2),
        (3.0, 8.0, 3 + 0 + 2),
        (1.0, 6.0, 3 + 0 + 2),
        (0.0, 5.0, 5.0),
    ],
)
def test_a_tool_guessed_right_is_waited_for_only_beyond_its_call(tool_s, before_s, after_s):
    assert end_s(change(one_tool(tool_s)).workload) == before_s
    told = change(one_tool(tool_s), speculative=1.0)
    assert end_s(told.workload) == after_s
    assert told.is_hit.tolist() == [False, True, False]
    assert not told.is_miss.any()


def test_a_tool_guessed_wrong_runs_after_its_call():
    told = change(one_tool(5.0), speculative=0.0)
    assert end_s(told.workload) == 10.0
    assert told.is_miss.tolist() == [False, True, False]
    assert not told.is_hit.any()


def test_the_lag_before_a_tool_is_kept():
    """Started 0.5 s after its call was sent, it ends at 5.5 s."""
    told = change(one_tool(5.0, lag_s=0.5), speculative=1.0)
    assert starts_and_ends(told.workload)[1] == (0.5, 5.5)
    assert end_s(told.workload) == 7.5


def test_of_tools_at_once_the_longest_is_waited_for():
    nodes = [call(10, 3), tool(5.0, 0), tool(1.0, 0), call(10, 2, 1, 2)]
    assert end_s(change(nodes).workload) == 10.0
    assert end_s(change(nodes, speculative=1.0).workload) == 7.0


def test_tools_in_a_row_stay_in_a_row():
    """Of 1 s each, they are done at 2 s, and the next call waits for the first one, which ends at 3 s."""
    nodes = [call(10, 3), tool(1.0, 0), tool(1.0, 1), call(10, 2, 2)]
    assert end_s(change(nodes).workload) == 7.0
    told = change(nodes, speculative=1.0)
    assert starts_and_ends(told.workload) == [(0, 3), (0, 1), (1, 2), (3, 5)]


def test_a_wrong_guess_behind_a_right_one_waits_for_the_call():
    nodes = [call(10, 3), tool(1.0, 0), tool(1.0, 1), call(10, 2, 2)]
    found = {}
    for seed in range(40):
        told = change(nodes, seed, speculative=0.5)
        found[tuple(told.is_hit[1:3].tolist())] = starts_and_ends(told.workload)
    assert found == {
        (True, True): [(0, 3), (0, 1), (1, 2), (3, 5)],
        (True, False): [(0, 3), (0, 1), (3, 4), (4, 6)],
        (False, True): [(0, 3), (3, 4), (4, 5), (5, 7)],
        (False, False): [(0, 3), (3, 4), (4, 5), (5, 7)],
    }


def test_a_tool_that_starts_inside_its_call_starts_with_it():
    """It started at the call's first token, 1 s in; the next call never waited for more of the call than that."""
    inside = tool(5.0, 0)
    inside.inside[0] = Inside(1, 0.0)
    nodes = [call(10, 3), inside, call(10, 2, 1)]
    assert starts_and_ends(change(nodes).workload)[1:] == [(1, 6), (6, 8)]
    assert starts_and_ends(change(nodes, speculative=1.0).workload)[1:] == [(0, 5), (5, 7)]
    inside.duration_s = 0.25
    assert starts_and_ends(change(nodes, speculative=1.0).workload)[1:] == [(0, 0.25), (1, 3)]


def test_what_starts_inside_a_guessed_tool_waits_for_the_call():
    inside = call(10, 1, 1)
    inside.inside[1] = Inside(0, 0.5)
    nodes = [call(10, 3), tool(4.0, 0), inside]
    assert starts_and_ends(change(nodes).workload) == [(0, 3), (3, 7), (5, 6)]
    assert starts_and_ends(change(nodes, speculative=1.0).workload) == [(0, 3), (0, 4), (3, 4)]


def test_of_several_calls_the_last_to_start_asked_for_the_tool():
    """The first, 6 s long, still has to have ended."""
    nodes = [call(10, 6), call(10, 2, lag_s=1.0), tool(5.0, 0, 1), call(10, 1, 2)]
    assert starts_and_ends(change(nodes).workload)[2] == (6, 11)
    assert starts_and_ends(change(nodes, speculative=1.0).workload)[2] == (6, 11)
    nodes[0].output_tokens = 2
    assert starts_and_ends(change(nodes).workload)[2] == (3, 8)
    assert starts_and_ends(change(nodes, speculative=1.0).workload)[2] == (2, 7)


def test_a_tool_that_no_call_asked_for_is_not_guessed():
    nodes = [tool(2.0), tool(1.0, 0), gap(1.0, 1), tool(1.0, 2), call(10, 1, 3)]
    told = change(nodes, speculative=1.0)
    assert not told.is_hit.any()
    assert same(told.workload, change(nodes).workload)


def agents(count):
    nodes = [call(10, 3), tool(1.0, 0), tool(2.0, 0), call(10, 2, 1, 2), tool(1.0, 3), call(10, 1, 4)]
    return [Story(0.1 * number, nodes) for number in range(count)]


def test_guesses_are_right_as_often_as_asked_and_more_of_them_with_more_luck():
    work = workload_of(agents(2000))
    few, many = (changed(work, Changes(speculative=share), 7).is_hit for share in (0.3, 0.6))
    assert abs(few.sum() / 6000 - 0.3) < 0.02
    assert abs(many.sum() / 6000 - 0.6) < 0.02
    assert (many | ~few).all()
    assert not np.array_equal(few, changed(work, Changes(speculative=0.3), 8).is_hit)


def test_a_guess_is_the_same_whatever_else_is_changed():
    work = workload_of(agents(50))
    alone = changed(work, Changes(speculative=0.5), 0)
    beside = changed(work, Changes(speculative=0.5, iterations=2, tool_time=2.0, sequential_calls=True), 0)
    assert len(beside.step) < len(alone.step)
    np.testing.assert_array_equal(beside.is_hit, alone.is_hit[beside.step])


def test_calls_go_on_while_tools_run_and_the_last_one_waits():
    """The tools end at 8 and 6 s, the second call at 5 s."""
    nodes = [call(10, 3), tool(5.0, 0), call(10, 2, 1), tool(1.0, 2), call(10, 1, 3)]
    assert end_s(change(nodes).workload) == 12.0
    told = change(nodes, asynchronous=True)
    assert starts_and_ends(told.workload) == [(0, 3), (3, 8), (3, 5), (5, 6), (8, 9)]


def test_tools_in_a_row_run_on_together():
    nodes = [call(10, 1), tool(2.0, 0), tool(2.0, 1), call(10, 1, 2, lag_s=0.5), call(10, 1, 3)]
    told = change(nodes, asynchronous=True)
    assert starts_and_ends(told.workload) == [(0, 1), (1, 3), (3, 5), (1.5, 2.5), (5, 6)]


def test_what_starts_inside_a_running_tool_and_tools_after_the_last_call_stay():
    inside = call(10, 1, 1)
    inside.inside[1] = Inside(0, 0.5)
    nodes = [call(10, 1), tool(4.0, 0), inside, call(10, 1, 1, 2), tool(2.0, 3)]
    assert same(change(nodes, asynchronous=True).workload, change(nodes).workload)


def test_a_tool_before_the_first_call_frees_it():
    nodes = [tool(5.0), call(10, 1, 0, lag_s=0.5), call(10, 1, 1)]
    told = change(nodes, asynchronous=True)
    assert starts_and_ends(told.workload) == [(0, 5), (0.5, 1.5), (5, 6)]


def test_running_on_and_guessing_together():
    """Both tools start with their calls, at 0 and 3 s; the last call waits for the longer."""
    nodes = [call(10, 3), tool(5.0, 0), call(10, 2, 1), tool(4.0, 2), call(10, 1, 3)]
    told = change(nodes, asynchronous=True, speculative=1.0)
    assert starts_and_ends(told.workload) == [(0, 3), (0, 5), (3, 5), (3, 7), (7, 8)]


def test_tools_take_so_many_times_as_long():
    nodes = [call(10, 3), tool(5.0, 0), gap(1.0, 1), call(10, 2, 2)]
    assert end_s(change(nodes, tool_time=0.5).workload) == 3 + 2.5 + 1 + 2
    assert end_s(change(nodes, tool_time=0.0).workload) == 6.0
