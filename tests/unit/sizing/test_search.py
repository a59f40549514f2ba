"""The search finds what trying everything finds, on any number of threads."""

import math

import numpy as np
import pytest

from benchmarks.known_sizes import NEVER, TOKENS_PER_S, recording
from tracekit.analyzers.kernels.layout import BLOCK_TOKENS, FleetLimits, PowerCurve, StepCost
from tracekit.analyzers.kernels.layout import Pool as KernelPool
from tracekit.analyzers.scenario import Pool
from tracekit.analyzers.sizing import horizon
from tracekit.analyzers.sizing.basis import Basis, Load
from tracekit.analyzers.sizing.candidate import Kind
from tracekit.analyzers.sizing.crew import crew_of_threads
from tracekit.analyzers.sizing.model_error import ModelError
from tracekit.analyzers.sizing.replayer import Candidate, Replayer
from tracekit.analyzers.sizing.scan import scan
from tracekit.analyzers.sizing.search import best_fleet, value_of
from tracekit.analyzers.sizing.slo import Slo
from tracekit.analyzers.sizing.verdict import judge

GPUS = ("L40S", "A100-SXM-80GB", "H100-SXM-80GB")
REPLICATES = 20
MOST = 5


@pytest.fixture(autouse=True)
def _short_replays(monkeypatch):
    """As short as they may be: there are thousands of them."""
    monkeypatch.setattr(horizon, "PRECISION", 1.0)


def basis(workload, speed):
    limits = FleetLimits(1, 0, 1, NEVER, BLOCK_TOKENS, NEVER // BLOCK_TOKENS, NEVER, 0)
    cost = StepCost(0.0, 1.0 / TOKENS_PER_S / speed, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    pool = KernelPool(cost, PowerCurve(100.0 * speed, 100.0 * speed, 200.0, math.inf), limits)
    return Basis((pool,), (1,), ModelError(0.05, 0.05), workload.input_tokens / TOKENS_PER_S / speed)


def problem(seed):
    """Three GPUs at speeds of their own and two routers; a load that some of them can carry."""
    random = np.random.default_rng(seed)
    workload = recording(seed, sessions=400)
    bases = {(Pool(gpu, "Llama-3.1-8B"),): basis(workload, random.uniform(0.6, 3.0)) for gpu in GPUS}
    kinds = tuple(Kind(pools, router) for pools in bases for router in ("round-robin", "least-outstanding"))
    slo = Slo("session", float(random.choice([50.0, 90.0, 95.0])), float(random.uniform(1.0, 6.0)))
    return Load(workload, float(random.uniform(0.3, 3.0)), (slo,), seed), bases, kinds


def tried_everywhere(replayer, kinds):
    """The verdicts on the kinds in all sizes that pass."""
    verdicts = [
        judge(replayer, Candidate(kind, size), REPLICATES) for kind in kinds for size in range(1, MOST + 1)
    ]
    return [verdict for verdict in verdicts if verdict.passes]


@pytest.mark.parametrize("seed", range(20))
def test_the_search_finds_what_trying_everything_finds(seed):
    load, bases, kinds = problem(seed)
    with crew_of_threads() as crew:
        replayer = Replayer(load, crew, dict(bases))
        scanned = scan(replayer, kinds, MOST)
        cheapest = best_fleet(replayer, scanned, "cost", MOST, REPLICATES)
        frugal = best_fleet(replayer, scanned, "energy", MOST, REPLICATES)
        passing = tried_everywhere(replayer, kinds)
    assert (cheapest is None) == (frugal is None) == (not passing)
    if cheapest is not None:
        assert cheapest.value == min(value_of(verdict, "cost") for verdict in passing)
        # a kind stands for its smallest size that passes, and a larger one may need a hundredth of a percent less
        least_w = min(value_of(verdict, "energy") for verdict in passing)
        assert frugal.value == pytest.approx(least_w, rel=1e-3)


def test_a_fleet_that_a_rival_outdoes_is_not_judged_to_the_end():
    load, bases, kinds = problem(1)
    with crew_of_threads() as crew:
        replayer = Replayer(load, crew, dict(bases))
        whole = judge(replayer, Candidate(kinds[0], MOST), 2 * REPLICATES, stops_early=False)
        frugal = tuple(one._replace(watts=one.watts - 1.0) for one in whole.observations)
        thirsty = tuple(one._replace(watts=one.watts + 1.0) for one in whole.observations)
        outdone = judge(replayer, Candidate(kinds[0], MOST), 2 * REPLICATES, stops_early=False, rival=frugal)
        equal = judge(
            replayer, Candidate(kinds[0], MOST), 2 * REPLICATES, stops_early=False, rival=whole.observations
        )
        better = judge(replayer, Candidate(kinds[0], MOST), 2 * REPLICATES, stops_early=False, rival=thirsty)
    assert outdone.is_outdone
    assert not outdone.is_whole
    assert not outdone.passes
    assert [equal.is_outdone, better.is_outdone] == [False, False]


def test_threads_change_nothing():
    load, bases, kinds = problem(1)
    found = []
    for threads in (1, 3):
        with crew_of_threads(threads) as crew:
            replayer = Replayer(load, crew, dict(bases))
            best = best_fleet(replayer, scan(replayer, kinds, MOST), "cost", MOST, REPLICATES)
            found.append((best.verdict.candidate, best.verdict.observations))
    assert found[0] == found[1]
