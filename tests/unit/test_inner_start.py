"""Steps that start inside their parent, one rule at a time; an engine step takes 1 s whatever is in it."""

import pytest

from tests.oracle.session import Inside
from tests.oracle.workloads import FLAT, NEVER, Node, Story, call, fleet, tool, workload_of
from tracekit.analyzers.kernels.layout import Batching, Cause, Outcome, Pool, Role, Router, State, StepCost
from tracekit.analyzers.kernels.replay import replay, replay_pools

SECOND_A_STEP = StepCost(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def run(told: list[Story], replicas: int = 1, **limits: int) -> Outcome:
    return replay(
        workload_of(told),
        SECOND_A_STEP,
        FLAT,
        fleet(replicas, limits.pop("router", Router.ROUND_ROBIN), **limits),
    )


def inside(node: Node, parent: int = 0, *, token: int = 0, fraction: float = 0.0) -> Node:
    node.inside[parent] = Inside(token, fraction)
    return node


def starts_s(outcome: Outcome) -> list[float]:
    return outcome.steps["start_s"].tolist()


@pytest.mark.parametrize(
    ("token", "start_s"),
    [(0, 2.0), (1, 3.0), (2, 4.0), (7, 9.0), (9, 11.0), (10, 12.0), (11, 12.0), (99, 12.0)],
)
def test_a_step_starts_when_the_call_has_emitted_a_token(token: int, start_s: float) -> None:
    """0: when the call is queued; more than it emits: at its end."""
    outcome = run([Story(0.0, [call(5, 10, lag_s=2.0), inside(tool(0.5, 0), token=token)])])
    assert starts_s(outcome) == [2.0, start_s]
    assert outcome.calls["end_s"].tolist() == [12.0]
    assert outcome.segments["steps"].sum() == outcome.engine_steps == 10


def test_its_lag_comes_on_top() -> None:
    outcome = run([Story(0.0, [call(5, 4), inside(tool(0.5, 0, lag_s=0.25), token=2), tool(1.0, 1)])])
    assert starts_s(outcome) == [0.0, 2.25, 2.75]


def test_a_call_that_waits_keeps_those_waiting_that_wait_for_a_token() -> None:
    told = [
        Story(0.0, [call(5, 6)]),
        Story(1.0, [call(5, 3), *(inside(tool(9.0, 0), token=at) for at in (0, 1, 2))]),
    ]
    outcome = run(told, max_num_seqs=1)
    assert starts_s(outcome)[1:] == [1.0, 1.0, 7.0, 8.0]


def test_several_steps_start_inside_one_call() -> None:
    nodes = [call(5, 6), *(inside(tool(0.5, 0), token=token) for token in (4, 1, 4, 0))]
    assert starts_s(run([Story(0.0, nodes)])) == [0.0, 4.0, 1.0, 4.0, 0.0]


def test_a_step_waits_for_its_last_edge() -> None:
    nodes = [call(5, 10), tool(4.5, 0), tool(1.0, 0, 1), tool(1.0, 0, 1)]
    inside(nodes[1], token=1)
    inside(nodes[2], token=3)
    inside(nodes[3], token=8)
    assert starts_s(run([Story(0.0, nodes)])) == [0.0, 1.0, 5.5, 8.0]


def test_a_call_that_starts_inside_another_joins_its_batch() -> None:
    outcome = run([Story(0.0, [call(5, 10), inside(call(5, 2, 0), token=4)])])
    assert outcome.calls["started_s"].tolist() == [0.0, 4.0]
    assert outcome.calls["end_s"].tolist() == [10.0, 6.0]


def test_inside_a_tool_a_step_starts_after_the_same_part_of_it() -> None:
    nodes = [
        call(1, 1),
        tool(8.0, 0),
        inside(tool(1.0, 1, lag_s=0.5), 1, fraction=0.25),
        inside(tool(1.0, 1), 1, fraction=1.0),
    ]
    assert starts_s(run([Story(0.0, nodes)])) == [0.0, 1.0, 3.5, 9.0]


def test_a_preempted_call_lets_each_step_start_once() -> None:
    """Preempted at 2 s with one token, computed again from 3 s on: that step emits token 2."""
    nodes = [call(15, 3), *(inside(tool(0.5, 0), token=token) for token in (0, 1, 2, 3))]
    told = [Story(0.0, [call(16, 3)]), Story(0.0, nodes), Story(0.5, [call(1, 1)])]
    outcome = run(told, num_blocks=2, enable_prefix_cache=0)
    assert outcome.calls["preemptions"].tolist() == [0, 1, 0]
    assert starts_s(outcome)[1:6] == [0.0, 0.0, 1.0, 4.0, 5.0]


def test_a_refused_call_lets_all_start() -> None:
    told = [Story(0.0, [call(50, 50), *(inside(tool(0.5, 0), token=token) for token in (0, 1, 40))])]
    outcome = run(told, num_blocks=2)
    assert outcome.refused == 1
    assert starts_s(outcome) == [0.0, 0.0, 0.0, 0.0]


def test_where_prompts_are_computed_elsewhere_the_first_token_comes_from_there() -> None:
    """Prompt 0-1 s, transfer 1-3 s, then a token a second."""
    pools = [
        Pool(SECOND_A_STEP, FLAT, fleet(role=Role.PREFILL)),
        Pool(SECOND_A_STEP, FLAT, fleet(role=Role.DECODE, transfer_s=2.0)),
    ]
    nodes = [call(5, 4), *(inside(tool(0.5, 0), token=token) for token in (1, 2, 3))]
    outcome = replay_pools(workload_of([Story(0.0, nodes)]), pools)
    assert starts_s(outcome) == [0.0, 1.0, 4.0, 5.0]


@pytest.mark.parametrize("batching", [Batching.STATIC, Batching.SLOTS])
def test_other_engines_emit_tokens_too(batching: Batching) -> None:
    told = [Story(0.0, [call(5, 6), inside(tool(0.5, 0), token=3)])]
    assert starts_s(run(told, batching=batching, max_num_seqs=2, num_blocks=100)) == [0.0, 3.0]


def test_a_session_with_a_call_in_flight_waits_for_no_tool() -> None:
    """Replica 1 has its latest call until 3 s; the first call runs until 10 s, the tool from 4 s on."""
    nodes = [call(5, 10), inside(call(5, 1, 0), token=2), inside(tool(20.0, 0), token=4), call(5, 1, 1, 2)]
    outcome = run([Story(0.0, nodes)], replicas=2)
    idle = outcome.segments[(outcome.segments["replica"] == 1) & (outcome.segments["state"] == State.IDLE)]
    assert [(Cause(row["cause"]), row["start_s"], row["end_s"]) for row in idle] == [
        (Cause.NO_DEMAND, 0.0, 2.0),
        (Cause.PEER_CALL, 3.0, 10.0),
        (Cause.TOOL_WAIT, 10.0, 24.0),
        (Cause.NO_DEMAND, 24.0, 25.0),
    ]
    assert outcome.waits["idle_s"].tolist() == [14.0]
    assert outcome.sessions["idle_s"][0, Cause.PEER_CALL] == 7.0


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_part_of_a_tool_is_between_none_and_all_of_it(fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        run([Story(0.0, [call(1, 1), tool(1.0, 0), inside(tool(1.0, 1), 1, fraction=fraction)])])


def test_an_edge_is_inner_once() -> None:
    workload = workload_of([Story(0.0, [call(1, 1), inside(tool(1.0, 0))])])
    twice = {
        name: getattr(workload, name).repeat(2) for name in ("inner_edge", "inner_token", "inner_fraction")
    }
    with pytest.raises(ValueError, match="named once"):
        replay(workload._replace(**twice), SECOND_A_STEP, FLAT, fleet(num_blocks=NEVER))
