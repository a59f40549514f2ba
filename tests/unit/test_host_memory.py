"""Retention `offload`: steps take 1 s whatever is in them, and a block 1 s to host memory or back."""

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, NEVER, TICK, Node, Story, call, crowd, fleet, tool, workload_of
from tracekit.analyzers.kernels.layout import (
    Batching,
    CallRule,
    Cause,
    Outcome,
    Pool,
    Retention,
    Router,
    State,
    StepCost,
)
from tracekit.analyzers.kernels.replay import replay, replay_pools
from tracekit.analyzers.scenario import Pool as ScenarioPool
from tracekit.errors import ScenarioInvalid

FREE = StepCost(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SECOND_A_STEP = FREE._replace(base_s=1.0)
OFFLOAD = int(Retention.OFFLOAD)


def run(told: list[Story], offload_tokens: int = 1000, replicas: int = 1, **limits: int) -> Outcome:
    offloading = fleet(replicas, **limits)._replace(
        retention=OFFLOAD, offload_tokens=offload_tokens, offload_token_s=1 / 16
    )
    return replay(workload_of(told), SECOND_A_STEP, FLAT, offloading)


def goes_on(prompt: int, output: int, *parents: int, after: tuple[int, int, int]) -> Node:
    node = call(prompt, output, *parents)
    node.prefix = after
    return node


def returning(tool_s: float, arrival_s: float = 0.0, session: int = 0) -> Story:
    """A session whose second call begins with all 64 tokens of its first."""
    return Story(arrival_s, [call(64, 1), tool(tool_s, 0), goes_on(80, 1, 1, after=(session, 0, 64))])


def crowded() -> list[Story]:
    """One session that returns at 21 s; two others have had 4 blocks each in between."""
    return [returning(20.0), Story(3.0, [call(64, 1)]), Story(6.0, [call(64, 1)])]


@pytest.mark.parametrize(("blocks", "loaded"), [(8, 4), (10, 2), (12, 0)])
def test_what_the_cache_has_lost_is_loaded(blocks: int, loaded: int) -> None:
    outcome = run(crowded(), num_blocks=blocks)
    assert outcome.calls["started_s"].tolist() == [0.0, 21.0 + loaded, 3.0, 6.0]
    assert outcome.calls["end_s"][1] == 22.0 + loaded
    assert outcome.calls["cached_tokens"].tolist() == [0, 64, 0, 0]


def test_the_replica_idles_for_the_transfer() -> None:
    outcome = run(crowded(), num_blocks=8)
    idle = outcome.segments[outcome.segments["cause"] == Cause.TRANSFER]
    assert idle[["start_s", "end_s"]].tolist() == [(21.0, 25.0)]
    assert outcome.sessions["idle_s"][:, Cause.TRANSFER].tolist() == [4.0, 0.0, 0.0]
    assert outcome.sessions["idle_j"][:, Cause.TRANSFER].tolist() == [400.0, 0.0, 0.0]


def test_other_calls_run_while_one_loads() -> None:
    told = [*crowded(), Story(21.0, [call(16, 3)])]
    outcome = run(told, num_blocks=8)
    assert outcome.calls["started_s"].tolist() == [0.0, 25.0, 3.0, 6.0, 21.0]


def test_loading_begins_when_all_is_there() -> None:
    """The call ends at 1 s and 4 blocks are sent until 5 s; at 2 s the session is back, its blocks taken meanwhile."""
    outcome = run([returning(1.0), Story(1.0, [call(80, 1)])], num_blocks=5)
    assert outcome.calls["started_s"].tolist() == [0.0, 9.0, 1.0]
    assert outcome.calls["cached_tokens"].tolist() == [0, 64, 0]


def test_one_after_the_other_is_loaded() -> None:
    told = [returning(20.0), returning(19.0, 1.0, session=1), Story(10.0, [call(128, 1)])]
    outcome = run(told, num_blocks=8)
    assert outcome.calls["started_s"].tolist() == [0.0, 25.0, 1.0, 29.0, 10.0]


def test_the_text_used_longest_ago_makes_room() -> None:
    told = [returning(20.0), returning(19.0, 1.0, session=1), Story(10.0, [call(128, 1)])]
    outcome = run(told, 127, num_blocks=8)
    assert outcome.calls["cached_tokens"].tolist() == [0, 0, 0, 64, 0]
    assert run(told, 128, num_blocks=8).calls["cached_tokens"].tolist() == [0, 64, 0, 64, 0]


@pytest.mark.parametrize(("tokens", "found"), [(128, 0), (192, 64)])
def test_loading_is_use(tokens: int, found: int) -> None:
    """The first session's text was sent before the second's and loaded after it; the third's takes its room."""
    first = returning(20.0)
    first.nodes[2] = goes_on(80, 40, 1, after=(0, 0, 64))
    told = [
        first,
        returning(49.0, 1.0, session=1),
        Story(10.0, [call(256, 1)]),
        returning(100.0, 30.0, session=3),
    ]
    outcome = run(told, tokens, num_blocks=16)
    assert outcome.calls["started_s"][[1, 5]].tolist() == [25.0, 30.0]
    assert outcome.calls["cached_tokens"][[1, 3]].tolist() == [64, found]


def test_what_goes_while_a_call_loads_is_loaded_next() -> None:
    """Two blocks are there at 21 s and two loaded by 23 s, when those that were there have been taken: 4 s more."""
    told = [*crowded(), Story(21.5, [call(144, 1)])]
    outcome = run(told, num_blocks=10)
    assert outcome.calls["started_s"].tolist() == [0.0, 27.0, 3.0, 6.0, 21.5]
    assert outcome.calls["cached_tokens"][1] == 64


def test_a_text_too_long_for_host_memory_is_not_sent() -> None:
    assert run(crowded(), 63, num_blocks=8).calls["cached_tokens"].tolist() == [0, 0, 0, 0]


def test_only_what_is_new_of_a_longer_text_is_sent() -> None:
    """The second call leaves 96 tokens at 42 s, 32 of them new: there at 44 s, and its blocks lost at once."""
    first = returning(20.0)
    first.nodes[2] = goes_on(80, 17, 1, after=(0, 0, 64))
    first.nodes += [tool(1.0, 2), goes_on(112, 1, 3, after=(0, 2, 97))]
    told = [first, *crowded()[1:], Story(42.0, [call(128, 1)])]
    outcome = run(told, num_blocks=8)
    assert outcome.calls["end_s"][1] == 42.0
    assert outcome.calls["started_s"][2] == 50.0
    assert outcome.calls["cached_tokens"].tolist() == [0, 64, 96, 0, 0, 0]


def run_in_lanes(told: list[Story]) -> Outcome:
    """On a replica for prompts of up to 8 tokens, and one of 8 blocks for the rest; each sends up to 128 tokens."""
    limits = fleet(1, num_blocks=8)._replace(retention=OFFLOAD, offload_tokens=128, offload_token_s=1 / 16)
    short = limits._replace(calls=CallRule(input_tokens=(0, 8)))
    pools = [Pool(SECOND_A_STEP, FLAT, each) for each in (short, limits._replace(max_model_len=200))]
    return replay_pools(workload_of(told), pools)


def test_calls_of_another_lane_neither_keep_nor_drop_what_is_there() -> None:
    first = Story(0.0, [call(8, 1), call(64, 1, 0), call(8, 1, 1), tool(20.0, 2)])
    first.nodes.append(goes_on(80, 1, 3, after=(0, 1, 64)))
    outcome = run_in_lanes([first, Story(5.0, [call(128, 1)])])
    assert outcome.calls["replica"].tolist() == [0, 1, 0, 1, 1]
    assert outcome.calls["cached_tokens"].tolist() == [0, 0, 0, 64, 0]
    assert outcome.calls["started_s"][3] == 23.0 + 4.0


def test_what_is_there_for_a_refused_call_goes() -> None:
    """The second session's text is the newer one when a third needs room, but its next call can never be."""
    refused = Story(2.0, [call(64, 1), call(8, 40, 0), tool(1.0, 0), goes_on(256, 1, 2, after=(1, 0, 64))])
    told = [returning(40.0), refused, returning(40.0, 15.0, session=2), Story(30.0, [call(128, 1)])]
    outcome = run_in_lanes(told)
    assert outcome.refused == 1
    assert outcome.calls["cached_tokens"].tolist() == [0, 64, 0, 0, 0, 0, 64, 0]


def test_a_session_finds_nothing_on_another_replica() -> None:
    outcome = run([returning(20.0)], replicas=2, num_blocks=8)
    assert outcome.calls["replica"].tolist() == [0, 1]
    assert outcome.calls["cached_tokens"].tolist() == [0, 0]
    assert outcome.calls["started_s"].tolist() == [0.0, 21.0]


@pytest.mark.parametrize(("scale_down_s", "found"), [(4.0, 0), (100.0, 64)])
def test_a_replica_that_was_off_has_lost_it(scale_down_s: float, found: int) -> None:
    """Replica 1 starts at 0 s, for one call too many; replica 0 is quiet from 1 s, and needed again from 30 s on."""
    told = [
        returning(31.0),
        Story(0.0, [call(8, 1)]),
        Story(0.5, [call(8, 60)]),
        Story(30.0, [call(8, 60)]),
    ]
    elastic = fleet(2, Router.SESSION_AFFINE)._replace(
        retention=OFFLOAD,
        offload_tokens=1000,
        min_replicas=1,
        scale_up_calls=1,
        scale_down_s=scale_down_s,
    )
    outcome = replay(workload_of(told), SECOND_A_STEP, FLAT, elastic)
    assert outcome.calls["replica"][:2].tolist() == [0, 0]
    mine = outcome.segments[outcome.segments["replica"] == 0]
    assert (State.OFF in mine["state"]) == (found == 0)
    assert outcome.calls["cached_tokens"][1] == found


@pytest.mark.parametrize("seed", range(12))
def test_with_room_for_all_nothing_is_loaded(seed: int) -> None:
    workload, cost, power, limits = crowd(seed)
    roomy = limits._replace(num_blocks=NEVER)
    plain = replay(workload, cost, power, roomy)
    sent = replay(
        workload, cost, power, roomy._replace(retention=OFFLOAD, offload_tokens=NEVER, offload_token_s=0.001)
    )
    for table in ("calls", "waits", "sessions", "segments"):
        np.testing.assert_array_equal(getattr(sent, table), getattr(plain, table))


@pytest.mark.parametrize("seed", range(12))
def test_tokens_seconds_and_joules_add_up(seed: int) -> None:
    """With one tick a token and room for two calls at a time, so that nothing is computed twice."""
    workload, _cost, power, limits = crowd(seed)
    per_token = FREE._replace(prefill_token_s=TICK, decode_s=TICK)
    tight = limits._replace(
        num_blocks=32,
        max_num_seqs=2,
        retention=OFFLOAD,
        offload_tokens=2000,
        offload_token_s=TICK / 4,
        replicas=2,
    )
    outcome = replay(workload, per_token, power, tight._replace(enable_prefix_cache=1, max_model_len=NEVER))
    calls, segments = outcome.calls, outcome.segments
    assert not calls["preemptions"].any()
    assert (calls["replica"] >= 0).all()
    prompts, outputs = workload.input_tokens[calls["step"]], workload.output_tokens[calls["step"]]
    lengths_s = segments["end_s"] - segments["start_s"]
    is_idle = segments["state"] == State.IDLE
    computed = (prompts + outputs - 1 - calls["cached_tokens"]).sum()
    np.testing.assert_allclose(lengths_s[~is_idle].sum(), computed * TICK, rtol=1e-9)
    np.testing.assert_allclose(calls["busy_s"].sum(), computed * TICK, rtol=1e-9)
    by_cause = np.bincount(segments["cause"][is_idle], lengths_s[is_idle], len(Cause) - 1)
    np.testing.assert_allclose(
        outcome.sessions["idle_s"].sum(axis=0)[: Cause.NO_DEMAND], by_cause[: Cause.NO_DEMAND], atol=1e-9
    )
    assert (calls["queued_s"] <= calls["started_s"]).all()
    assert outcome.kv_peak_tokens <= tight.kv_capacity_tokens


@pytest.mark.parametrize("seed", range(12))
def test_every_call_ends_however_little_room_there_is(seed: int) -> None:
    workload, cost, power, limits = crowd(seed)
    tight = limits._replace(
        num_blocks=16,
        retention=OFFLOAD,
        offload_tokens=600,
        offload_token_s=1e-4,
        enable_prefix_cache=1,
    )
    outcome = replay(workload, cost, power, tight)
    served = outcome.calls["replica"] >= 0
    assert served.any()
    assert (outcome.calls["end_s"] > outcome.calls["queued_s"])[served].all()
    assert outcome.kv_peak_tokens <= tight.kv_capacity_tokens


def chatting(seed: int) -> list[Story]:
    """Sessions whose calls each go on from the one before."""
    draw = np.random.default_rng(seed)
    told = []
    for session in range(8):
        nodes = [call(int(draw.integers(1, 90)), int(draw.integers(1, 30)))]
        for turn in range(int(draw.integers(1, 5))):
            before = nodes[2 * turn]
            shared = int(draw.integers(before.input_tokens, before.input_tokens + before.output_tokens + 1))
            output = int(draw.integers(1, 30))
            nodes.append(tool(float(draw.exponential(5.0)), 2 * turn))
            nodes.append(
                goes_on(
                    shared + int(draw.integers(1, 40)),
                    output,
                    2 * turn + 1,
                    after=(session, 2 * turn, shared),
                )
            )
        told.append(Story(float(draw.uniform(0.0, 20.0)), nodes))
    return told


@pytest.mark.parametrize("seed", range(8))
def test_a_host_memory_with_room_is_as_good_as_a_cache_with_room(seed: int) -> None:
    """What the prompts find, whatever has become of the blocks in GPU memory; it only takes longer."""
    workload = workload_of(chatting(seed))
    roomy = replay(workload, SECOND_A_STEP, FLAT, fleet())
    tight = fleet(num_blocks=34, max_num_seqs=1)._replace(
        retention=OFFLOAD, offload_tokens=NEVER, offload_token_s=1 / 64
    )
    lru = replay(workload, SECOND_A_STEP, FLAT, tight._replace(retention=int(Retention.LRU)))
    outcome = replay(workload, SECOND_A_STEP, FLAT, tight)
    assert outcome.calls["cached_tokens"].tolist() == roomy.calls["cached_tokens"].tolist()
    assert lru.calls["cached_tokens"].sum() < outcome.calls["cached_tokens"].sum()


def test_a_pool_says_what_host_memory_holds_and_how_fast() -> None:
    """Llama-3.1-8B: 131,072 bytes a token, half of it on each of two GPUs, which have a link each."""
    pool = ScenarioPool(
        "H100", "Llama-3.1-8B", tp=2, retention="offload", offload_gb=13.1072, offload_gb_s=65.536
    )
    limits = pool.limits()
    assert limits.offload_tokens == pytest.approx(100_000, abs=1)
    assert limits.offload_token_s == pytest.approx(1e-6)


@pytest.mark.parametrize("key", [{"role": "prefill"}, {"batching": "slots"}, {"prefix_cache": False}])
def test_a_pool_that_cannot_offload_is_refused(key: dict[str, object]) -> None:
    with pytest.raises(ScenarioInvalid, match="offload"):
        ScenarioPool("H100", "Llama-3.1-8B", retention="offload", **key)


def test_static_batches_offload_too() -> None:
    assert run(crowded(), num_blocks=8, batching=Batching.STATIC).calls["cached_tokens"].tolist() == [
        0,
        64,
        0,
        0,
    ]
