"""A million sessions of ten calls on 64 replicas: CPU seconds of the engine, peak memory of the process.

`python -m benchmarks.million SESSIONS` prints JSON; with `arrays` as a second argument instead the bytes per call of
what the kernel holds when it is done.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy.typing as npt

from benchmarks.drawn_agents import CALLS, drawn_agents
from benchmarks.engine import cpu_seconds
from benchmarks.resident import peak_mb, resident_bytes
from tracekit.analyzers.kernels.layout import Workload
from tracekit.analyzers.kernels.prepare import pool_rows, prepare
from tracekit.analyzers.kernels.replay import conclude, simulate
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet

REPLICAS = 64
CALLS_PER_S = 16.0
"""On each replica; from 20 up queues grow until the last session has come."""


def workload_of(sessions: int, replicas: int = REPLICAS, system_tokens: int = 0) -> Workload:
    """Sessions at the rate that so many replicas sustain."""
    return drawn_agents(sessions, CALLS_PER_S * replicas / CALLS, system_tokens=system_tokens)


def fleet_of(replicas: int = REPLICAS) -> Fleet:
    return Fleet.of("H100", "Llama-3.1-8B", replicas=replicas)


def measured(sessions: int) -> dict[str, Any]:
    """One replay; what a smaller one compiles or loads is not counted."""
    fleet = fleet_of()
    cpu_seconds(workload_of(10), fleet)
    workload = workload_of(sessions)
    before_mb = peak_mb()
    cpu_s, outcome = cpu_seconds(workload, fleet)
    calls = outcome.calls
    middle = slice(calls.size // 4, 3 * calls.size // 4)
    wait_s = calls["started_s"][middle] - calls["queued_s"][middle]
    return {
        "sessions": sessions,
        "calls": int(calls.size),
        "refused": outcome.refused,
        "cpu_s": cpu_s,
        "before_mb": before_mb,
        "peak_mb": peak_mb(),
        "engine_steps": outcome.engine_steps,
        "segments": int(outcome.segments.size),
        "mean_wait_s": float(wait_s.mean()),
    }


def bytes_per_call(sessions: int) -> dict[str, Any]:
    """By array, largest first: of the workload, the simulation and its parts, and the outcome."""
    fleet, workload = fleet_of(), workload_of(sessions)
    limits, pools = fleet.limits()[0], pools_of(fleet)
    sim = prepare(workload, pool_rows(pools), limits.router, limits.queue_order, fleet.seed)
    segments = simulate(sim)
    if segments is None:
        raise RuntimeError("a pool of the kernel's memory was too small")
    outcome = conclude(sim, segments)
    held: dict[int, tuple[str, float]] = {}
    for name, array in _arrays("workload", workload):
        held[array.ctypes.data] = (name, resident_bytes(array) / outcome.calls.size)
    for part, whole in (("simulation", sim), ("memory", sim.memory), ("outcome", outcome)):
        for name, array in _arrays(part, whole):
            if array.nbytes:  # what was handed on is counted once
                held.setdefault(array.ctypes.data, (name, resident_bytes(array) / outcome.calls.size))
    ordered = sorted(held.values(), key=lambda pair: -pair[1])
    return {
        "calls": int(outcome.calls.size),
        "peak_bytes": peak_mb() * 2**20 / outcome.calls.size,
        "segments": segments.size / outcome.calls.size,
        "arrays": {name: round(size, 1) for name, size in ordered if size >= 0.1},
    }


def _arrays(part: str, whole: Sequence[Any]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name, value in whole._asdict().items():  # type: ignore[attr-defined]
        if hasattr(value, "ctypes"):
            yield f"{part}.{name}", value


def main() -> None:
    sessions = int(sys.argv[1])
    told = bytes_per_call(sessions) if sys.argv[2:] == ["arrays"] else measured(sessions)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
