"""Rules of pools, routers and queues one at a time, worked out by hand; a step mostly takes 1 s whatever is in it."""

import numpy as np
import pytest

from tests.oracle.fleet import DRAWN_BITS
from tests.oracle.workloads import FLAT, NEVER, Story, call, fleet, gap, tool, workload_of
from tracekit.analyzers.kernels.layout import (
    BLOCK_TOKENS,
    Batching,
    Cause,
    Outcome,
    Pool,
    QueueOrder,
    Role,
    Router,
    State,
    StepCost,
)
from tracekit.analyzers.kernels.replay import replay_pools

FREE = StepCost(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SECOND_A_STEP = FREE._replace(base_s=1.0)


def pool(
    replicas: int = 1,
    cost: StepCost = SECOND_A_STEP,
    idle_w: float = 100.0,
    usd_per_s: float = 0.0,
    **limits: float,
) -> Pool:
    return Pool(cost, FLAT._replace(idle_w=idle_w), fleet(replicas, **limits), usd_per_s)


def split(
    prefills: int = 1,
    decodes: int = 1,
    transfer_s: float = 0.0,
    transfer_token_s: float = 0.0,
    **limits: float,
) -> list[Pool]:
    moved = {"transfer_s": transfer_s, "transfer_token_s": transfer_token_s}
    return [
        pool(prefills, role=Role.PREFILL),
        pool(decodes, **{"role": Role.DECODE, **moved, **limits}),
    ]


def run(
    stories: list[Story],
    pools: list[Pool],
    router: Router = Router.LEAST_OUTSTANDING,
    order: QueueOrder = QueueOrder.FCFS,
    seed: int = 0,
) -> Outcome:
    return replay_pools(workload_of(stories), pools, router, order, seed)


def alone(prompt: int, output: int, at_s: float = 0.0) -> Story:
    """A session of one call."""
    return Story(at_s, [call(prompt, output)])


def replicas_of(outcome: Outcome) -> list[int]:
    return outcome.calls["replica"].tolist()


def spans(outcome: Outcome, replica: int) -> list[tuple[State | Cause, float, float]]:
    """Return (state, or cause if idle; start; end) of each segment."""
    return [
        (
            Cause(row["cause"]) if row["state"] == State.IDLE else State(row["state"]),
            row["start_s"],
            row["end_s"],
        )
        for row in outcome.segments[outcome.segments["replica"] == replica]
    ]


# --- pools and tiers ---


def test_replicas_are_numbered_pool_after_pool_and_those_that_decode_last() -> None:
    outcome = run([alone(5, 2), alone(5, 1)], list(reversed(split(prefills=2, decodes=2))))
    assert outcome.calls[["replica", "decode_replica"]].tolist() == [(0, 2), (1, 1)]
    assert outcome.pools["first_replica"].tolist() == [0, 2]
    assert outcome.pools["tier"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("limits", "prompt", "output", "is_held"),
    [
        ({"max_model_len": 20}, 18, 2, True),
        ({"max_model_len": 20}, 18, 3, False),
        ({"num_blocks": 2}, 30, 3, True),
        ({"num_blocks": 2}, 30, 4, False),
    ],
)
def test_a_pool_that_cannot_hold_a_call_is_passed_by(
    limits: dict[str, int], prompt: int, output: int, is_held: bool
) -> None:
    told = [alone(prompt, output)]
    assert replicas_of(run(told, [pool(**limits), pool()])) == [0 if is_held else 1]
    assert replicas_of(run(told, [pool(**limits)])) == [0 if is_held else -1]


def test_only_calls_that_decode_need_a_pool_that_decodes() -> None:
    outcome = run([alone(18, 2), alone(19, 1)], split(max_model_len=19))
    assert outcome.calls[["replica", "decode_replica"]].tolist() == [(-1, -1), (0, 0)]
    assert outcome.refused == 1
    assert outcome.calls["end_s"].tolist() == [0.0, 1.0]


def test_pools_that_prefill_need_one_that_decodes() -> None:
    for pools in (split()[:1], split()[1:], [*split(), pool()], [pool(), pool(role=Role.PREFILL)]):
        with pytest.raises(ValueError, match="pools"):
            run([], pools)


# --- routers ---


def test_turns_pass_over_pools_and_by_those_that_are_not_open() -> None:
    """Of replicas 0, 1 and 2 only 1 and 2 can hold the second and the fifth call; the third call is refused."""
    told = [alone(tokens, 9, 0.1 * place) for place, tokens in enumerate([1, 50, 200, 1, 50, 1])]
    outcome = run(told, [pool(max_model_len=40), pool(2, max_model_len=100)], Router.ROUND_ROBIN)
    assert replicas_of(outcome) == [0, 1, -1, 2, 1, 2]


def test_each_tier_has_its_own_turns() -> None:
    told = [alone(1, 1), alone(1, 2), alone(1, 2), alone(1, 2)]
    outcome = run(told, split(prefills=3, decodes=2), Router.ROUND_ROBIN)
    assert replicas_of(outcome) == [0, 1, 2, 0]
    # three prompts end at 1 s: those of replicas 0, 1 and 2, in that order
    assert outcome.calls["decode_replica"].tolist() == [0, 4, 3, 3]


def test_calls_whose_kv_is_coming_are_outstanding() -> None:
    """The third call's prompt ends when the first's KV is still on the way and the second's not yet begun."""
    told = [alone(1, 9), alone(1, 9, 1.0), alone(1, 9, 2.0)]
    outcome = run(told, split(prefills=1, decodes=2, transfer_s=100.0))
    assert outcome.calls["decode_replica"].tolist() == [1, 2, 1]


def test_a_session_stays_where_its_latest_call_went_and_leaves_if_that_cannot_hold_the_next() -> None:
    nodes = [call(1, 1), call(90, 1, 0), call(1, 1, 1)]
    outcome = run([Story(0.0, nodes)], [pool(max_model_len=40), pool()], Router.SESSION_AFFINE)
    assert replicas_of(outcome) == [0, 1, 1]


def test_a_session_has_a_home_in_every_tier() -> None:
    nodes = [call(1, 2), call(1, 2, 0), call(1, 2, 1)]
    busy = [alone(1, 1), alone(1, 30, 0.5), alone(1, 30, 2.5)]
    outcome = run([*busy, Story(0.6, nodes)], split(prefills=2, decodes=2), Router.SESSION_AFFINE)
    mine = outcome.calls[outcome.calls["session"] == 3]
    assert np.unique(mine["replica"]).size == np.unique(mine["decode_replica"]).size == 1


def less_loaded_of_two(seed: int, draws: range) -> list[int]:
    """Return which of three places each call takes if none ever ends."""
    load = [0, 0, 0]
    chosen = []
    for draw in draws:
        with np.errstate(over="ignore"):
            bits = int(DRAWN_BITS(seed, draw))
        pair = [0, 1, 2]
        one = pair.pop(bits % 3)
        other = pair[(bits >> 31) % 2]
        chosen.append(min((load[one], one), (load[other], other))[1])
        load[chosen[-1]] += 1
    return chosen


@pytest.mark.parametrize("seed", range(8))
def test_the_less_loaded_of_two_drawn_is_taken(seed: int) -> None:
    """By numbers drawn for each call and each tier; no call ends before the last is placed."""
    told = [alone(1, 40, float(k)) for k in range(6)]
    outcome = run(told, [pool(2), pool()], Router.POWER_OF_TWO, seed=seed)
    assert replicas_of(outcome) == less_loaded_of_two(seed, range(0, 12, 2))
    outcome = run(told, split(decodes=3), Router.POWER_OF_TWO, seed=seed)
    places = (outcome.calls["decode_replica"] - 1).tolist()
    assert places == less_loaded_of_two(seed, range(1, 13, 2))


def test_the_only_open_one_of_two_is_taken() -> None:
    assert replicas_of(run([alone(90, 1)], [pool(max_model_len=40), pool()], Router.POWER_OF_TWO)) == [1]


def follow_up(at_s: float, prompt: int = 33, output: int = 1) -> Story:
    """A session whose call begins as that of the first session, for 32 tokens."""
    story = alone(prompt, output, at_s)
    story.nodes[0].prefix = (0, 0, 32)
    return story


def prefix_aware(stories: list[Story], *pools: Pool) -> list[int]:
    return replicas_of(run(stories, list(pools) or [pool(2)], Router.PREFIX_AWARE))


def test_a_prompt_goes_where_it_is_known() -> None:
    """The second call takes replica 0, which is why the first one's prefix lies on replica 1."""
    told = [alone(33, 1, 0.1), alone(90, 1), follow_up(5.0), alone(33, 1, 5.1)]
    assert prefix_aware(told) == [1, 0, 1, 0]


def test_whole_blocks_before_the_last_token_are_known() -> None:
    """Of 32 tokens that replica 1 has in its cache only 16 can be found."""
    for tokens, chosen in ((16, 1), (17, 0)):
        told = [alone(33, 1, 0.1), alone(90, 1), alone(1, 9, 2.0), alone(tokens, 9, 2.0), follow_up(2.5, 32)]
        # replica 0: 32 and 1 to compute; replica 1: 16, and those
        assert prefix_aware(told) == [1, 0, 0, 1, chosen]


def test_a_prompt_waiting_counts_for_what_its_replica_does_not_know() -> None:
    """Replica 0 is to compute 100 tokens, replica 1 is to compute 99."""
    told = [alone(100, 1), alone(99, 1), alone(1, 1, 0.1), alone(1, 1, 0.2), alone(1, 1, 0.3)]
    # then 100 against 99 + 1: fewer outstanding calls; then 101 against 100
    assert prefix_aware(told) == [0, 1, 1, 0, 1]


def test_chunks_count_when_their_step_has_ended() -> None:
    """Replica 0 computes 40 of 100 tokens a step: at 0.5 s it has 100 left, at 1.5 s 60; replica 1 has 80, 80."""
    cut = {"max_num_batched_tokens": 40}
    slow = pool(cost=FREE._replace(base_s=10.0))
    for at_s, chosen in ((0.5, 1), (1.5, 0)):
        told = [alone(100, 1), alone(80, 1, 0.1), alone(5, 1, at_s)]
        assert prefix_aware(told, pool(**cut), slow) == [0, 1, chosen]


@pytest.mark.parametrize(("at_s", "chosen"), [(1.5, 0), (2.5, 0), (3.5, 1), (4.5, 1)])
def test_contexts_of_decodes_count_as_in_the_step_in_progress(at_s: float, chosen: int) -> None:
    """Replica 0 decodes at 51 from 1 s on, at 52 from 2 s, at 53 from 3 s on; replica 1 has 52 to compute.

    In a tie the one with fewer calls goes first, and of those the lower.
    """
    slow = pool(cost=FREE._replace(base_s=10.0))
    told = [alone(50, 20), alone(52, 1, 0.1), alone(1, 1, at_s)]
    assert prefix_aware(told, pool(), slow) == [0, 1, chosen]


def test_what_decodes_have_evicted_since_is_not_known() -> None:
    """At 60.5 s the first replica decodes at context 74, and has used one of 4 blocks that the prompt begins with.

    With all 4 it would have 80 - 64 + 74 = 90 tokens in the way, with 3 it has 106; the other one has 80 + 18.
    """
    told = [alone(64, 1), alone(16, 100, 2.0), alone(18, 10, 60.0), follow_up(60.5, 80)]
    told[3].nodes[0].prefix = (0, 0, 64)
    assert prefix_aware(told, pool(2, num_blocks=8)) == [0, 0, 1, 1]


def test_a_preempted_call_counts_for_all_its_known_tokens() -> None:
    """At 1.5 s replica 0 decodes at context 17 and has a call of 16 known tokens waiting, preempted at 1 s."""
    tight = pool(num_blocks=2, enable_prefix_cache=0)
    slow = pool(cost=FREE._replace(base_s=10.0))
    for tokens, chosen in ((33, 1), (34, 0)):
        told = [alone(16, 9), alone(tokens, 1), alone(15, 9), alone(1, 1, 1.5)]
        assert prefix_aware(told, tight, slow) == [0, 1, 0, chosen]


def test_calls_whose_kv_is_coming_are_no_work_yet() -> None:
    """By tokens both are free, so that fewer outstanding calls decide."""
    told = [alone(40, 9), alone(5, 9, 1.0), alone(5, 9, 2.0)]
    outcome = run(told, split(decodes=2, transfer_s=50.0), Router.PREFIX_AWARE)
    assert outcome.calls["decode_replica"].tolist() == [1, 2, 1]


# --- queue orders ---

ONE_AT_A_TIME = {"max_num_seqs": 1}


def starts(stories: list[Story], order: QueueOrder, **limits: float) -> list[float]:
    return run(stories, [pool(**(ONE_AT_A_TIME | limits))], order=order).calls["started_s"].tolist()


def test_session_fcfs_goes_by_the_arrival_of_the_session() -> None:
    told = [alone(1, 3, 0.5), Story(0.0, [call(1, 2), tool(0.5, 0), call(1, 1, 1)]), alone(1, 1, 0.6)]
    assert starts(told, QueueOrder.FCFS) == [2.0, 0.0, 6.0, 5.0]
    # the first session's second call comes at 2.5 s and goes before a call that has waited since 0.6 s
    assert starts(told, QueueOrder.SESSION_FCFS) == [2.0, 0.0, 5.0, 6.0]


def test_least_attained_goes_by_the_tokens_of_ended_calls() -> None:
    told = [
        Story(0.0, [call(6, 2), call(1, 1, 0, lag_s=0.5)]),
        Story(0.1, [call(5, 2), call(1, 1, 0, lag_s=0.5)]),
        alone(1, 2, 3.5),
        alone(1, 1, 4.2),
    ]
    # at 6 s wait, having attained: session 0, 8 tokens; session 1, 7; session 3, none
    assert starts(told, QueueOrder.LEAST_ATTAINED) == [0.0, 8.0, 2.0, 7.0, 4.0, 6.0]
    assert starts(told, QueueOrder.FCFS) == [0.0, 4.0, 2.0, 8.0, 5.0, 7.0]


def test_what_was_found_in_the_cache_is_not_attained() -> None:
    """Session 1 computes 33 + 1 tokens less 32 that it finds; session 2 computes 5 + 1."""
    told = [
        alone(33, 1),
        Story(1.0, [follow_up(0.0).nodes[0], call(1, 1, 0, lag_s=2.0)]),
        Story(1.1, [call(5, 1), call(1, 1, 0, lag_s=0.5)]),
        alone(1, 3, 2.9),
    ]
    started = starts(told, QueueOrder.LEAST_ATTAINED)
    assert started == [0.0, 1.0, 6.0, 2.0, 7.0, 3.0]


def test_nobody_overtakes_the_first() -> None:
    """A prompt of 90 tokens needs 6 of 8 blocks, of which one of 60 holds 4; one of 5 tokens would fit."""
    told = [alone(60, 6), Story(0.2, [call(90, 2)]), alone(5, 1, 0.1)]
    started = run(told, [pool(num_blocks=8)], order=QueueOrder.FCFS).calls["started_s"].tolist()
    assert started == [0.0, 6.0, 1.0]
    first = [Story(0.0, [call(60, 6), call(90, 2)]), alone(5, 1, 0.1)]
    started = run(first, [pool(num_blocks=8)], order=QueueOrder.SESSION_FCFS).calls["started_s"].tolist()
    assert started == [0.0, 6.0, 6.0]


def test_a_preempted_call_goes_before_any_order() -> None:
    """The later session is preempted at 1.25 s and goes first at 3.25 s, before a call that needs both blocks."""
    told = [Story(0.0, [call(16, 3, lag_s=0.25), call(17, 1, lag_s=1.0)]), alone(15, 3, 0.25)]
    outcome = run(told, [pool(num_blocks=2, enable_prefix_cache=0)], order=QueueOrder.SESSION_FCFS)
    assert outcome.calls["preemptions"].tolist() == [0, 0, 1]
    assert outcome.calls["started_s"].tolist() == [0.25, 5.25, 0.25]
    assert outcome.calls["end_s"].tolist() == [3.25, 6.25, 5.25]


def test_of_preempted_calls_the_latest_goes_first() -> None:
    """The third is preempted at 1 s and the second at 2 s, of 3 blocks; then one block would do for the third."""
    told = [alone(16, 5), alone(15, 4), alone(14, 3)]
    outcome = run(told, [pool(num_blocks=3, enable_prefix_cache=0)])
    assert outcome.calls["preemptions"].tolist() == [0, 1, 1]
    assert outcome.calls["end_s"].tolist() == [5.0, 7.0, 7.0]


# --- static batches ---


def test_a_static_batch_ends_as_a_whole() -> None:
    told = [alone(1, 2), alone(1, 5), alone(1, 1, 0.5)]
    assert run(told, [pool(batching=Batching.STATIC)]).calls["started_s"].tolist() == [0.0, 0.0, 5.0]


def test_a_static_batch_is_one_pass_of_admissions() -> None:
    """The second prompt gets no token of the first step's budget, and has to wait for the first to end."""
    told = [alone(10, 3), alone(10, 1)]
    limits = {"max_num_batched_tokens": 10}
    assert starts(told, QueueOrder.FCFS, max_num_seqs=9, **limits) == [0.0, 1.0]
    assert starts(told, QueueOrder.FCFS, max_num_seqs=9, batching=Batching.STATIC, **limits) == [0.0, 3.0]


# --- prefill here, decode there ---


def test_kv_takes_time_by_the_prompt() -> None:
    outcome = run([alone(20, 3)], split(transfer_s=2.0, transfer_token_s=0.125))
    row = outcome.calls[0]
    assert (row["started_s"], row["first_token_s"], row["end_s"]) == (0.0, 1.0, 7.5)
    assert spans(outcome, 0) == [(State.PREFILL, 0.0, 1.0), (Cause.NO_DEMAND, 1.0, 7.5)]
    assert spans(outcome, 1) == [
        (Cause.NO_DEMAND, 0.0, 1.0),
        (Cause.TRANSFER, 1.0, 5.5),
        (State.DECODE, 5.5, 7.5),
    ]


def test_blocks_are_held_in_one_place_at_a_time() -> None:
    """2 blocks for 16 tokens and one: prompt, 1 s in 1 block; decodes at contexts 17 and 18, 2 s in 2."""
    outcome = run([alone(16, 3)], split(transfer_s=4.0))
    assert outcome.kv_token_s == BLOCK_TOKENS * (1 + 2 * 2)
    assert outcome.kv_peak_tokens == 2 * BLOCK_TOKENS


def test_a_call_of_one_token_ends_where_it_began() -> None:
    outcome = run([alone(20, 1)], split(transfer_s=2.0))
    assert outcome.calls[["replica", "decode_replica", "end_s"]].tolist() == [(0, 0, 1.0)]


def test_the_first_decode_step_reads_the_prompt_and_its_token() -> None:
    cost = FREE._replace(decode_context_s=1.0)
    pools = [pool(role=Role.PREFILL), pool(cost=cost, role=Role.DECODE)]
    assert run([alone(10, 4)], pools).calls["end_s"].tolist() == [1.0 + 11.0 + 12.0 + 13.0]


def test_a_call_that_comes_takes_one_token_of_the_budget() -> None:
    told = [alone(50, 3), alone(50, 3), alone(50, 3)]
    outcome = run(told, split(max_num_batched_tokens=2))
    assert outcome.calls["end_s"].tolist() == [3.0, 3.0, 5.0]


def test_a_call_that_comes_needs_blocks_for_its_prompt_and_token() -> None:
    """32 tokens and one are 3 blocks; 31 and one are 2."""
    for prompt, end_s in ((32, 3.0), (31, 2.0)):
        outcome = run([alone(prompt, 2), alone(prompt, 2)], split(num_blocks=5))
        assert outcome.calls["end_s"].tolist() == [2.0, end_s]


def test_nobody_overtakes_a_call_that_does_not_fit() -> None:
    told = [alone(40, 5), alone(40, 5), alone(2, 2)]
    outcome = run(told, split(num_blocks=5))
    assert outcome.calls["end_s"].tolist() == [5.0, 9.0, 6.0]


def test_a_call_that_comes_shares_the_blocks_it_finds() -> None:
    """3 blocks for 33 tokens and one, of which the second call finds 2; on either side."""
    told = [alone(33, 3), follow_up(0.0, output=3)]
    assert run(told, split()).kv_peak_tokens == 4 * BLOCK_TOKENS
    assert run(told, split(enable_prefix_cache=0)).kv_peak_tokens == 6 * BLOCK_TOKENS


def test_prompts_stay_cached_where_they_were_computed() -> None:
    outcome = run([alone(33, 3), follow_up(9.0)], split())
    assert outcome.calls["cached_tokens"].tolist() == [0, 32]


def test_what_is_found_where_it_decodes_is_not_cached_tokens() -> None:
    pools = [pool(role=Role.PREFILL, enable_prefix_cache=0), pool(role=Role.DECODE)]
    assert run([alone(33, 3), follow_up(9.0, output=3)], pools).calls["cached_tokens"].tolist() == [0, 0]


def test_preempted_where_it_decodes_a_call_computes_everything_there_again() -> None:
    """Both have 1 of 2 blocks; at 2 s the first needs another one and takes that of the second."""
    outcome = run([alone(15, 3), alone(14, 4)], split(num_blocks=2, enable_prefix_cache=0))
    assert outcome.calls["preemptions"].tolist() == [0, 1]
    assert outcome.calls["started_s"].tolist() == [0.0, 0.0]
    assert outcome.calls["first_token_s"].tolist() == [1.0, 1.0]
    assert outcome.calls["end_s"].tolist() == [3.0, 5.0]
    assert spans(outcome, 1)[1:] == [
        (State.DECODE, 1.0, 3.0),
        (State.PREFILL, 3.0, 4.0),
        (State.DECODE, 4.0, 5.0),
    ]


def test_kv_that_comes_at_one_instant_is_queued_in_the_order_of_calls() -> None:
    """The first call's ticket has been used before and is higher than the second's, which is a spare one."""
    told = [alone(1, 1), alone(1, 1), alone(1, 2, 3.0), alone(1, 2, 3.0)]
    outcome = run(told, split(transfer_s=1.0, max_num_seqs=1))
    assert outcome.calls["end_s"].tolist() == [1.0, 1.0, 6.0, 7.0]


def test_every_call_may_leave_something_in_two_caches() -> None:
    """There is room for as many branches as calls times replicas that a call goes to."""
    told = [alone(40, 20, float(k)) for k in range(30)]
    assert run(told, split()).refused == 0
    told[1].nodes[0].prefix = (0, 0, 32)
    assert run(told, split()).calls["cached_tokens"].sum() == 32


# --- why a replica is idle, and what that costs ---


def test_a_transfer_is_shared_by_the_sessions_whose_kv_comes() -> None:
    """From 1 s the KV of three calls of two sessions comes, until 3 s."""
    told = [Story(0.0, [call(1, 2), call(1, 2)]), alone(1, 2)]
    outcome = run(told, split(transfer_s=2.0))
    assert outcome.sessions["idle_s"][:, Cause.TRANSFER].tolist() == [1.0, 1.0]


def test_a_transfer_goes_before_imbalance() -> None:
    """Replica 2 waits for the KV of call 1; from 2 s on call 2 is passed over by replica 1, until 8 s."""
    told = [alone(1, 8), alone(9, 2), alone(1, 2, 0.5)]
    pools = split(decodes=2, transfer_token_s=0.5, max_num_seqs=1)
    outcome = run(told, pools, Router.ROUND_ROBIN)
    assert outcome.calls["decode_replica"].tolist() == [1, 2, 1]
    assert spans(outcome, 2)[:4] == [
        (Cause.NO_DEMAND, 0.0, 1.0),
        (Cause.TRANSFER, 1.0, 5.5),
        (State.DECODE, 5.5, 6.5),
        (Cause.IMBALANCE, 6.5, 8.5),
    ]


def test_a_call_that_waits_in_one_tier_leaves_the_other_in_peace() -> None:
    told = [alone(1, 1), alone(1, 1), alone(1, 1)]
    pools = [pool(role=Role.PREFILL, max_num_seqs=1), pool(role=Role.DECODE)]
    assert spans(run(told, pools), 1) == [(Cause.NO_DEMAND, 0.0, 3.0)]


def test_a_call_that_waits_in_one_pool_makes_the_other_pool_imbalanced() -> None:
    told = [alone(90, 4), alone(1, 1), alone(90, 1, 0.5)]
    small = pool(max_model_len=40, idle_w=40.0, usd_per_s=0.5)
    outcome = run(told, [small, pool(max_num_seqs=1, usd_per_s=2.0)])
    assert spans(outcome, 0)[1:3] == [(Cause.IMBALANCE, 1.0, 4.0), (Cause.NO_DEMAND, 4.0, 5.0)]
    row = outcome.sessions[2]
    assert (row["idle_s"][Cause.IMBALANCE], row["idle_j"][Cause.IMBALANCE]) == (3.0, 120.0)
    assert row["idle_usd"][Cause.IMBALANCE] == 1.5
    assert (outcome.null_idle_s, outcome.null_idle_j, outcome.null_idle_usd) == (1.0, 40.0, 0.5)


def test_a_tier_waits_only_for_calls_that_will_come_to_it() -> None:
    """After its first call the session has a tool, then a call of one token, and one that is refused."""
    nodes = [call(1, 2), tool(2.0, 0), call(1, 1, 1), call(99, 2, 2, lag_s=1.0)]
    outcome = run([Story(0.0, nodes, 1.0)], split(max_model_len=50))
    assert spans(outcome, 0)[1:] == [
        (Cause.PEER_CALL, 1.0, 2.0),
        (Cause.TOOL_WAIT, 2.0, 4.0),
        (State.PREFILL, 4.0, 5.0),
        (Cause.CLIENT_WAIT, 5.0, 6.0),
        (Cause.NO_DEMAND, 6.0, 7.0),
    ]
    # for the decoding tier there is a later call until it is refused at 6 s
    assert spans(outcome, 1)[1:] == [
        (State.DECODE, 1.0, 2.0),
        (Cause.TOOL_WAIT, 2.0, 4.0),
        (Cause.PEER_CALL, 4.0, 5.0),
        (Cause.CLIENT_WAIT, 5.0, 6.0),
        (Cause.NO_DEMAND, 6.0, 7.0),
    ]


def test_idleness_and_work_have_the_price_of_their_pool() -> None:
    nodes = [call(20, 3), tool(4.0, 0), gap(1.0, 1), call(20, 2, 2)]
    pools = [
        pool(role=Role.PREFILL, idle_w=10.0, usd_per_s=1.0),
        pool(role=Role.DECODE, idle_w=30.0, usd_per_s=0.25),
    ]
    outcome = run([Story(0.0, nodes)], pools)
    assert outcome.calls["busy_usd"].tolist() == [1.0 + 2 * 0.25, 1.0 + 0.25]
    row = outcome.sessions[0]
    assert row["idle_j"][Cause.TOOL_WAIT] == 4 * 10.0 + 4 * 30.0
    assert row["idle_usd"][Cause.TOOL_WAIT] == 4 * 1.25
    assert row["idle_usd"][Cause.CLIENT_WAIT] == 1.25
    assert outcome.waits["idle_j"].tolist() == [160.0, 0.0]
    # replica 0 while the first call decodes; replica 1 while the second one's prompt is computed
    assert row["idle_usd"][Cause.PEER_CALL] == 2 * 1.0 + 0.25
    assert outcome.null_idle_usd == 0.25 + 1.0


# --- elastic pools ---

ELASTIC = {"min_replicas": 1, "startup_s": 3.0, "scale_up_calls": 1, "scale_down_s": 2.0}


def test_a_replica_is_started_when_calls_exceed_those_that_are_not_off() -> None:
    outcome = run([alone(1, 20), alone(1, 20, 1.0)], [pool(3, idle_w=70.0, usd_per_s=0.5, **ELASTIC)])
    assert replicas_of(outcome) == [0, 0]
    assert spans(outcome, 1) == [
        (State.OFF, 0.0, 1.0),
        (State.STARTING, 1.0, 4.0),
        (Cause.NO_DEMAND, 4.0, 6.0),
        (State.OFF, 6.0, 21.0),
    ]
    assert spans(outcome, 2) == [(State.OFF, 0.0, 21.0)]
    assert (outcome.null_idle_s, outcome.null_idle_j, outcome.null_idle_usd) == (5.0, 350.0, 2.5)
    joules = outcome.segments["energy_j"][outcome.segments["replica"] > 0]
    assert joules.tolist() == [0.0, 210.0, 140.0, 0.0, 0.0]


def test_one_that_starts_counts_among_those_that_are_not_off() -> None:
    told = [alone(1, 20, 0.5 * k) for k in range(3)]
    outcome = run(told, [pool(4, **ELASTIC)])
    assert [spans(outcome, replica)[0][2] for replica in (1, 2, 3)] == [0.5, 1.0, 20.0 + 1.0]


def test_at_first_those_are_on_that_are_never_fewer() -> None:
    outcome = run([alone(1, 1)], [pool(3, **ELASTIC | {"min_replicas": 2}), pool(1)])
    assert [spans(outcome, replica)[0][0] for replica in range(4)] == [
        State.PREFILL,
        Cause.NO_DEMAND,
        State.OFF,
        Cause.NO_DEMAND,
    ]


def test_one_that_gets_a_call_is_not_switched_off_until_it_is_quiet_again() -> None:
    """On at 4 s; a call from 5 s to 9 s, and no other."""
    outcome = run([alone(1, 30), alone(1, 19, 1.0), alone(1, 4, 5.0)], [pool(2, **ELASTIC)])
    assert replicas_of(outcome) == [0, 0, 1]
    assert spans(outcome, 1)[3:] == [
        (State.PREFILL, 5.0, 6.0),
        (State.DECODE, 6.0, 9.0),
        (Cause.NO_DEMAND, 9.0, 11.0),
        (State.OFF, 11.0, 30.0),
    ]


def test_no_fewer_stay_on_than_are_to() -> None:
    """Replica 0 is quiet from 4 s on, replica 1 has a call: then replica 0 goes off, and 1 stays on for good."""
    told = [alone(1, 4), alone(1, 4), alone(1, 9, 2.0), Story(30.0, [])]
    outcome = run(told, [pool(2, **ELASTIC | {"startup_s": 1.0})])
    assert replicas_of(outcome) == [0, 0, 1]
    assert spans(outcome, 0)[2:] == [(Cause.NO_DEMAND, 4.0, 6.0), (State.OFF, 6.0, 30.0)]
    assert spans(outcome, 1)[-1] == (Cause.NO_DEMAND, 11.0, 30.0)


def test_replicas_that_are_on_at_first_are_quiet_from_then() -> None:
    """Replica 1 of the two that are on at first has no call; 2 is started at 0 s, and 1 goes off at 5 s."""
    limits = {"min_replicas": 2, "startup_s": 1.0, "scale_up_calls": 0, "scale_down_s": 5.0}
    outcome = run([alone(1, 20)], [pool(3, **limits)])
    assert spans(outcome, 1) == [(Cause.NO_DEMAND, 0.0, 5.0), (State.OFF, 5.0, 20.0)]
    assert spans(outcome, 2) == [(State.STARTING, 0.0, 1.0), (Cause.NO_DEMAND, 1.0, 20.0)]


def test_one_that_was_off_has_forgotten_everything() -> None:
    """The prefix is on replica 1, which is quiet at 4.5 s, off at 6.5 s, and on again at 13 s."""
    busy = [alone(1, 60), alone(1, 60), alone(1, 60, 10.0)]
    for at_s, cached in ((5.5, 32), (13.5, 0)):
        outcome = run([alone(33, 1, 3.5), *busy, follow_up(at_s)], [pool(2, **ELASTIC)])
        assert outcome.calls["replica"][[0, 4]].tolist() == [1, 1]
        assert outcome.calls["cached_tokens"][4] == cached
        assert outcome.evicted_blocks == 0


def test_coming_calls_start_replicas_and_keep_them() -> None:
    """Both prompts end at 1 s; their KV comes at 9 s, and replica 2 starts at 1 s, for nobody."""
    outcome = run([alone(1, 4), alone(1, 4)], split(decodes=2, transfer_s=8.0, **ELASTIC))
    assert outcome.calls["decode_replica"].tolist() == [1, 1]
    assert spans(outcome, 1) == [
        (Cause.NO_DEMAND, 0.0, 1.0),
        (Cause.TRANSFER, 1.0, 9.0),
        (State.DECODE, 9.0, 12.0),
    ]
    assert spans(outcome, 2) == [
        (State.OFF, 0.0, 1.0),
        (State.STARTING, 1.0, 4.0),
        (Cause.NO_DEMAND, 4.0, 6.0),
        (State.OFF, 6.0, 12.0),
    ]


def test_what_would_come_after_the_last_session_does_not_come() -> None:
    outcome = run([alone(1, 1), alone(1, 1)], [pool(2, **ELASTIC)])
    assert outcome.horizon_s == 1.0
    assert spans(outcome, 1) == [(State.STARTING, 0.0, 1.0)]


def test_a_session_leaves_a_replica_that_is_off() -> None:
    """Its first call is on replica 1, which goes off at 6.5 s."""
    told = [alone(1, 20), alone(1, 20), Story(3.5, [call(1, 1), call(1, 1, 0, lag_s=5.0)])]
    assert replicas_of(run(told, [pool(2, **ELASTIC)], Router.SESSION_AFFINE)) == [0, 0, 1, 0]


# --- at one instant ---


def test_a_call_that_comes_as_a_replica_is_ready_finds_it_ready() -> None:
    outcome = run([alone(1, 20), alone(1, 20), alone(1, 1, 3.0)], [pool(2, **ELASTIC)])
    assert replicas_of(outcome) == [0, 0, 1]


def test_a_call_that_comes_as_a_quiet_replica_is_looked_at_finds_it_off() -> None:
    for at_s, replica in ((4.9, 1), (5.0, 0)):
        outcome = run([alone(1, 20), alone(1, 20), alone(1, 1, at_s)], [pool(2, **ELASTIC)])
        assert replicas_of(outcome) == [0, 0, replica]


def test_a_call_that_comes_as_another_ends_finds_its_place_free() -> None:
    outcome = run([alone(1, 2), alone(1, 3), alone(1, 1, 2.0)], [pool(2)])
    assert replicas_of(outcome) == [0, 1, 0]


def test_kv_arrives_before_steps_start() -> None:
    """Where calls decode one at a time, that whose KV comes at 3 s goes before that whose prompt ends then."""
    pools = [pool(role=Role.PREFILL), pool(role=Role.DECODE, transfer_s=2.0, max_num_seqs=1)]
    outcome = run([alone(1, 3), alone(1, 3, 2.0)], pools)
    assert outcome.calls["end_s"].tolist() == [5.0, 7.0]
    assert outcome.calls["queued_s"].tolist() == [0.0, 2.0]


def test_never_is_long_enough() -> None:
    outcome = run([alone(1, 1), Story(50.0, [])], [pool(2, **ELASTIC | {"scale_down_s": float(NEVER)})])
    assert spans(outcome, 0)[-1] == (Cause.NO_DEMAND, 1.0, 50.0)
