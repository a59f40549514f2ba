"""The engine alone: CPU seconds of `replay_pools` in process, attribution included, of a trace on a fleet.

`python -m benchmarks.engine TRACE FLEET.toml RUNS` prints JSON; the first replay, which may compile, is not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tracekit.analyzers.kernels.layout import Outcome, Workload
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.workload import compile_workload
from tracekit.trace import Trace


@dataclass(frozen=True)
class Timed:
    """Replays of one workload on one fleet; medians."""

    calls: int
    refused: int
    engine_steps: int
    segments: int
    preemptions: int
    hit_fraction: float  # prompt tokens found in the cache, of all served
    busy_fraction: float  # of the replicas' time until the last session ends
    cpu_s: float
    cpu_min_s: float
    cpu_max_s: float

    @property
    def calls_per_cpu_s(self) -> float:
        return self.calls / self.cpu_s


def timed(workload: Workload, fleet: Fleet, runs: int, *, warm: bool = True) -> Timed:
    """The median of so many replays, after one that is not counted (unless one was before)."""
    if warm:
        cpu_seconds(workload, fleet)
    taken = []
    for _ in range(runs):
        cpu_s, outcome = cpu_seconds(workload, fleet)
        taken.append(cpu_s)
    calls = outcome.calls
    return Timed(
        calls=calls.size,
        refused=outcome.refused,
        engine_steps=outcome.engine_steps,
        segments=outcome.segments.size,
        preemptions=int(calls["preemptions"].sum()),
        hit_fraction=hit_fraction(workload, outcome),
        busy_fraction=float(calls["busy_s"].sum()) / (fleet.replicas * outcome.horizon_s),
        cpu_s=statistics.median(taken),
        cpu_min_s=min(taken),
        cpu_max_s=max(taken),
    )


def cpu_seconds(workload: Workload, fleet: Fleet) -> tuple[float, Outcome]:
    """Of one replay; the kernel has one thread, so these are the process's."""
    limits, pools = fleet.limits()[0], pools_of(fleet)
    begun_s = time.process_time()
    outcome = replay_pools(workload, pools, limits.router, limits.queue_order, fleet.seed)
    return time.process_time() - begun_s, outcome


def hit_fraction(workload: Workload, outcome: Outcome) -> float:
    """Prompt tokens found in the cache, of all prompt tokens of calls that were served."""
    served = outcome.calls[outcome.calls["replica"] >= 0]
    prompts = np.maximum(workload.input_tokens[served["step"]], 1).sum(dtype=np.int64)
    return float(served["cached_tokens"].sum(dtype=np.int64) / max(prompts, 1))


def main() -> None:
    trace, fleet, runs = sys.argv[1:]
    workload = compile_workload(Trace.open(Path(trace))).workload
    print(json.dumps(asdict(timed(workload, Fleet.from_toml(Path(fleet)), int(runs)))))


if __name__ == "__main__":
    main()
