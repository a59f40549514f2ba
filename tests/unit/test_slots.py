"""A replica with slots, one rule at a time; steps take 1 s whatever is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, Node, Story, call, fleet, workload_of
from tracekit.analyzers.kernels.layout import (
    Batching,
    FleetLimits,
    Outcome,
    Pool,
    Role,
    Router,
    Rows,
    StepCost,
)
from tracekit.analyzers.kernels.prepare import pool_rows, prepare
from tracekit.analyzers.kernels.replay import replay, replay_pools
from tracekit.analyzers.kernels.seats import common_tokens

SECOND_A_STEP = StepCost(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class CountedReads:
    """Rows, and how often one was read."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.reads = rows, 0

    def __getitem__(self, place: Any) -> Any:
        self.reads += 1
        return self.rows[place]


def slotted(
    slots: int = 2, replicas: int = 1, router: Router = Router.ROUND_ROBIN, **limits: float
) -> FleetLimits:
    room = fleet(replicas, router, max_num_seqs=slots, num_blocks=1000, **limits)
    return room._replace(batching=int(Batching.SLOTS))


def run(told: list[Story], slots: int = 2, **limits: float) -> Outcome:
    return replay(workload_of(told), SECOND_A_STEP, FLAT, slotted(slots, **limits))


def after(prompt: int, shared: int, session: int = 0, place: int = 0, output: int = 1) -> Node:
    node = call(prompt, output)
    node.prefix = (session, place, shared)
    return node


def test_a_call_goes_on_where_a_slot_ends() -> None:
    """75 tokens: no whole number of blocks. The first call's last token was never written."""
    told = [Story(0.0, [call(70, 6)]), Story(10.0, [after(100, 76)]), Story(20.0, [after(100, 40)])]
    assert run(told).calls["cached_tokens"].tolist() == [0, 75, 40]


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    told = [Story(0.0, [call(70, 6)]), Story(10.0, [after(70, 70)])]
    assert run(told).calls["cached_tokens"].tolist() == [0, 69]


def test_a_tenth_alike_is_too_little_to_choose_a_slot() -> None:
    """The first slot holds 5 tokens of the third prompt's 100: the other one, left longer ago, is taken."""
    told = [Story(0.0, [call(70, 4)]), Story(0.0, [call(70, 1)]), Story(10.0, [after(100, 5)])]
    assert run(told).calls["cached_tokens"].tolist() == [0, 0, 0]
    told[2] = Story(10.0, [after(50, 5)])
    assert run(told).calls["cached_tokens"].tolist() == [0, 0, 0]
    told[2] = Story(10.0, [after(49, 5)])
    assert run(told).calls["cached_tokens"].tolist() == [0, 0, 5]


def test_what_the_slot_left_longest_ago_has_in_common_counts_all_the_same() -> None:
    told = [Story(0.0, [call(70, 1)]), Story(10.0, [after(100, 5)])]
    assert run(told, slots=1).calls["cached_tokens"].tolist() == [0, 5]


def test_of_slots_as_much_alike_the_first_is_taken() -> None:
    """The third call begins as both others, and only the second call's text is left to the fourth."""
    told = [
        Story(0.0, [call(70, 5)]),
        Story(0.5, [after(90, 50)]),
        Story(10.0, [after(60, 50)]),
        Story(20.0, [after(120, 90, session=1)]),
    ]
    assert run(told).calls["cached_tokens"].tolist() == [0, 0, 50, 90]


def test_the_slot_most_alike_is_taken() -> None:
    told = [
        Story(0.0, [call(70, 1)]),
        Story(0.0, [after(90, 50)]),
        Story(10.0, [after(120, 85, session=1)]),
        Story(20.0, [after(120, 60, session=0)]),
    ]
    assert run(told).calls["cached_tokens"].tolist() == [0, 0, 85, 60]


def test_a_slot_forgets_the_text_before() -> None:
    told = [Story(0.0, [call(70, 1)]), Story(5.0, [call(70, 1)]), Story(10.0, [after(90, 70)])]
    assert run(told, slots=1).calls["cached_tokens"].tolist() == [0, 0, 0]
    assert run(told, slots=2).calls["cached_tokens"].tolist() == [0, 0, 70]


def test_a_call_waits_for_a_free_slot() -> None:
    outcome = run([Story(0.0, [call(10, 3)]) for _ in range(3)])
    assert outcome.calls["started_s"].tolist() == [0.0, 0.0, 3.0]


def test_common_text_is_found_through_other_calls() -> None:
    """Both second calls go on from a call of which no slot holds anything any more."""
    told = [
        Story(0.0, [call(60, 1)]),
        Story(5.0, [after(100, 60)]),
        Story(10.0, [after(100, 60)]),
    ]
    assert run(told, slots=1).calls["cached_tokens"].tolist() == [0, 60, 60]


def test_prefixes_in_a_circle_are_refused() -> None:
    told = [Story(0.0, [after(70, 60, session=1)]), Story(5.0, [after(70, 60, session=0)])]
    with pytest.raises(ValueError, match="cycle"):
        run(told)


def test_without_a_prefix_cache_slots_keep_nothing() -> None:
    told = [Story(0.0, [call(70, 6)]), Story(10.0, [after(100, 76)])]
    assert run(told, enable_prefix_cache=0).calls["cached_tokens"].tolist() == [0, 0]


def test_slots_of_a_replica_that_was_switched_off_are_empty() -> None:
    """The first replica is off from 3 s to 20 s."""
    told = [
        Story(0.0, [call(64, 1)]),
        Story(0.5, [call(1, 10)]),
        Story(20.0, [call(64, 2)]),
        Story(20.5, [after(80, 64)]),
    ]
    outcome = run(told, replicas=2, router=Router.LEAST_OUTSTANDING, min_replicas=1, scale_down_s=2.0)
    assert outcome.calls["replica"].tolist() == [0, 1, 1, 0]
    assert outcome.calls["cached_tokens"].tolist() == [0, 0, 0, 0]


def known_by_the_second() -> list[Story]:
    return [
        Story(0.0, [call(70, 3)]),
        Story(0.5, [call(70, 3)]),
        Story(10.0, [after(100, 60, session=1, output=2)]),
    ]


def test_a_prompt_goes_where_a_slot_knows_it() -> None:
    outcome = run(known_by_the_second(), replicas=2, router=Router.PREFIX_AWARE)
    assert outcome.calls["replica"].tolist() == [0, 1, 1]
    assert outcome.calls["cached_tokens"].tolist() == [0, 0, 60]


def test_slots_that_decode_know_the_prompts_that_came() -> None:
    limits = fleet()._replace(role=int(Role.PREFILL)), slotted(2, 2)._replace(role=int(Role.DECODE))
    pools = [Pool(SECOND_A_STEP, FLAT, each) for each in limits]
    outcome = replay_pools(workload_of(known_by_the_second()), pools, Router.PREFIX_AWARE)
    assert outcome.calls["decode_replica"].tolist() == [1, 2, 2]


def test_common_text_is_found_however_far_the_calls_are_apart() -> None:
    """In a forest of prefixes, against a walk from parent to parent; in steps that grow with the logarithm."""
    draw = np.random.default_rng(3)
    nodes = [call(4_000, 1)]
    for number in range(1, 600):
        parent = int(draw.integers(max(0, number - 3), number))
        nodes.append(after(4_000, int(draw.integers(0, 4_001)), place=parent))
    nodes[300].prefix = None
    limits = fleet(max_num_seqs=2, num_blocks=1000)._replace(batching=int(Batching.SLOTS))
    pools = pool_rows([Pool(SECOND_A_STEP, FLAT, limits)])
    sim = prepare(workload_of([Story(0.0, nodes)]), pools, 0, 0, 0)
    common = getattr(common_tokens, "py_func", common_tokens)

    def ways_up(one: int) -> dict[int, int]:
        """The calls above, and the fewest tokens shared on the way to each."""
        ways, least = {one: 2**62}, 2**62
        while sim.prefix_call[one] >= 0:
            least = min(least, int(sim.prefix_tokens[one]))
            one = int(sim.prefix_call[one])
            ways[one] = least
        return ways

    for _ in range(2_000):
        one, other = draw.integers(0, len(nodes), 2).tolist()
        mine, theirs = ways_up(one), ways_up(other)
        met = next((above for above in mine if above in theirs), None)
        expected = 0 if met is None else min(mine[met], theirs[met])
        assert common(sim, one, other) == expected
    counted = CountedReads(sim.prefix_lifts)
    common(sim._replace(prefix_lifts=counted), 599, 0)
    assert 0 < counted.reads < 200
