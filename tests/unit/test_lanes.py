"""Pools for some of the calls: who goes where, and whose idleness it is, worked out by hand."""

import numpy as np
import pytest

from tests.oracle.workloads import Story, call, tool, workload_of
from tracekit.analyzers.kernels.lanes import lanes_of, luck
from tracekit.analyzers.kernels.layout import (
    ANY_CALL,
    BLOCK_TOKENS,
    CallRule,
    Cause,
    FleetLimits,
    Pool,
    PowerCurve,
    State,
    StepCost,
)
from tracekit.analyzers.kernels.replay import replay_pools

COST = StepCost(10e-3, 10e-6, 0, 1e-3, 0, 1, 0, 0, 0)
POWER = PowerCurve(100.0, 300.0, 0.0, np.inf)
LIMITS = FleetLimits(1, 0, 64, 8192, BLOCK_TOKENS, 10_000, 100_000, 1)
SHORT = CallRule(output_tokens=(0, 2))


def pool(rule=ANY_CALL, **limits):
    return Pool(COST, POWER, LIMITS._replace(calls=rule, **limits), usd_per_s=1e-3)


@pytest.fixture
def workload():
    """A long call of 3 tokens, a tool of 100 ms, a short call of 1, at once a long one."""
    return workload_of([Story(0.0, [call(1000, 3), tool(0.1, 0), call(500, 1, 1), call(500, 3, 2)])])


def test_calls_go_where_their_rule_says(workload):
    outcome = replay_pools(workload, [pool(), pool(SHORT)])
    assert list(outcome.pools["tier"]) == [0, 1]
    assert list(outcome.calls["replica"]) == [1, 0, 1]
    assert outcome.refused == 0


def test_idleness_is_counted_in_each_lane(workload):
    """The small pool's replica has nobody before its first call, and nobody after its last; the other one waits."""
    outcome = replay_pools(workload, [pool(), pool(SHORT)])
    small, large = (outcome.segments[outcome.segments["replica"] == replica] for replica in (0, 1))
    assert list(small["cause"][small["state"] == State.IDLE]) == [Cause.NO_DEMAND, Cause.NO_DEMAND]
    assert list(large["cause"][large["state"] == State.IDLE]) == [Cause.TOOL_WAIT, Cause.PEER_CALL]
    waits = large[large["cause"] == Cause.TOOL_WAIT][0]
    assert waits["end_s"] - waits["start_s"] == pytest.approx(0.1)
    elsewhere = large[large["cause"] == Cause.PEER_CALL][0]
    assert elsewhere["end_s"] - elsewhere["start_s"] == pytest.approx(10e-3 + 500 * 10e-6)
    spent = outcome.sessions["idle_s"].sum() + outcome.null_idle_s
    idle = outcome.segments[outcome.segments["state"] == State.IDLE]
    assert spent == pytest.approx((idle["end_s"] - idle["start_s"]).sum())


def test_the_first_rule_that_is_met_decides(workload):
    rules = [CallRule(input_tokens=(0, 600)), SHORT, ANY_CALL]
    assert list(lanes_of(workload, rules, 0)[[0, 2, 3]]) == [2, 0, 0]
    assert list(lanes_of(workload, [rules[1], rules[0], ANY_CALL], 0)[[0, 2, 3]]) == [2, 0, 1]


def test_recorded_models_are_matched_by_pattern(workload):
    told = workload._replace(
        model=np.array([0, -1, 1, -1], np.int32), models=("claude-opus-4", "Claude-Haiku-4")
    )
    rules = [CallRule(models=("*haiku*", "gpt*")), ANY_CALL]
    assert list(lanes_of(told, rules, 0)) == [1, 1, 0, 1]
    alone = workload._replace(models=("claude-haiku-4",))
    assert not lanes_of(alone, rules, 0).any()
    assert lanes_of(workload, rules, 0).all()


def test_a_share_is_drawn_by_seed_session_and_place():
    stories = [Story(0.1 * number, [call(10, 2), call(10, 2, 0)]) for number in range(2000)]
    many = workload_of(stories)
    drawn = luck(many, 7)
    assert 0 <= drawn.min() < 0.001
    assert 0.999 < drawn.max() < 1
    assert np.mean(drawn < 0.3) == pytest.approx(0.3, abs=0.03)
    assert np.corrcoef(drawn[::2], drawn[1::2])[0, 1] == pytest.approx(0, abs=0.08)
    few = workload_of(stories[:5])
    assert (luck(few, 7) == drawn[:10]).all()
    assert not (luck(few, 8) == drawn[:10]).any()


def test_a_call_that_only_other_lanes_could_hold_is_refused(workload):
    outcome = replay_pools(workload, [pool(max_model_len=600), pool(SHORT)])
    assert outcome.refused == 1
    assert list(outcome.calls["replica"]) == [-1, 0, 1]


def test_pools_without_anybody_for_the_rest_are_refused(workload):
    with pytest.raises(ValueError, match="meet no rule"):
        replay_pools(workload, [pool(SHORT)])


def test_a_lane_of_decoders_alone_is_refused(workload):
    with pytest.raises(ValueError, match="for the same calls"):
        replay_pools(workload, [pool(), pool(SHORT, role=2)])
