"""Each switch of the fleet on a workload whose answer is known: who waits for whom, what is found, what is paid."""

import numpy as np
import pytest

from tests.oracle.workloads import Story, call, tool, workload_of
from tracekit.analyzers.kernels.layout import State
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.what_if.registry import SWITCHES
from tracekit.analyzers.what_if.replayed import replay_scenario
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.analyzers.what_if.switch import Subject

ONE = Scenario(Fleet.of("H100", "Llama-3.1-8B").named())
HELD = {
    "gpu", "model", "precision", "tp", "replicas", "power_cap_w", "prefix_cache", "retention", "retention_s",
    "offload_gb", "kv_compression", "batching", "max_num_seqs", "max_num_batched_tokens", "min_replicas", "startup_s",
    "split", "router", "queue_order",
}  # fmt: skip


def test_no_switch_is_left_out():
    assert {name for name, switch in SWITCHES.items() if switch.subject is not Subject.SESSIONS} == HELD


def replayed(stories, **asked):
    return replay_scenario(workload_of(stories), ONE.switched(asked)).replay


def calls_of(stories, **asked):
    return replayed(stories, **asked).timeline.outcome.calls


def alone(prompt, output, at_s=0.0):
    return Story(at_s, [call(prompt, output)])


def follow_up():
    """A second call that begins with the first one's prompt, 320 tokens, after a tool of 1 s."""
    nodes = [call(320, 1), tool(1.0, 0), call(640, 1, 1)]
    nodes[2].prefix = (0, 0, 320)
    return [Story(0.0, nodes)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, 320),
        ({"prefix_cache": "off"}, 0),
        ({"retention": "evict"}, 0),
        ({"retention": "keep"}, 320),
        ({"retention": "ttl", "retention_s": 60}, 320),
    ],
)
def test_what_a_second_call_finds(asked, found):
    assert calls_of(follow_up(), **asked)["cached_tokens"].tolist() == [0, found]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, 64),
        ({"retention": "ttl", "retention_s": 0.1}, 64),
        ({"retention": "ttl", "retention_s": 60}, 320),
        ({"retention": "keep"}, 320),
        ({"retention": "offload", "offload_gb": 0}, 64),
        ({"retention": "offload", "offload_gb": 1}, 320),
    ],
)
def test_what_a_second_call_finds_where_others_need_the_memory(asked, found):
    """64 blocks: while the tool runs, others leave 30 and take 30 more, so that 16 of the first call's 20 go."""
    small = Scenario(Fleet.of("H100", "Llama-3.1-8B", kv_tokens=1024).named())
    work = workload_of([*follow_up(), alone(480, 1, 0.3), alone(480, 1, 0.6)])
    calls = replay_scenario(work, small.switched(asked)).replay.timeline.outcome.calls
    assert calls["cached_tokens"].tolist() == [0, found, 0, 0]


@pytest.mark.parametrize("asked", [{"batching": "static"}, {"max_num_seqs": 1}])
def test_a_call_that_waits_for_the_whole_one_before_it(asked):
    stories = [alone(100, 50), alone(100, 50, 0.1)]
    first, second = calls_of(stories)
    assert second["started_s"] < first["end_s"]
    first, second = calls_of(stories, **asked)
    assert second["started_s"] == first["end_s"]


def test_a_prompt_in_pieces():
    assert replayed([alone(1024, 1)]).timeline.outcome.engine_steps == 1
    assert replayed([alone(1024, 1)], max_num_batched_tokens=256).timeline.outcome.engine_steps == 4


def test_who_is_next():
    """While a call runs, one of a session that came later waits, then one of a session that came first."""
    nodes = [call(10, 1), tool(0.5, 0), call(10, 1, 1)]
    stories = [Story(0.0, nodes), alone(10, 200, 0.1), alone(10, 1, 0.2)]

    def order(**asked):
        rows = calls_of(stories, max_num_seqs=1, **asked)
        return [int(step) for step in rows["step"][np.argsort(rows["started_s"], kind="stable")]]

    assert order() == [0, 3, 4, 2]
    assert order(queue_order="session-fcfs") == [0, 3, 2, 4]


def test_where_calls_go():
    nodes = [call(10, 1), call(10, 1, 0), call(10, 1, 1)]
    assert calls_of([Story(0.0, nodes)], replicas=2, router="round-robin")["replica"].tolist() == [0, 1, 0]
    assert calls_of([Story(0.0, nodes)], replicas=2, router="session-affine")["replica"].tolist() == [0, 0, 0]


def test_two_replicas_serve_two_calls_as_one_serves_one():
    one = calls_of([alone(100, 50)])[0]
    for row in calls_of([alone(100, 50), alone(100, 50)], replicas=2):
        assert row["end_s"] == pytest.approx(one["end_s"], rel=1e-12)
    assert calls_of([alone(100, 50), alone(100, 50)])[0]["end_s"] > one["end_s"]


def test_all_gpus_of_a_replica_are_paid_for():
    for asked, gpus in (({}, 1), ({"tp": 2}, 2), ({"tp": 2, "replicas": 3}, 6)):
        timeline = replayed([alone(100, 50)], **asked).timeline
        assert sum(timeline.gpu_s.values()) == pytest.approx(gpus * timeline.horizon_ns / 1e9)


@pytest.mark.parametrize(
    "asked", [{}, {"gpu": "L40S"}, {"model": "Qwen3-8B"}, {"precision": "fp8"}, {"kv_compression": 0.25}]
)
def test_a_step_takes_what_its_coefficients_say(asked):
    """A prompt of 1,000 tokens and one token out is one step."""
    found = replayed([alone(1000, 1)], **asked)
    cost = found.fleet.pools[0].cost()
    step = cost.step
    table_s = np.interp(1000, 2.0 ** np.arange(12), cost.table.step_s)
    wanted_s = step.base_s + step.prompt_s + 1000 * (step.prefill_token_s + step.prompt_context_s)
    wanted_s += 1000 * 500 * step.prefill_attention_s + table_s
    assert found.timeline.outcome.calls["end_s"][0] == pytest.approx(wanted_s)


def test_the_machines_differ():
    ends = [
        calls_of([alone(1000, 100)], **asked)["end_s"][0]
        for asked in (
            {},
            {"gpu": "L40S"},
            {"model": "Qwen3-32B"},
            {"precision": "fp8"},
            {"kv_compression": 0.25},
        )
    ]
    assert len(set(ends)) == len(ends)
    assert ends[4] < ends[0] < ends[1]


def test_no_step_draws_more_than_the_cap():
    stories = [alone(4000, 20) for _ in range(8)]

    def most_w(**asked):
        rows = replayed(stories, **asked).timeline.outcome.segments
        return (rows["energy_j"] / (rows["end_s"] - rows["start_s"])).max()

    assert most_w() > 400
    assert most_w(power_cap_w=400) < 400


def test_a_replica_that_is_not_needed_is_off_and_one_that_is_takes_its_time_to_start():
    timeline = replayed([alone(100, 50)], replicas=2, min_replicas=1).timeline
    assert timeline.state_ns[State.OFF] == timeline.horizon_ns
    crowd = [alone(100, 200) for _ in range(9)]  # one more than stand before another replica is started
    for startup_s in (0.25, 0.5):
        timeline = replayed(crowd, replicas=2, min_replicas=1, startup_s=startup_s).timeline
        assert timeline.state_ns[State.STARTING] == pytest.approx(startup_s * 1e9, abs=1)


def test_prompts_and_decodes_apart():
    row = calls_of([alone(1000, 10)], split="1:1")[0]
    assert (row["replica"], row["decode_replica"]) == (0, 1)
    limits = ONE.switched({"split": "1:1"}).fleet.limits()[1]
    assert row["end_s"] > row["first_token_s"] + 1000 * limits.transfer_token_s
