"""What becomes of a session's KV between its calls; steps take 1 s whatever is in them."""

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, NEVER, Story, call, crowd, fleet, tool, workload_of
from tracekit.analyzers.kernels.layout import Outcome, Retention, StepCost
from tracekit.analyzers.kernels.replay import replay

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
