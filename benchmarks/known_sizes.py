"""Sizing where the answer is known: `python -m benchmarks.known_sizes --seeds 200`.

Sessions are one call each, of exponential length; a replica computes one call at a time, and the router goes round. So
each of c replicas is a queue with Erlang arrivals of c stages and exponential service (GI/M/1), whose sojourn time is
exponential with the rate mu (1 - sigma), sigma the root of sigma = A*(mu (1 - sigma)) for the transform A* of the
times between arrivals (Kleinrock, Queueing Systems I, 1975, 6.3 and 6.4). The least c whose p95 is below the limit is
the size. The recording is a sample: rates, limits and recordings are drawn anew for every seed.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import (
    BLOCK_TOKENS,
    NOBODY,
    FleetLimits,
    PowerCurve,
    StepCost,
    StepKind,
    Workload,
)
from tracekit.analyzers.kernels.layout import Pool as KernelPool
from tracekit.analyzers.scenario import Pool
from tracekit.analyzers.sizing.basis import Basis, Load
from tracekit.analyzers.sizing.candidate import Kind
from tracekit.analyzers.sizing.crew import Crew, crew_of_threads
from tracekit.analyzers.sizing.model_error import EXACT
from tracekit.analyzers.sizing.replayer import Replayer
from tracekit.analyzers.sizing.replicate import REPLICATES
from tracekit.analyzers.sizing.scan import scan
from tracekit.analyzers.sizing.search import best_fleet
from tracekit.analyzers.sizing.slo import Slo

TOKENS_PER_S = 100_000
"""Prompt lengths are whole: enough of them to be a continuous service time."""
NEVER = 10**9
KIND = Kind((Pool("H100", "Llama-3.1-8B"),), "round-robin")
PERCENT = 95.0
MOST_REPLICAS = 64
RECORDED = 10_000


class Problem(NamedTuple):
    """Sessions of 1 s on average arrive at `rate_per_s`; their p95 is to be below `limit_s`."""

    rate_per_s: float
    limit_s: float
    seed: int


class Outcome(NamedTuple):
    """What was chosen and what is right; whether the interval stated for the fleet holds the truth."""

    problem: Problem
    right: int
    chosen: int | None
    true_s: float  # p95 of the chosen size
    low_s: float
    high_s: float

    @property
    def is_near(self) -> bool:
        return self.chosen is not None and abs(self.chosen - self.right) <= 1

    @property
    def is_covered(self) -> bool:
        return self.low_s <= self.true_s <= self.high_s


def problem(seed: int) -> Problem:
    """One of them, drawn; the limit is 1.5 to 3 times the p95 of a session alone.

    Closer to that, sizes differ by less than a replay can tell: no number of replicas makes a session shorter.
    """
    random = np.random.default_rng((seed, 99))
    return Problem(float(random.uniform(1.0, 12.0)), float(random.uniform(4.5, 9.0)), seed)


def true_p95_s(rate_per_s: float, replicas: int) -> float:
    """The p95 of a session's time on so many replicas; infinity where they cannot keep up."""
    if rate_per_s >= replicas:
        return math.inf
    sigma = 0.5
    for _ in range(10_000):
        after = (rate_per_s / (rate_per_s + 1.0 - sigma)) ** replicas
        if abs(after - sigma) < 1e-13:
            break
        sigma = after
    return -math.log(1.0 - PERCENT / 100.0) / (1.0 - sigma)


def right_size(asked: Problem) -> int:
    """The fewest replicas whose p95 is below the limit."""
    return next(size for size in range(1, 10_000) if true_p95_s(asked.rate_per_s, size) < asked.limit_s)


def recording(seed: int, sessions: int = RECORDED) -> Workload:
    """Sessions of one call with a prompt of exponential length."""
    service_s = np.random.default_rng((seed, 7)).exponential(1.0, sessions)
    return Workload(
        session_arrival_s=np.arange(sessions, dtype=np.float64),
        session_tail_s=np.zeros(sessions),
        session_step_start=np.arange(sessions + 1, dtype=np.int64),
        kind=np.full(sessions, StepKind.CALL, np.int8),
        session=np.arange(sessions, dtype=np.int32),
        input_tokens=np.maximum(1, np.rint(service_s * TOKENS_PER_S)).astype(np.int32),
        output_tokens=np.ones(sessions, np.int32),
        duration_s=np.zeros(sessions),
        lag_s=np.zeros(sessions),
        parent_count=np.zeros(sessions, np.int32),
        child_start=np.zeros(sessions + 1, np.int32),
        child_index=np.zeros(0, np.int32),
        prefix_parent=np.full(sessions, NOBODY, np.int32),
        prefix_tokens=np.zeros(sessions, np.int32),
    )


def basis(workload: Workload) -> Basis:
    """One call at a time, as many seconds as its prompt says; the model is exact."""
    limits = FleetLimits(1, 0, 1, NEVER, BLOCK_TOKENS, NEVER // BLOCK_TOKENS, NEVER, 0)
    cost = StepCost(0.0, 1.0 / TOKENS_PER_S, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    pool = KernelPool(cost, PowerCurve(100.0, 100.0, 200.0, math.inf), limits)
    return Basis((pool,), (1,), EXACT, workload.input_tokens / TOKENS_PER_S)


def solved(
    asked: Problem, crew: Crew, replicates: int = REPLICATES, workload: Workload | None = None
) -> Outcome:
    """The problem as `tracekit size` solves it."""
    workload = recording(asked.seed) if workload is None else workload
    slo = Slo("session", PERCENT, asked.limit_s)
    load = Load(workload, asked.rate_per_s, (slo,), asked.seed)
    replayer = Replayer(load, crew, {KIND.pools: basis(workload)})
    best = best_fleet(replayer, scan(replayer, (KIND,), MOST_REPLICAS), "cost", MOST_REPLICAS, replicates)
    right = right_size(asked)
    if best is None:
        return Outcome(asked, right, None, math.inf, math.nan, math.nan)
    chosen = best.verdict.candidate.replicas
    interval = best.verdict.slo_interval(0)
    return Outcome(asked, right, chosen, true_p95_s(asked.rate_per_s, chosen), interval.low, interval.high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    options = parser.parse_args()
    outcomes = []
    with crew_of_threads() as crew:
        for seed in range(options.first, options.first + options.seeds):
            outcomes.append(solved(problem(seed), crew, options.replicates))
            one = outcomes[-1]
            print(
                f"seed {seed}: {one.problem.rate_per_s:.2f}/s < {one.problem.limit_s:.2f} s: right {one.right}, chosen "
                f"{one.chosen}; true p95 {one.true_s:.3f} s, stated {one.low_s:.3f} to {one.high_s:.3f} s"
                f"{'' if one.is_near else '  NOT NEAR'}{'' if one.is_covered else '  NOT COVERED'}",
                flush=True,
            )
    seeds = len(outcomes)
    sizes = [one.chosen - one.right for one in outcomes if one.chosen is not None]
    print(
        f"{seeds} seeds: {sum(one.is_near for one in outcomes)} at most one replica off "
        f"({sizes.count(0)} equal, {sum(size > 0 for size in sizes)} above, {sum(size < 0 for size in sizes)} below); "
        f"{sum(one.is_covered for one in outcomes)} intervals hold the truth"
    )


if __name__ == "__main__":
    main()
