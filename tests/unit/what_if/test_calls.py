"""What-ifs of calls, rounds and prompts, worked out by hand; a call takes as many seconds as it has output tokens."""

import numpy as np
import pytest

from tests.oracle.session import Inside
from tests.oracle.workloads import Story, call, gap, tool, workload_of
from tests.unit.what_if.second_a_step import change, end_s, same, starts_and_ends
from tracekit.analyzers.kernels.layout import NOBODY
from tracekit.analyzers.what_if.changed import changed
from tracekit.analyzers.what_if.changes import Changes


def begins_as(node, place, tokens):
    node.prefix = (0, place, tokens)
    return node


def test_calls_one_at_a_time():
    nodes = [call(10, 3), call(10, 2), call(10, 1, lag_s=0.5)]
    assert end_s(change(nodes).workload) == 3.0
    told = change(nodes, sequential_calls=True)
    assert starts_and_ends(told.workload) == [(0, 3), (3, 5), (5.5, 6.5)]


def test_a_call_inside_another_waits_for_its_end():
    inside = call(10, 2, 0)
    inside.inside[0] = Inside(1, 0.0)
    assert starts_and_ends(change([call(10, 3), inside]).workload)[1][0] == 1.0
    assert starts_and_ends(change([call(10, 3), inside], sequential_calls=True).workload)[1] == (3, 5)


def test_calls_that_are_one_at_a_time_already_stay():
    nodes = [call(10, 3), tool(1.0, 0), call(10, 2, 1), call(10, 1, 2)]
    told = change(nodes, sequential_calls=True)
    assert starts_and_ends(told.workload) == starts_and_ends(change(nodes).workload)


def test_candidates_tried_in_a_row_run_side_by_side():
    """The second and third begin as the first one's prompt, whole; the fourth goes on from the third's answer."""
    nodes = [
        call(10, 3),
        begins_as(call(10, 2, 0), 0, 10),
        begins_as(call(10, 2, 1, lag_s=0.5), 0, 10),
        begins_as(call(20, 1, 2), 2, 12),
    ]
    assert end_s(change(nodes).workload) == 8.5
    told = change(nodes, parallel_calls=True)
    assert starts_and_ends(told.workload) == [(0, 3), (0, 2), (0.5, 3.0), (3.0, 4.0)]


def test_a_call_of_no_known_prefix_or_behind_a_tool_stays():
    nodes = [call(10, 3), call(10, 2, 0), tool(1.0, 1), begins_as(call(10, 1, 2), 0, 10)]
    assert same(change(nodes, parallel_calls=True).workload, change(nodes).workload)


def rounds():
    """Four calls with a tool after each but the last: 1 + 1 + 2 + 1 + 3 + 1 + 4 s."""
    return [
        call(10, 1),
        tool(1.0, 0),
        begins_as(call(20, 2, 1), 0, 11),
        tool(1.0, 2),
        begins_as(call(30, 3, 3), 2, 22),
        tool(1.0, 4),
        begins_as(call(40, 4, 5), 4, 33),
    ]


@pytest.mark.parametrize(
    ("budget", "steps", "end"),
    [(1, [6], 4), (2, [0, 1, 6], 1 + 1 + 4), (3, [0, 1, 2, 3, 6], 1 + 1 + 2 + 1 + 4), (4, [*range(7)], 13)],
)
def test_the_first_rounds_and_the_last_call(budget, steps, end):
    told = change(rounds(), iterations=budget)
    assert told.step.tolist() == steps
    assert told.sessions_cut == (budget < 4)
    assert end_s(told.workload) == end
    assert told.workload.input_tokens[-1] == 40
    assert told.workload.output_tokens[-1] == 4


def test_a_prompt_shares_what_is_left_of_what_it_shared():
    told = change(rounds(), iterations=2).workload
    assert told.prefix_parent.tolist() == [NOBODY, NOBODY, 0]
    assert told.prefix_tokens.tolist() == [0, 0, 11]
    assert change(rounds(), iterations=1).workload.prefix_parent.tolist() == [NOBODY]


def test_what_runs_side_by_side_is_one_round_and_titles_are_waited_for_by_nobody():
    """A title beside the first call; three candidates at once; two more rounds."""
    nodes = [
        call(10, 1),
        call(10, 5),  # a title
        *(call(10, 2, 0) for _ in range(3)),
        call(10, 1, 2, 3, 4),
        call(10, 1, 5),
    ]
    told = change(nodes, iterations=3)
    assert told.step.tolist() == [0, 1, 2, 3, 4, 6]
    assert starts_and_ends(told.workload)[-1][0] == 3.0


def test_only_sessions_with_more_rounds_are_cut_and_what_follows_the_last_call_stays():
    short = [call(10, 1), tool(1.0, 0), call(10, 1, 1)]
    work = workload_of([Story(0.0, short), Story(0.0, [*rounds(), tool(2.0, 6)]), Story(5.0, short)])
    told = changed(work, Changes(iterations=2), 0)
    assert told.step.tolist() == [0, 1, 2, 3, 4, 9, 10, 11, 12, 13]
    assert told.workload.session_step_start.tolist() == [0, 3, 7, 10]
    assert told.workload.session.tolist() == [0] * 3 + [1] * 4 + [2] * 3
    assert told.sessions_cut == 1


def test_a_gap_is_no_round():
    nodes = [gap(1.0), call(10, 1, 0), gap(2.0, 1), call(10, 1, 2), call(10, 1, 3)]
    assert change(nodes, iterations=2).step.tolist() == [0, 1, 2, 4]


def test_examples_lengthen_prompts_and_what_they_share():
    told = change(rounds(), few_shot_tokens=100).workload
    assert told.input_tokens.tolist() == [110, 0, 120, 0, 130, 0, 140]
    assert told.prefix_tokens.tolist() == [0, 0, 111, 0, 122, 0, 133]
    fewer = change(rounds(), few_shot_tokens=-15).workload
    assert fewer.input_tokens.tolist() == [1, 0, 5, 0, 15, 0, 25]
    assert fewer.prefix_tokens.tolist() == [0, 0, 0, 0, 7, 0, 18]
    np.testing.assert_array_equal(fewer.output_tokens, change(rounds()).workload.output_tokens)
