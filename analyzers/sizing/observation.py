"""What one replay says of a fleet: its percentiles, whether it keeps up, watts, dollars and idleness."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.kernels.layout import Cause, Floats, Outcome, State, Workload
from tracekit.analyzers.sizing.slo import Slo
from tracekit.analyzers.steady import SteadyWindow, steady_window
from tracekit.analyzers.timeline import BILLED

CAUSES = tuple(cause for cause in Cause if cause != Cause.NONE)
BILLED_STATES = np.array([int(state) for state in BILLED])


class Observation(NamedTuple):
    """One replay's steady window. Rates are per second of it; shares are of the GPU time paid for."""

    slo_s: tuple[float, ...]  # what each objective limits; infinity where nothing could be served
    unstable: bool
    steady: int  # sessions
    session_s: float  # mean
    watts: float  # of all GPUs
    usd_per_s: float
    gpus: float  # mean number paid for
    calls_in_flight: float  # mean
    state_share: tuple[float, ...]  # by State
    cause_share: tuple[float, ...]  # by CAUSES
    refused: int  # calls
    preemptions: int
    cached_share: float  # of the input tokens

    def meets(self, slos: tuple[Slo, ...]) -> bool:
        """Whether it keeps up and every objective holds."""
        return not self.unstable and all(self.met(slos))

    def met(self, slos: tuple[Slo, ...]) -> tuple[bool, ...]:
        """Which objectives hold."""
        return tuple(value < slo.limit_s for value, slo in zip(self.slo_s, slos, strict=True))


def steady(outcome: Outcome, alone_p95_s: float) -> SteadyWindow:
    """The steady window of a replay at one rate."""
    sessions = outcome.sessions
    return steady_window(sessions["start_s"], sessions["end_s"], outcome.horizon_s, alone_p95_s)


def observe(
    workload: Workload, outcome: Outcome, gpus: tuple[int, ...], window: SteadyWindow, slos: tuple[Slo, ...]
) -> Observation:
    """What the replay says of that window; `gpus` is of one replica of each pool, in the outcome's order."""
    sessions = outcome.sessions
    calls = outcome.calls[window.is_steady[outcome.calls["session"]] & (outcome.calls["replica"] >= 0)]
    session_s = (sessions["end_s"] - sessions["start_s"])[window.is_steady]
    use = _use(outcome, gpus, window)
    input_tokens = int(workload.input_tokens[calls["step"]].sum())
    return Observation(
        slo_s=tuple(_value(slo, workload, calls, session_s) for slo in slos),
        unstable=window.unstable is not False,
        steady=int(np.count_nonzero(window.is_steady)),
        session_s=float(session_s.mean()) if len(session_s) else float("inf"),
        watts=use.watts,
        usd_per_s=use.usd_per_s,
        gpus=use.gpus,
        calls_in_flight=_in_flight(outcome.calls, window),
        state_share=use.state_share,
        cause_share=use.cause_share,
        refused=int(outcome.refused),
        preemptions=int(calls["preemptions"].sum()),
        cached_share=float(calls["cached_tokens"].sum()) / input_tokens if input_tokens else 0.0,
    )


def _value(slo: Slo, workload: Workload, calls: np.ndarray, session_s: Floats) -> float:
    values = _values(slo.metric, workload, calls, session_s)
    return percentile(values, slo.percent) if len(values) else float("inf")


def _values(metric: str, workload: Workload, calls: np.ndarray, session_s: Floats) -> Floats:
    if metric == "session":
        return session_s
    if metric == "ttft":
        return np.asarray(calls["first_token_s"] - calls["queued_s"], np.float64)
    if metric == "e2e":
        return np.asarray(calls["end_s"] - calls["queued_s"], np.float64)
    output = workload.output_tokens[calls["step"]]
    several: Flags = output >= 2
    return np.asarray((calls["end_s"] - calls["first_token_s"])[several] / (output[several] - 1), np.float64)


def _in_flight(calls: np.ndarray, window: SteadyWindow) -> float:
    """Mean number of calls that are asked and not answered."""
    inside_s = np.minimum(calls["end_s"], window.end_s) - np.maximum(calls["queued_s"], window.start_s)
    return float(np.maximum(inside_s, 0.0).sum()) / max(window.end_s - window.start_s, 1e-12)


class _Use(NamedTuple):
    watts: float
    usd_per_s: float
    gpus: float
    state_share: tuple[float, ...]
    cause_share: tuple[float, ...]


def _use(outcome: Outcome, gpus: tuple[int, ...], window: SteadyWindow) -> _Use:
    """What the replicas did, drew and cost in the window; a segment across its edge counts in proportion."""
    segments, pools = outcome.segments, outcome.pools
    length_s = segments["end_s"] - segments["start_s"]
    inside_s = np.minimum(segments["end_s"], window.end_s) - np.maximum(segments["start_s"], window.start_s)
    inside_s = np.maximum(inside_s, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(length_s > 0, inside_s / length_s, 0.0)
    pool = np.searchsorted(np.cumsum(pools["replicas"]), segments["replica"], side="right")
    gpu_s = inside_s * np.asarray(gpus)[pool]
    by_state = np.bincount(segments["state"], gpu_s, minlength=len(State))
    is_idle = segments["cause"] >= 0
    by_cause = np.bincount(segments["cause"][is_idle], gpu_s[is_idle], minlength=len(CAUSES))
    is_billed = segments["state"] != State.OFF
    window_s = max(window.end_s - window.start_s, 1e-12)
    billed_s = float(by_state[BILLED_STATES].sum())
    whole = max(billed_s, 1e-12)
    return _Use(
        watts=float((segments["energy_j"] * share).sum()) / window_s,
        usd_per_s=float((inside_s * pools["usd_per_s"][pool])[is_billed].sum()) / window_s,
        gpus=billed_s / window_s,
        state_share=tuple((by_state / whole).tolist()),
        cause_share=tuple((by_cause[: len(CAUSES)] / whole).tolist()),
    )
