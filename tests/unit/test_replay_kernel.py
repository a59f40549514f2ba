"""Rules of the replay one at a time, worked out by hand; steps mostly take 1 s whatever is in them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.oracle.agreement import assert_same_outcome
from tests.oracle.replay_oracle import replay_by_hand
from tests.oracle.workloads import FLAT, NEVER, Story, call, crowd, fleet, gap, roofy, tool, workload_of
from tracekit.analyzers.kernels import jit
from tracekit.analyzers.kernels.decode_run import REBASE_STEPS
from tracekit.analyzers.kernels.event_loop import advance
from tracekit.analyzers.kernels.layout import (
    TABLE_NODES,
    Cause,
    Outcome,
    Pool,
    PowerCurve,
    Router,
    State,
    StepCost,
    TokenTable,
)
from tracekit.analyzers.kernels.replay import replay, replay_pools
from tracekit.analyzers.replay import compile_kernel
from tracekit.analyzers.timeline import Account, Timeline

FREE = StepCost(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SECOND_A_STEP = FREE._replace(base_s=1.0)


def run(stories: list[Story], cost: StepCost = SECOND_A_STEP, replicas: int = 1, **limits: int) -> Outcome:
    router = limits.pop("router", Router.ROUND_ROBIN)
    return replay(workload_of(stories), cost, FLAT, fleet(replicas, router, **limits))


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


def test_the_pass_is_what_it_says() -> None:
    """`make test` runs these twice, on machine code and as plain Python."""
    compile_kernel()
    is_plain = getattr(advance, "__module__", None) == "tracekit.analyzers.kernels.event_loop"
    assert is_plain == jit.IS_OFF
    assert jit.IS_OFF or (jit.CODE or jit.COMPILATION.result()) is not None


# --- what a step holds ---


def test_a_prompt_is_cut_to_the_token_budget() -> None:
    outcome = run([Story(0.0, [call(25, 2)])], max_num_batched_tokens=10)
    assert outcome.calls["first_token_s"].tolist() == [3.0]
    assert outcome.calls["end_s"].tolist() == [4.0]
    assert spans(outcome, 0) == [(State.PREFILL, 0.0, 3.0), (State.DECODE, 3.0, 4.0)]
    assert outcome.segments["steps"].tolist() == [3, 1]


def test_running_decodes_take_their_tokens_from_the_budget_first() -> None:
    outcome = run([Story(0.0, [call(1, 20)]), Story(0.5, [call(12, 1)])], max_num_batched_tokens=4)
    assert outcome.calls["started_s"].tolist() == [0.0, 1.0]
    assert outcome.calls["first_token_s"].tolist() == [1.0, 5.0]


def test_a_partial_prompt_goes_before_waiting_calls() -> None:
    told = [Story(0.0, [call(15, 1)]), Story(0.0, [call(3, 1)])]
    outcome = run(told, max_num_batched_tokens=10)
    assert outcome.calls["started_s"].tolist() == [0.0, 1.0]
    assert outcome.calls["end_s"].tolist() == [2.0, 2.0]


def test_a_call_that_arrives_as_a_step_ends_is_in_the_next_one() -> None:
    outcome = run([Story(0.0, [call(1, 5)]), Story(2.0, [call(1, 1)]), Story(2.5, [call(1, 1)])])
    assert outcome.calls["started_s"].tolist() == [0.0, 2.0, 3.0]


def test_no_more_than_max_num_seqs_run() -> None:
    outcome = run([Story(0.0, [call(1, 3)]) for _ in range(5)], max_num_seqs=2)
    assert outcome.calls["end_s"].tolist() == [3.0, 3.0, 6.0, 6.0, 9.0]


def test_the_first_call_that_does_not_fit_holds_up_those_behind_it() -> None:
    told = [Story(0.0, [call(58, 3)]), Story(0.1, [call(58, 3)]), Story(0.2, [call(8, 3)])]
    outcome = run(told, block_size=1, num_blocks=100)
    assert outcome.calls["started_s"].tolist() == [0.0, 3.0, 3.0]
    assert outcome.kv_peak_tokens == 70
    assert outcome.kv_token_s == pytest.approx(58 + 59 + 60 + 66 + 68 + 70)


def test_the_last_token_needs_no_kv() -> None:
    assert run([Story(0.0, [call(94, 3)])], num_blocks=6).refused == 0
    assert run([Story(0.0, [call(94, 4)])], num_blocks=6).refused == 1


def test_the_last_admitted_is_preempted_and_computes_everything_again() -> None:
    """Both reach 16 tokens of KV after step 1; for the next token there is one block, and the first takes it."""
    told = [Story(0.0, [call(16, 3)]), Story(0.0, [call(15, 3)]), Story(0.5, [call(1, 1)])]
    outcome = run(told, num_blocks=2, enable_prefix_cache=0)
    assert outcome.calls["preemptions"].tolist() == [0, 1, 0]
    assert outcome.calls["first_token_s"].tolist() == [1.0, 1.0, 4.0]
    assert outcome.calls["end_s"].tolist() == [3.0, 5.0, 4.0]
    assert outcome.calls["started_s"].tolist() == [0.0, 0.0, 3.0]
    np.testing.assert_allclose(outcome.calls["busy_s"], [2.5, 2.0, 0.5])


def test_a_preempted_call_finds_its_own_blocks() -> None:
    told = [Story(0.0, [call(32, 20)]), Story(0.0, [call(40, 4)])]
    cost = FREE._replace(prefill_token_s=1.0, decode_s=1.0)
    outcome = run(told, cost, num_blocks=5)
    assert outcome.calls["preemptions"].tolist() == [0, 1]
    assert outcome.calls["cached_tokens"].tolist() == [0, 0]
    again = run(told, cost, num_blocks=5, enable_prefix_cache=0)
    assert again.calls["end_s"][1] > outcome.calls["end_s"][1]


def test_a_preempted_call_that_fits_comes_back_in_the_next_step() -> None:
    """The last call's third block is a copy, which it gives back at 17 s; then it finds that of the call before."""
    told = [Story(0.0, [call(64, 1)]), Story(1.0, [call(49, 40)]), Story(5.5, [call(48, 12)])]
    for story in told[1:]:
        story.nodes[0].prefix = (0, 0, 48)
    outcome = run(told, num_blocks=6)
    assert outcome.calls["cached_tokens"].tolist() == [0, 48, 32]
    assert outcome.calls["preemptions"].tolist() == [0, 0, 1]
    assert outcome.calls["end_s"].tolist() == [1.0, 41.0, 19.0]


def follow_up(shared: int, prompt: int = 100, lag_s: float = 0.0) -> Story:
    """A call of 40 tokens in and 12 out, and one that begins with the first `shared` of them."""
    second = call(prompt, 1, 0, lag_s=lag_s)
    second.prefix = (0, 0, shared)
    return Story(0.0, [call(40, 12), second])


@pytest.mark.parametrize(("shared", "cached"), [(0, 0), (15, 0), (16, 16), (40, 32), (51, 48), (52, 48)])
def test_hits_are_whole_blocks_and_reach_into_the_output(shared: int, cached: int) -> None:
    assert run([follow_up(shared)]).calls["cached_tokens"].tolist() == [0, cached]
    assert run([follow_up(shared)], enable_prefix_cache=0).calls["cached_tokens"].tolist() == [0, 0]


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    assert run([follow_up(48, 48)]).calls["cached_tokens"].tolist() == [0, 32]
    assert run([follow_up(48, 49)]).calls["cached_tokens"].tolist() == [0, 48]


def test_what_is_found_is_not_computed() -> None:
    cost = FREE._replace(prefill_token_s=1.0, prefill_attention_s=1.0)
    calls = run([follow_up(40)], cost).calls
    assert calls["end_s"][1] - calls["started_s"][1] == 68 + 68 * (32 + 34)


def test_the_cache_forgets_what_was_given_back_first_and_of_that_the_deepest() -> None:
    """Of 8 blocks 3 are cached when another call takes 6: the deepest goes; the call after it takes one more."""
    between = Story(20.0, [call(90, 1)])
    outcome = run([follow_up(52, 53, lag_s=40.0), between], num_blocks=8)
    assert outcome.calls["cached_tokens"].tolist() == [0, 32, 0]
    assert outcome.evicted_blocks == 2


def test_replicas_do_not_share_a_cache() -> None:
    outcome = run([follow_up(40)], replicas=2)
    assert outcome.calls[["replica", "cached_tokens"]].tolist() == [(0, 0), (1, 0)]


@pytest.mark.parametrize("slack", [0, 2, 9])
def test_pools_that_are_too_small_are_made_larger(slack: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [replay(*crowd(seed)) for seed in range(6)]
    monkeypatch.setattr("tracekit.analyzers.kernels.replay.SLACK", slack)
    for seed, outcome in enumerate(expected):
        assert_same_outcome(replay(*crowd(seed)), outcome)


def test_prefixes_in_a_circle_are_refused() -> None:
    nodes = [call(40, 1), call(40, 1)]
    nodes[0].prefix, nodes[1].prefix = (0, 1, 30), (0, 0, 30)
    with pytest.raises(ValueError, match="cycle"):
        run([Story(0.0, nodes)])


def test_a_refused_call_takes_no_time_and_no_turn() -> None:
    told = [Story(0.0, [call(90, 11), call(5, 1, 0, lag_s=2.0)]), Story(1.0, [call(89, 11)])]
    outcome = run(told, replicas=2, max_model_len=100)
    assert outcome.refused == 1
    assert outcome.calls["replica"].tolist() == [-1, 1, 0]
    assert outcome.calls["end_s"].tolist() == [0.0, 3.0, 12.0]
    assert outcome.calls["energy_j"][0] == 0.0


def test_a_call_without_tokens_is_computed_as_one_token() -> None:
    outcome = run([Story(0.0, [call(0, 0)])])
    assert outcome.calls["end_s"].tolist() == [1.0]


# --- what a step costs ---


def test_the_context_of_token_k_is_prompt_and_k_minus_1() -> None:
    outcome = run([Story(0.0, [call(10, 4)])], FREE._replace(decode_context_s=1.0))
    assert outcome.calls["first_token_s"].tolist() == [0.0]
    assert outcome.calls["end_s"].tolist() == [11.0 + 12.0 + 13.0]


def test_a_chunk_attends_to_its_context_and_half_of_itself() -> None:
    outcome = run(
        [Story(0.0, [call(6, 1)])], FREE._replace(prefill_attention_s=1.0), max_num_batched_tokens=4
    )
    assert outcome.calls["end_s"].tolist() == [4 * 2.0 + 2 * (4 + 1.0)]


def test_watts_follow_what_drives_the_gpu_while_it_is_not_waiting_for_its_host() -> None:
    cost = FREE._replace(base_s=0.5)
    power = PowerCurve(
        90.0,
        110.0,
        400.0,
        level=0.05,
        host_base_s=0.1,
        host_prompt_s=0.03,
        driven_base_s=0.02,
        driven_prefill_token_s=0.01,
        driven_prefill_attention_s=0.001,
        driven_prompt_context_s=0.002,
    )
    outcome = replay(workload_of([Story(0.0, [call(10, 1)])]), cost, power, fleet())
    reach = 0.05 + (0.02 + 0.01 * 10 + 0.001 * 50 + 0.002 * 10) / (0.5 - 0.13)
    watts = 110.0 + 400.0 * (0.5 - 0.13) / 0.5 * reach / (1 + reach**3) ** (1 / 3)
    assert outcome.segments["energy_j"].tolist() == pytest.approx([watts * 0.5], rel=1e-14)


def test_a_table_adds_by_tokens_on_straight_lines_and_stops_at_its_last_node() -> None:
    terms = tuple(float(node) for node in range(TABLE_NODES))
    pools = [Pool(FREE, FLAT, fleet(max_num_batched_tokens=NEVER), table=TokenTable(step_s=terms))]
    told = [Story(float(100 * start), [call(tokens, 1)]) for start, tokens in enumerate((1, 6, 2048, 9000))]
    calls = replay_pools(workload_of(told), pools).calls
    assert (calls["end_s"] - calls["queued_s"]).tolist() == [0.0, 2.5, 11.0, 11.0]


def test_a_step_is_split_by_weights_kv_and_compute() -> None:
    """In the second step one call decodes at context 5 and the other computes a chunk of 6."""
    cost = StepCost(1.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.25, 0.125, 0.0625)
    outcome = run([Story(0.0, [call(4, 2)]), Story(0.5, [call(6, 1)])], cost)
    decode = 0.5 / 2 + 0.25 * 5 + 0.125 + 0.0625 * 5
    chunk = 0.5 / 2 + 0.25 * 6 + 0.125 * 6 + 0.0625 * 18
    shares = [1.0 + decode / (decode + chunk), chunk / (decode + chunk)]
    np.testing.assert_allclose(outcome.calls["busy_s"], shares, rtol=1e-14)
    np.testing.assert_allclose(outcome.calls["energy_j"], [300.0 * share for share in shares], rtol=1e-14)


def test_without_shares_a_step_is_split_equally() -> None:
    outcome = run([Story(0.0, [call(4, 3)]), Story(0.5, [call(900, 2)])])
    np.testing.assert_allclose(outcome.calls["busy_s"], [2.0, 1.0], rtol=1e-14)


def test_long_decodes_keep_their_digits() -> None:
    """Past the point where the prefix sums start again."""
    told = [
        Story(0.1 * start, [call(20, REBASE_STEPS + tokens)])
        for start, tokens in ((0, 900), (1, 10), (2, -7))
    ]
    cost = StepCost(1e-3, 1e-5, 1e-8, 1e-4, 1e-7, 1e-3, 1e-7, 1e-5, 1e-8)
    scenario = (workload_of(told), cost, roofy(cost), fleet())
    assert_same_outcome(replay(*scenario), replay_by_hand(*scenario))


# --- where calls go ---


def test_round_robin_takes_turns_over_calls() -> None:
    outcome = run([Story(0.1 * k, [call(1, 9)]) for k in range(5)], replicas=3)
    assert outcome.calls["replica"].tolist() == [0, 1, 2, 0, 1]


def test_least_outstanding_counts_queued_and_running_and_breaks_ties_low() -> None:
    told = [
        Story(0.0, [call(1, 2)]),
        Story(0.0, [call(1, 9)]),
        Story(0.0, [call(1, 9)]),
        Story(2.0, [call(1, 1)]),
    ]
    outcome = run(told, replicas=2, router=Router.LEAST_OUTSTANDING, max_num_seqs=1)
    assert outcome.calls["replica"].tolist() == [0, 1, 0, 0]


def test_session_affine_stays_with_the_first_call() -> None:
    told = [Story(0.0, [call(1, 9)]), Story(0.1, [call(1, 1), call(1, 1, 0), call(1, 1, 1)])]
    outcome = run(told, replicas=2, router=Router.SESSION_AFFINE)
    assert outcome.calls["replica"].tolist() == [0, 1, 1, 1]


def test_calls_of_one_instant_are_placed_in_the_order_of_their_ids() -> None:
    """Three calls start at 3 s: after the longer tool, after the shorter one, and as a root."""
    for told in (
        [
            Story(1.0, [tool(2.0), call(1, 1, 0)]),
            Story(0.0, [tool(3.0), call(1, 1, 0)]),
            Story(3.0, [call(1, 1)]),
        ],
        [
            Story(3.0, [call(1, 1)]),
            Story(1.0, [tool(2.0), call(1, 1, 0)]),
            Story(0.0, [tool(3.0), call(1, 1, 0)]),
        ],
    ):
        assert run(told, replicas=3).calls["replica"].tolist() == [0, 1, 2]


# --- why a replica is idle ---


def test_parallel_tools_share_the_wait() -> None:
    nodes = [call(1, 1), tool(2.0, 0), tool(4.0, 0), call(1, 1, 1, 2)]
    outcome = run([Story(0.0, nodes)])
    assert spans(outcome, 0) == [
        (State.PREFILL, 0.0, 1.0),
        (Cause.TOOL_WAIT, 1.0, 5.0),
        (State.PREFILL, 5.0, 6.0),
    ]
    assert outcome.steps["idle_s"].tolist() == [0.0, 1.0, 3.0, 0.0]
    assert outcome.steps["idle_j"].tolist() == [0.0, 100.0, 300.0, 0.0]
    assert outcome.steps["start_s"].tolist() == [0.0, 1.0, 1.0, 5.0]


def test_gaps_and_lags_are_the_clients() -> None:
    outcome = run([Story(0.0, [call(1, 1), gap(1.0, 0), call(1, 1, 1, lag_s=0.5)], tail_s=2.0)])
    assert spans(outcome, 0)[1:] == [
        (Cause.CLIENT_WAIT, 1.0, 2.5),
        (State.PREFILL, 2.5, 3.5),
        (Cause.NO_DEMAND, 3.5, 5.5),
    ]
    assert outcome.null_idle_s == 2.0
    assert outcome.null_idle_j == 200.0


def test_a_tool_goes_before_a_client_and_shares_the_wait_with_tools_only() -> None:
    in_tool = Story(0.0, [call(1, 1), tool(2.0, 0), call(1, 1, 1)])
    in_gap = Story(0.0, [call(1, 1), gap(4.0, 0), call(1, 1, 1)])
    outcome = run([in_tool, in_gap])
    assert spans(outcome, 0)[1:4] == [
        (Cause.TOOL_WAIT, 1.0, 3.0),
        (State.PREFILL, 3.0, 4.0),
        (Cause.CLIENT_WAIT, 4.0, 5.0),
    ]
    np.testing.assert_allclose(outcome.sessions["idle_s"].sum(axis=1), [2.0, 1.0])


def test_a_replica_waits_for_the_parallel_call_of_its_session() -> None:
    outcome = run([Story(0.0, [call(1, 5), call(1, 1), call(1, 1, 0, 1)])], replicas=2)
    assert spans(outcome, 1)[1] == (Cause.PEER_CALL, 1.0, 5.0)
    assert outcome.sessions["idle_s"][0, Cause.PEER_CALL] == 4.0


def test_a_client_goes_before_a_parallel_call() -> None:
    """On replica 1 from 1 s on: one session whose other call runs on replica 0, and one in a gap."""
    parallel = Story(0.0, [call(1, 5), call(1, 1), call(1, 1, 0, 1)])
    in_gap = Story(0.0, [call(1, 1), gap(2.0, 0), call(1, 1, 1)])
    outcome = run([parallel, Story(0.0, [call(1, 1)]), in_gap], replicas=2)
    assert spans(outcome, 1)[1:3] == [(Cause.CLIENT_WAIT, 1.0, 3.0), (Cause.PEER_CALL, 3.0, 5.0)]
    assert outcome.sessions["idle_s"][2, Cause.CLIENT_WAIT] == 2.0


def test_a_call_passed_over_elsewhere_is_imbalance() -> None:
    """Calls 0 and 2 share replica 0, which takes one at a time; replica 1 is free from 1 s on."""
    told = [Story(0.0, [call(1, 3)]), Story(0.0, [call(1, 1)]), Story(0.5, [call(1, 1)])]
    outcome = run(told, replicas=2, max_num_seqs=1)
    assert spans(outcome, 1) == [
        (State.PREFILL, 0.0, 1.0),
        (Cause.IMBALANCE, 1.0, 3.0),
        (Cause.NO_DEMAND, 3.0, 4.0),
    ]
    assert outcome.sessions["idle_s"][:, Cause.IMBALANCE].tolist() == [0.0, 0.0, 2.0]


def test_a_call_that_waits_for_a_step_to_end_is_not_passed_over() -> None:
    told = [Story(0.0, [call(5, 1)]), Story(0.0, [call(1, 1)]), Story(0.5, [call(1, 1)])]
    cost = FREE._replace(prefill_token_s=1.0)
    assert Cause.IMBALANCE not in run(told, cost, replicas=2, max_num_seqs=1).segments["cause"]


# --- edges of the input ---


def test_nothing_to_do() -> None:
    outcome = run([Story(0.0, [], tail_s=3.0)], replicas=2)
    assert outcome.sessions["end_s"].tolist() == [3.0]
    assert spans(outcome, 1) == [(Cause.NO_DEMAND, 0.0, 3.0)]
    assert run([]).segments.size == 0


def test_the_list_of_segments_grows() -> None:
    told = [Story(10.0 * k, [call(1, 2), tool(1.0, 0), call(1, 2, 1)]) for k in range(100)]
    assert len(spans(run(told), 0)) == 600 - 1


@pytest.mark.parametrize("limit", ["replicas", "max_num_seqs", "max_num_batched_tokens"])
def test_a_fleet_that_could_never_finish_is_refused(limit: str) -> None:
    limits = fleet()._replace(**{limit: 0})
    with pytest.raises(ValueError, match=limit):
        replay(workload_of([Story(0.0, [call(1, 1)])]), SECOND_A_STEP, FLAT, limits)


def test_a_step_cannot_start_before_its_parent_ends() -> None:
    with pytest.raises(ValueError, match="negative"):
        run([Story(0.0, [call(1, 1), tool(1.0, 0, lag_s=-0.1)])])


def test_a_cycle_is_refused() -> None:
    with pytest.raises(ValueError, match="cycle"):
        run([Story(0.0, [call(1, 1), tool(1.0, 2), gap(1.0, 1)])])


def test_arrays_of_any_kind_are_taken() -> None:
    workload = workload_of([Story(0.0, [call(5, 2), tool(1.0, 0), call(5, 2, 1)])])
    plain = replay(workload, SECOND_A_STEP, FLAT, fleet())
    children = workload.child_index.astype(np.int64)
    children.flags.writeable = False
    every_other = np.repeat(workload.lag_s, 2)[::2]
    other = workload._replace(child_index=children, lag_s=every_other)
    assert_same_outcome(replay(other, SECOND_A_STEP._replace(base_s=1), FLAT, fleet()), plain)


def test_replays_run_side_by_side() -> None:
    """Kernels release the GIL; nothing is shared between two replays."""
    alone = [replay(*crowd(seed)).calls.tobytes() for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda seed: replay(*crowd(seed)).calls.tobytes(), range(4)))
    assert together == alone


# --- the integer clock ---


def test_what_nobody_caused_is_loaded_in_proportion() -> None:
    account = Account.of(np.array([3.0, 1.0]), 2.0)
    assert account.loaded.tolist() == [4.5, 1.5]
    assert account.total == 6.0
    assert Account.of(np.zeros(2), 2.0).loaded.tolist() == [1.0, 1.0]


def test_time_is_billed_by_the_replica() -> None:
    scenario = workload_of([Story(0.0, [call(1, 3)])]), SECOND_A_STEP, FLAT, fleet(2)
    timeline = Timeline.of(replay(*scenario, usd_per_s=2 * 1e-3), [2])
    assert timeline.total_usd == pytest.approx(4 * 3 * 1e-3)
    assert timeline.gpu_s[State.IDLE] == 6.0
    assert timeline.dollars.null == pytest.approx(6e-3)
    assert timeline.call_usd.tolist() == pytest.approx([6e-3])


def test_an_empty_replay_costs_nothing() -> None:
    timeline = Timeline.of(run([]))
    assert (timeline.total_usd, timeline.total_j, timeline.horizon_ns) == (0.0, 0.0, 0)
    assert timeline.dollars.loaded.size == 0
