"""Runs of the demo at 2 and 8 sessions at once, from coefficients fitted at 1 and 4: `python -m benchmarks demo`.

llama.cpp serves the demo's agent on this machine; the slot engine replays what was recorded. The coefficients of a
step are those with which the replays of the runs at 1 and 4 come closest to their recorded calls.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from tracekit.analyzers.kernels.layout import (
    BLOCK_TOKENS,
    Batching,
    FleetLimits,
    Floats,
    PowerCurve,
    Router,
    StepCost,
    StepKind,
    Workload,
)
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.workload import compile_workload
from tracekit.demo.engine import Capacity
from tracekit.demo.serving import serving
from tracekit.trace import Trace

FITTED, JUDGED = (1, 4), (2, 8)
SESSIONS = 16
ASKED_E2E, ASKED_MAKESPAN = 0.10, 0.05
BATCH_TOKENS = 2048  # llama.cpp's n_batch
CAPACITY = Capacity()
NO_WATTS = PowerCurve(0.0, 0.0, 0.0)
GUESS = {
    "base_s": 1e-3,
    "prefill_token_s": 7e-4,
    "prefill_attention_s": 1e-8,
    "decode_s": 3e-3,
    "decode_context_s": 1e-7,
    "prompt_s": 5e-3,
}
"""About what llama.cpp itself reports of single calls."""


class Run(NamedTuple):
    """A recorded run: what was asked, and how long each of its c calls took."""

    workload: Workload
    e2e_s: Floats  # (c,)
    makespan_s: float


class Errors(NamedTuple):
    """Of a replay, as fractions of what was recorded."""

    e2e: float  # median over calls
    makespan: float


def print_demo(sessions: int = SESSIONS) -> None:
    """Records four runs, fits on two and prints the errors of all."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            concurrency: read_run(recorded(Path(folder), sessions, concurrency))
            for concurrency in (*FITTED, *JUDGED)
        }
    cost = fitted([runs[concurrency] for concurrency in FITTED])
    print("coefficients: " + ", ".join(f"{name} {getattr(cost, name):.3g}" for name in GUESS), flush=True)
    for concurrency, run in sorted(runs.items()):
        of = errors(run, cost)
        role = "fitted" if concurrency in FITTED else f"asked {ASKED_E2E:.0%} and {ASKED_MAKESPAN:.0%}"
        print(
            f"{concurrency} at once, {run.e2e_s.size} calls: e2e {of.e2e:.1%} (median), "
            f"makespan {of.makespan:+.1%} ({role}); equal calls differ by {noise(run):.1%}",
            flush=True,
        )


def recorded(folder: Path, sessions: int, concurrency: int) -> Path:
    """The trace of the demo's agent at that concurrency, on a server of its own."""
    trace = folder / f"{concurrency}.parquet"
    with serving() as base_url:
        agent = [sys.executable, "-m", "tracekit.demo.agent", "--base-url", base_url]
        agent += ["--sessions", str(sessions), "--concurrency", str(concurrency)]
        subprocess.run(
            [sys.executable, "-m", "tracekit", "record", "-o", str(trace), "--", *agent],
            check=True,
            capture_output=True,
        )
    return trace


def read_run(path: Path) -> Run:
    """The run in a trace."""
    compiled = compile_workload(Trace.open(path))
    workload = compiled.workload
    calls = workload.kind == StepKind.CALL
    e2e_s = workload.duration_s[calls]
    start_s = workload.session_arrival_s[workload.session] + compiled.start_s
    end_s = start_s + workload.duration_s
    return Run(workload, e2e_s, float(end_s.max() - start_s.min()))


def fitted(runs: list[Run]) -> StepCost:
    """The coefficients with the least mean of |log(replayed / recorded)| over calls, each run counting as much.

    By Nelder and Mead's simplex: a replay moves in jumps where its coefficients change a little.
    """

    def cost(logarithms: Floats) -> StepCost:
        return _cost(dict(zip(GUESS, np.exp(logarithms), strict=True)))

    def loss(logarithms: Floats) -> float:
        off = [np.log(_replayed(run, cost(logarithms))[0] / run.e2e_s) for run in runs]
        return float(sum(np.mean(np.abs(each)) for each in off))

    guess = np.log(list(GUESS.values()))
    return cost(minimize(loss, guess, method="Nelder-Mead", options={"xatol": 1e-2, "fatol": 1e-4}).x)


def noise(run: Run) -> float:
    """The median over calls that were made twice of half the difference by the mean: what no model can tell."""
    calls = np.flatnonzero(run.workload.kind == StepKind.CALL)
    alike: dict[tuple[int, int], list[float]] = {}
    for step, e2e_s in zip(calls, run.e2e_s, strict=True):
        tokens = int(run.workload.input_tokens[step]), int(run.workload.output_tokens[step])
        alike.setdefault(tokens, []).append(float(e2e_s))
    return float(np.median([np.ptp(each) / sum(each) for each in alike.values() if len(each) == 2]))


def errors(run: Run, cost: StepCost) -> Errors:
    """How far a replay with these coefficients is from the run."""
    e2e_s, makespan_s = _replayed(run, cost)
    return Errors(float(np.median(np.abs(e2e_s / run.e2e_s - 1))), makespan_s / run.makespan_s - 1)


def _replayed(run: Run, cost: StepCost) -> tuple[Floats, float]:
    calls = replay(run.workload, cost, NO_WATTS, _slots()).calls
    e2e_s: Floats = calls["end_s"] - calls["queued_s"]
    return e2e_s, float(calls["end_s"].max() - calls["queued_s"].min())


def _slots() -> FleetLimits:
    blocks = CAPACITY.slots * CAPACITY.slot_context // BLOCK_TOKENS
    return FleetLimits(
        1,
        int(Router.ROUND_ROBIN),
        CAPACITY.slots,
        BATCH_TOKENS,
        BLOCK_TOKENS,
        blocks,
        CAPACITY.slot_context,
        1,
        batching=int(Batching.SLOTS),
    )


def _cost(terms: dict[str, float]) -> StepCost:
    shares = {name: 0.0 for name in StepCost._fields if name.endswith("_share_s")}
    return StepCost(**shares, **terms)
