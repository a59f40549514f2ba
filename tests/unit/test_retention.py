"""What becomes of a session's KV between its calls; steps take 1 s whatever is in them."""

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, NEVER, Story, call, crowd, fleet, tool, workload_of
from tracekit.analyzers.kernels.layout import Outcome, Pool, Retention, Role, Router, StepCost
from tracekit.analyzers.kernels.replay import replay, replay_pools

SECOND_A_STEP = StepCost(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def run(retention: Retention, told: list[Story], retention_s: float = 0.0, **limits: int) -> Outcome:
    kept = fleet(**limits)._replace(retention=int(retention), retention_s=retention_s)
    return replay(workload_of(told), SECOND_A_STEP, FLAT, kept)


def returning(tool_s: float) -> Story:
    """A session whose second call begins with all 64 tokens of its first."""
    story = Story(0.0, [call(64, 1), tool(tool_s, 0), call(80, 1, 1)])
    story.nodes[2].prefix = (0, 0, 64)
    return story


def crowded() -> list[Story]:
    """One session that returns after 20 s to a memory of 8 blocks, in which two others have had 4 each."""
    return [returning(20.0), Story(3.0, [call(64, 1)]), Story(6.0, [call(64, 1)])]


def test_lru_forgets_what_was_left_first() -> None:
    assert run(Retention.LRU, crowded(), num_blocks=8).calls["cached_tokens"].tolist() == [0, 0, 0, 0]
    assert run(Retention.LRU, crowded(), num_blocks=12).calls["cached_tokens"].tolist() == [0, 64, 0, 0]


def test_what_is_kept_is_found_again() -> None:
    assert run(Retention.KEEP, crowded(), num_blocks=8).calls["cached_tokens"].tolist() == [0, 64, 0, 0]


@pytest.mark.parametrize(("retention_s", "found"), [(2.5, 0), (3.5, 64), (30.0, 64)])
def test_what_is_kept_for_a_while(retention_s: float, found: int) -> None:
    """What was kept until 3.5 s is forgotten before what the second session left at 4 s, and after it if longer."""
    outcome = run(Retention.TTL, crowded(), retention_s, num_blocks=8)
    assert outcome.calls["cached_tokens"].tolist() == [0, found, 0, 0]


def test_evicted_at_once_is_never_found() -> None:
    outcome = run(Retention.EVICT, [returning(1.0)], num_blocks=100)
    assert outcome.calls["cached_tokens"].tolist() == [0, 0]
    assert run(Retention.LRU, [returning(1.0)], num_blocks=100).calls["cached_tokens"].tolist() == [0, 64]


def test_evicting_leaves_what_a_running_call_shares() -> None:
    long = Story(0.0, [call(64, 9)])
    short = Story(1.0, [call(80, 1), tool(1.0, 0), call(80, 1, 1)])
    short.nodes[0].prefix = short.nodes[2].prefix = (0, 0, 64)
    outcome = run(Retention.EVICT, [long, short], num_blocks=100)
    assert outcome.calls["cached_tokens"].tolist() == [0, 64, 64]


def test_nobody_waits_for_ever_for_what_is_kept() -> None:
    """A call needs 6 of 8 blocks, of which 4 are kept: they are let go, since nothing else runs, and 2 forgotten."""
    told = [returning(20.0), Story(3.0, [call(96, 1)])]
    outcome = run(Retention.KEEP, told, num_blocks=8)
    assert outcome.calls["started_s"].tolist() == [0.0, 21.0, 3.0]
    assert outcome.calls["cached_tokens"].tolist() == [0, 32, 0]


def test_a_call_waits_for_those_that_run_before_anything_kept_is_let_go() -> None:
    told = [returning(20.0), Story(3.0, [call(32, 4)]), Story(3.5, [call(64, 1)])]
    outcome = run(Retention.KEEP, told, num_blocks=8)
    assert outcome.calls["started_s"].tolist() == [0.0, 21.0, 3.0, 7.0]
    assert outcome.calls["cached_tokens"].tolist() == [0, 64, 0, 0]


def test_what_is_kept_counts_as_held() -> None:
    """64 tokens from 0 s to 21 s, then those of both calls' 80 for a step."""
    outcome = run(Retention.KEEP, [returning(20.0)], num_blocks=100)
    assert outcome.kv_token_s == pytest.approx(64 * 21 + 80)


def test_what_is_let_go_in_a_run_of_steps_counts_with_what_the_run_has_taken() -> None:
    """4 blocks are kept until 20.5 s; the other call has 3 from 19 s on."""
    told = [returning(60.0), Story(2.0, [call(16, 40)])]
    assert run(Retention.TTL, told, 19.5, num_blocks=100).kv_peak_tokens == 7 * 16


def test_what_a_pass_lets_go_does_not_count_with_what_it_takes() -> None:
    """8 blocks are kept for a call that finds 8 others and needs one more."""
    returns = Story(2.0, [call(64, 1), call(64, 1), tool(4.0, 0, 1), call(144, 1, 2)])
    returns.nodes[3].prefix = (0, 0, 128)
    outcome = run(Retention.KEEP, [Story(0.0, [call(128, 1)]), returns], num_blocks=100)
    assert outcome.calls["cached_tokens"].tolist() == [0, 0, 0, 128]
    assert outcome.kv_peak_tokens == 9 * 16


def test_what_was_kept_first_is_let_go_first() -> None:
    """Two calls end, and their time is over, at one instant; then somebody needs the blocks of one."""
    told = [
        *(Story(0.0, [call(1, 1)]) for _ in range(2)),
        Story(2.0, [call(64, 1), tool(20.0, 0), call(80, 1, 1)]),
        Story(2.0, [call(64, 1), tool(18.0, 0), call(80, 1, 1)]),
        Story(10.0, [call(128, 1)]),
    ]
    told[2].nodes[2].prefix, told[3].nodes[2].prefix = (2, 0, 64), (3, 0, 64)
    outcome = run(Retention.TTL, told, 2.0, num_blocks=12)
    assert outcome.calls["cached_tokens"].tolist() == [0, 0, 0, 0, 0, 64, 0]


def test_replicas_schedule_by_number_and_see_what_those_before_let_go() -> None:
    """At 5 s the first replica is full of what it keeps for a session whose next call the second one admits then."""
    told = [
        Story(0.0, [call(64, 1), tool(4.0, 0), call(80, 1, 1)]),
        Story(0.0, [call(1, 1)]),
        Story(2.0, [call(32, 10)]),
        Story(3.0, [call(1, 1)]),
        Story(4.5, [call(64, 1)]),
    ]
    outcome = run(Retention.KEEP, told, num_blocks=8, replicas=2)
    assert outcome.calls["replica"].tolist() == [0, 1, 1, 0, 1, 0]
    assert outcome.calls["started_s"].tolist() == [0.0, 5.0, 0.0, 2.0, 3.0, 6.0]


def test_a_replica_that_prefills_for_another_keeps_nothing() -> None:
    kept = fleet()._replace(retention=int(Retention.KEEP))
    pools = [Pool(SECOND_A_STEP, FLAT, kept._replace(role=int(role))) for role in (Role.PREFILL, Role.DECODE)]
    outcome = replay_pools(workload_of([Story(0.0, [call(64, 1), tool(9.0, 0), call(64, 1, 1)])]), pools)
    assert outcome.kv_token_s == pytest.approx(64 + 64)


def test_a_replica_that_is_switched_off_keeps_nothing() -> None:
    """64 tokens until 3 s, those of a call of 10 s elsewhere, and then 80 for a step."""
    kept = fleet(2, Router.LEAST_OUTSTANDING, min_replicas=1, scale_down_s=2.0)
    kept = kept._replace(retention=int(Retention.KEEP))
    told = [returning(20.0), Story(0.5, [call(1, 10)])]
    outcome = replay(workload_of(told), SECOND_A_STEP, FLAT, kept)
    assert outcome.calls["replica"].tolist() == [0, 1, 1]
    assert outcome.kv_token_s == pytest.approx(3 * 64 + 10 * 16 + 80)


def test_nothing_is_kept_after_the_last_call() -> None:
    outcome = run(Retention.KEEP, [Story(0.0, [call(64, 1), tool(9.0, 0)])], num_blocks=8)
    assert outcome.kv_token_s == pytest.approx(64)


@pytest.mark.parametrize("seed", range(12))
def test_with_room_for_all_keeping_changes_nothing_that_a_call_sees(seed: int) -> None:
    workload, cost, power, limits = crowd(seed)
    roomy = limits._replace(num_blocks=NEVER)
    plain = replay(workload, cost, power, roomy)
    for retention in (Retention.KEEP, Retention.TTL):
        kept = replay(workload, cost, power, roomy._replace(retention=int(retention), retention_s=0.05))
        for field in ("replica", "cached_tokens", "preemptions", "started_s", "first_token_s", "end_s"):
            np.testing.assert_array_equal(kept.calls[field], plain.calls[field])
        np.testing.assert_allclose(kept.calls["energy_j"], plain.calls["energy_j"], rtol=1e-9)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("retention", list(Retention))
def test_every_call_ends_however_little_room_there_is(seed: int, retention: Retention) -> None:
    workload, cost, power, limits = crowd(seed)
    tight = limits._replace(num_blocks=16, retention=int(retention), retention_s=0.05, enable_prefix_cache=1)
    outcome = replay(workload, cost, power, tight)
    served = outcome.calls["replica"] >= 0
    assert served.any()
    assert (outcome.calls["end_s"] > outcome.calls["queued_s"])[served].all()
    assert outcome.kv_peak_tokens <= tight.kv_capacity_tokens
