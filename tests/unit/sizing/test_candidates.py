"""What is considered: pools of one kind, of two, and of two jobs."""

import numpy as np
import pytest

from tests.unit.sizing.loads import agents
from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.analyzers.sizing.bound import work_s
from tracekit.analyzers.sizing.candidate import Space, candidates, kind_of
from tracekit.analyzers.sizing.small_model import SmallModel, pairs, parted
from tracekit.errors import SizingRefused

SPACE = Space(
    gpus=("L40S", "H100"),
    models=("Llama-3.1-8B",),
    tps=(1,),
    routers=("least-outstanding",),
    with_split=True,
    with_mixed=True,
)


@pytest.fixture(scope="module")
def kinds():
    return candidates(SPACE, agents()).kinds


def test_every_kind_has_a_name_of_its_own(kinds):
    names = [kind.name for kind in kinds]
    assert len(set(names)) == len(names) == 2 + 2 * 3 + 1
    assert (
        "25 % L40S with Llama-3.1-8B (prefill) + 75 % L40S with Llama-3.1-8B (decode), least-outstanding"
        in names
    )
    assert "50 % H100-SXM-80GB with Llama-3.1-8B + 50 % L40S with Llama-3.1-8B, least-outstanding" in names


def test_a_size_is_named_by_its_pools_so_that_shares_that_come_to_the_same_do(kinds):
    split = [kind for kind in kinds if "(prefill)" in kind.name and kind.name.count("L40S") == 2]
    assert len({kind.name for kind in split}) == 3
    assert {kind.sized_name(2) for kind in split} == {
        "1 x L40S with Llama-3.1-8B (prefill) + 1 x L40S with Llama-3.1-8B (decode), least-outstanding"
    }
    assert len({kind.sized_name(8) for kind in split}) == 3
    alone = next(kind for kind in kinds if len(kind.pools) == 1)
    assert alone.sized_name(2) == f"2 x {alone.name}"


def test_a_size_has_every_pool_and_so_many_replicas(kinds):
    for kind in kinds:
        for replicas in range(kind.least_replicas, 12):
            fleet = kind.fleet(replicas)
            assert fleet.replicas == replicas
            assert min(pool.replicas for pool in fleet.pools) >= 1
            assert kind.gpus(replicas) == replicas
            assert kind.usd_per_h(replicas + 1) > kind.usd_per_h(replicas)


def test_of_four_replicas_a_quarter_is_one(kinds):
    quarter = next(kind for kind in kinds if kind.name.startswith("25 % H100"))
    assert [(pool.role, pool.replicas) for pool in quarter.fleet(4).pools] == [("prefill", 1), ("decode", 3)]
    assert quarter.counts(8) == (2, 6)


def test_the_kind_of_a_fleet_is_what_it_was_made_of(kinds):
    for kind in kinds:
        assert kind_of(kind.fleet(4)).fleet(8) == kind.fleet(8)


def test_pools_that_do_not_fit_are_rejected_with_the_reason():
    found = candidates(SPACE._replace(models=("Llama-3.1-70B",)), agents())
    assert not found.kinds
    assert {one.name for one in found.rejected} == {
        "L40S with Llama-3.1-70B",
        "H100-SXM-80GB with Llama-3.1-70B",
    }
    assert all("GB" in one.why for one in found.rejected)


SMALL = SPACE._replace(
    with_split=False,
    with_mixed=False,
    models=("Qwen2.5-14B",),
    small=SmallModel("Llama-3.1-8B", "output<=40"),
)


def test_a_small_model_stands_beside_every_pool_of_the_other():
    kinds = [kind for kind in candidates(SMALL, agents()).kinds if kind.has_small_model]
    assert {tuple(pool.model for pool in kind.pools) for kind in kinds} == {("Llama-3.1-8B", "Qwen2.5-14B")}
    assert {kind.pools[1].gpu for kind in kinds} == {"H100-SXM-80GB", "L40S"}
    assert len(kinds) == len({kind.name for kind in kinds})
    for kind in kinds:
        small, other = kind.fleet(5).pools
        assert (small.calls, other.calls) == ("output<=40", "")


def test_the_shares_are_where_all_have_equal_work():
    workload = agents()
    parts = parted(workload, SMALL.small)
    small, other = (Pool("H100", model) for model in ("Llama-3.1-8B", "Qwen2.5-14B"))
    low, balanced, high = (pair.share for pair in pairs([small], [other], parts))
    assert low < balanced < high
    small_s, other_s = (
        work_s(part, pools_of(Fleet((pool,)))[0]) for part, pool in zip(parts, (small, other), strict=True)
    )
    assert small_s / balanced == pytest.approx(other_s / (1 - balanced))


def test_the_calls_are_parted():
    workload = agents()
    parts = parted(workload, SMALL.small)
    is_call, is_small, is_other = (told.kind == StepKind.CALL for told in (workload, *parts))
    assert (is_call == is_small | is_other).all()
    assert not (is_small & is_other).any()
    assert workload.output_tokens[is_small].max() <= 40 < workload.output_tokens[is_other].min()


@pytest.mark.parametrize(("calls", "words"), [("output<=0", "are 0 of the"), ("input>=0", "to share out")])
def test_a_rule_that_leaves_nothing_to_choose_is_refused(calls, words):
    with pytest.raises(SizingRefused, match=words):
        candidates(SMALL._replace(small=SmallModel("Llama-3.1-8B", calls)), agents())


def test_the_small_model_may_be_shorter_than_the_longest_call_of_the_others():
    """The other pool alone takes calls of any length; of the small one only its own count."""
    space = SMALL._replace(gpus=("H100",), small=SmallModel("Llama-3-8B", "input<4000"))
    long = agents()
    is_call = long.kind == StepKind.CALL
    tokens = long.input_tokens.copy()
    tokens[np.flatnonzero(is_call)[::2]] = 20_000
    assert any(kind.has_small_model for kind in candidates(space, long._replace(input_tokens=tokens)).kinds)


def test_a_kind_that_refuses_every_call_is_none():
    workload = agents()
    calls = workload.kind == StepKind.CALL
    longer = np.where(calls, 1_000_000, workload.input_tokens).astype(workload.input_tokens.dtype)
    found = candidates(SPACE, workload._replace(input_tokens=longer))
    assert found.kinds == ()
    assert all("refuse every call" in one.why for one in found.rejected)
