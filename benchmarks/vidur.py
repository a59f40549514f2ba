"""Vidur's own batches and times against this replica's: `python -m benchmarks vidur --fit FOLDER --judge FOLDER`.

docs/background-vidur.md says what is compared and what is configured.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.vidur_run import VidurRun, read_run
from tests.oracle.sarathi_batches import identical_batches
from tracekit.analyzers.batch_log import step_contents
from tracekit.analyzers.kernels.layout import (
    BLOCK_TOKENS,
    NOBODY,
    FleetLimits,
    Floats,
    PowerCurve,
    Router,
    Rows,
    StepCost,
    StepKind,
    Workload,
)
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.step_fit import TERMS, fit_step_cost, step_errors

Bools = npt.NDArray[np.bool_]

VIDUR_1K = Path(__file__).parents[2] / "shared" / "traces" / "vidur_1k"

CHUNK_TOKENS = 512
SEQUENCES = 512
AMPLE = 10**9
SARATHI = FleetLimits(1, int(Router.ROUND_ROBIN), SEQUENCES, CHUNK_TOKENS, BLOCK_TOKENS, AMPLE, AMPLE, 0)
NO_COST = StepCost(0.0, 0.0, 0.0, 0.0, 0.0, weight_share_s=1.0, kv_token_share_s=0.0,
                   token_compute_share_s=0.0, attention_compute_share_s=0.0)  # fmt: skip
NO_WATTS = PowerCurve(0.0, 0.0, 0.0)


class CallTimes(NamedTuple):
    """Seconds of n calls, each of shape (n,); no TPOT (nan) if a call has one token."""

    e2e_s: Floats
    tpot_s: Floats
    ttft_s: Floats


class RatioErrors(NamedTuple):
    """Of one time of all calls, as fractions."""

    mape: float
    mean: float  # mean / reference's mean - 1
    p99: float


def print_vidur(fit: Path, judge: Path) -> None:
    """Prints how the replica, with the coefficients of one folder's log, does on another folder's run."""
    try:
        learnt, judged = read_run(fit), read_run(judge)
    except FileNotFoundError as missing:
        print(f"vidur: not measured, {missing}", flush=True)
        return
    _print_batches(judge.name, judged)
    cost = fitted(learnt, 0, None)
    print(f"coefficients of {fit.name}: " + ", ".join(f"{term} {getattr(cost, term):.4g}" for term in TERMS))
    _print_steps(f"{judge.name} by {fit.name}", judged, cost)
    everybody = np.ones(judged.e2e_s.size, bool)
    _print_errors(f"{judge.name} by {fit.name}", errors(judged, cost, everybody))
    for half in halves(learnt):
        other = fitted(learnt, half.first_step, half.end_step)
        _print_errors(f"{fit.name}, the calls of {half.name}", errors(learnt, other, half.others))


# --- coefficients ---


def fitted(run: VidurRun, first_step: int, end_step: int | None) -> StepCost:
    """The coefficients that some of a run's steps give.

    Raises
    ------
    FileNotFoundError : the run has no log.
    """
    if run.log is None:
        raise FileNotFoundError("the run to fit has no vidur_batches_*.chrome_trace.json")
    contents = step_contents(run.log, run.prompt_tokens).between(first_step, end_step)
    return fit_step_cost(contents, run.log.duration_s[first_step:end_step], NO_COST).cost


class Half(NamedTuple):
    """Steps to fit, and the calls that arrived in the other half."""

    name: str
    first_step: int
    end_step: int | None
    others: Bools


def halves(run: VidurRun) -> Iterator[Half]:
    """The run cut at its middle arrival: each half's steps, with the other half's calls."""
    if run.log is not None:
        middle_s = run.arrival_s[run.arrival_s.size // 2]
        cut = int(np.searchsorted(run.log.start_s, middle_s))
        is_late = run.arrival_s >= middle_s
        yield Half("the second half by the first", 0, cut, is_late)
        yield Half("the first half by the second", cut, None, ~is_late)


# --- replay ---


def replayed(run: VidurRun, cost: StepCost) -> Rows:
    """The calls of the run, replayed with their own arrivals; CALL_ROW, in the run's order."""
    n = run.arrival_s.size
    none = np.zeros(n, np.int64)
    workload = Workload(
        session_arrival_s=run.arrival_s,
        session_tail_s=np.zeros(n),
        session_step_start=np.arange(n + 1),
        kind=np.full(n, StepKind.CALL, np.int8),
        session=np.arange(n),
        input_tokens=run.prompt_tokens,
        output_tokens=run.output_tokens,
        duration_s=np.zeros(n),
        lag_s=np.zeros(n),
        parent_count=none,
        child_start=np.zeros(n + 1, np.int64),
        child_index=np.zeros(0, np.int64),
        prefix_parent=np.full(n, NOBODY),
        prefix_tokens=none,
    )
    return replay(workload, cost, NO_WATTS, SARATHI).calls


def call_times(run: VidurRun, cost: StepCost) -> CallTimes:
    """What the replay says of each call."""
    calls = replayed(run, cost)
    after_first_s = calls["end_s"] - calls["first_token_s"]
    gaps = np.where(run.output_tokens > 1, run.output_tokens - 1.0, np.nan)
    return CallTimes(
        calls["end_s"] - run.arrival_s, after_first_s / gaps, calls["first_token_s"] - run.arrival_s
    )


def errors(run: VidurRun, cost: StepCost, among: Bools) -> dict[str, RatioErrors]:
    """The replay's errors among some of the calls, by what is timed; calls of one token have no TPOT."""
    ours = call_times(run, cost)
    theirs = CallTimes(run.e2e_s, run.tpot_s, run.ttft_s)
    return {
        name: ratio_errors(mine[among & ~np.isnan(mine)], reference[among & ~np.isnan(mine)])
        for name, mine, reference in zip(("e2e", "TPOT", "TTFT"), ours, theirs, strict=True)
    }


def ratio_errors(ours: Floats, theirs: Floats) -> RatioErrors:
    """Errors of a time of n calls, call by call, of its mean and of its 99th percentile."""
    p99_s, p99_reference_s = np.percentile(ours, 99), np.percentile(theirs, 99)
    return RatioErrors(
        float(np.abs(ours / theirs - 1.0).mean()),
        float(ours.mean() / theirs.mean() - 1.0),
        float(p99_s / p99_reference_s - 1.0),
    )


# --- lines ---


def _print_batches(name: str, run: VidurRun) -> None:
    if run.log is None:
        print(f"batches of {name}: not measured, it has no log", flush=True)
        return
    same = identical_batches(
        run.arrival_s, run.prompt_tokens, run.output_tokens, run.log, CHUNK_TOKENS, SEQUENCES
    )
    print(f"batches of {name}: {same:,} of {run.log.start_s.size:,} identical", flush=True)


def _print_steps(name: str, run: VidurRun, cost: StepCost) -> None:
    if run.log is not None:
        contents = step_contents(run.log, run.prompt_tokens)
        mape, total = step_errors(cost, contents, run.log.duration_s)
        print(f"steps of {name}: MAPE {mape:.2%}, total time {total:+.2%}", flush=True)


def _print_errors(name: str, errors: dict[str, RatioErrors]) -> None:
    for time, (mape, mean, p99) in errors.items():
        print(f"{time} of {name}: MAPE {mape:.2%}, mean {mean:+.2%}, p99 {p99:+.2%}", flush=True)
