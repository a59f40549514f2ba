"""The one document that every format renders: a recording, its replays, assumptions and sources as JSON.

Keys follow the command line's contract; None is unknown. `SCHEMA_VERSION` rises when a key changes meaning.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.distribution import Distribution
from tracekit.analyzers.isolated import Isolated
from tracekit.analyzers.kernels.layout import Cause, State, StepKind
from tracekit.analyzers.replay import Replay, usd_per_s
from tracekit.analyzers.share import shares
from tracekit.analyzers.steady import steady_window
from tracekit.analyzers.timeline import BILLED, NS_PER_S
from tracekit.reports.fleet_document import fleet_document
from tracekit.reports.replay_sources import error_bands, replay_tier
from tracekit.units import J_PER_WH

SCHEMA_VERSION = 1
Document = dict[str, Any]


def to_json(document: Document) -> str:
    """The JSON text that `--json` prints."""
    return json.dumps(document, indent=2, allow_nan=False)


def replay_document(
    replay: Replay, isolated: Isolated | None, grid_code: str = catalog.DEFAULT_GRID
) -> Document:
    """One replay; `isolated` is what each session takes alone, or None if it was not asked for."""
    timeline, outcome = replay.timeline, replay.timeline.outcome
    served = outcome.calls["replica"] >= 0
    queued_ns, end_ns = timeline.call_queued_ns[served], timeline.call_end_ns[served]
    output_tokens = replay.output_tokens[served]
    session_ns = timeline.session_end_ns - timeline.session_start_ns
    sessions = len(session_ns)
    return {
        "fleet": fleet_document(replay),
        "assumed": list(replay.fleet.assumed),
        "calls": int(np.count_nonzero(served)),
        "calls_failed": outcome.refused,
        "sessions": sessions,
        "makespan_s": timeline.horizon_ns / NS_PER_S,
        "ttft_s": _spread(timeline.call_first_token_ns[served] - queued_ns),
        "tpot_s": _tpot(end_ns - timeline.call_first_token_ns[served], output_tokens),
        "e2e_s": _spread(end_ns - queued_ns),
        "queue_s": _spread(timeline.call_started_ns[served] - queued_ns),
        "session_s": _spread(session_ns),
        "share": _replayed_share(replay),
        "tokens": {
            "input": int(replay.input_tokens[served].sum()),
            "output": int(output_tokens.sum()),
            "cached": int(outcome.calls["cached_tokens"][served].sum()),
            "by_class": None,
        },
        "gpu_s": _gpu_seconds(replay),
        "idle_s": _by_cause(timeline.idle_gpu_s),
        "energy_j": {
            "scope": "gpu",
            "total": timeline.total_j,
            "by_phase": _by_state(timeline.state_j),
            "by_cause": _by_cause(timeline.idle_j),
            "per_session": timeline.total_j / sessions,
            "isolated_per_session": None if isolated is None else float(isolated.energy_j.mean()),
        },
        "cost_usd": {
            "total": timeline.total_usd,
            "per_session": timeline.total_usd / sessions,
            "isolated_per_session": None
            if isolated is None
            else float(isolated.seconds.mean()) * usd_per_s(replay.replica),
            "api_equivalent": None,
        },
        "carbon_g": _carbon(timeline.total_j, grid_code),
        "prefix_hit_fraction": _prefix_hit_fraction(replay, served),
        "preemptions": int(outcome.calls["preemptions"].sum()),
        "kv_fraction": _kv_fraction(replay),
        "engine_steps": outcome.engine_steps,
        "tier": replay_tier(replay),
        "error": error_bands(replay),
        "timeline": None,
        "costliest_sessions": None,
        "what_if": None,
        "savings": None,
    }


def steady_document(replay: Replay, unloaded_session_p95_s: float) -> Document:
    """What a replay's steady window holds, and the p95 of its sessions alone, which the window opens after."""
    timeline = replay.timeline
    release_ns, end_ns = timeline.session_start_ns, timeline.session_end_ns
    window = steady_window(
        release_ns / NS_PER_S, end_ns / NS_PER_S, timeline.horizon_ns / NS_PER_S, unloaded_session_p95_s
    )
    return {
        "start_s": window.start_s,
        "end_s": window.end_s,
        "sessions": int(np.count_nonzero(window.is_steady)),
        "unstable": window.unstable,
        "may_be_chance": window.may_be_chance,
        "session_s": _spread((end_ns - release_ns)[window.is_steady]),
        "unloaded_session_p95_s": unloaded_session_p95_s,
    }


def _prefix_hit_fraction(replay: Replay, served: np.ndarray) -> float | None:
    """Of all input tokens; None where nothing could be found, for want of prefix identity or of a cache."""
    calls = replay.timeline.outcome.calls[served]
    computed = int(np.maximum(1, replay.input_tokens[served]).sum())
    if (
        not any(limits.enable_prefix_cache for limits in replay.limits)
        or not replay.workload.prefix_tokens.any()
        or not computed
    ):
        return None
    return float(calls["cached_tokens"].sum() / computed)


def _spread(values_ns: np.ndarray) -> Document | None:
    spread = Distribution.of(values_ns / NS_PER_S)
    return spread.to_json() if spread else None


def _tpot(decode_ns: np.ndarray, output_tokens: np.ndarray) -> Document | None:
    long = output_tokens >= 2
    spread = Distribution.of(decode_ns[long] / (output_tokens[long] - 1) / NS_PER_S)
    return spread.to_json() if spread else None


def _replayed_share(replay: Replay) -> dict[str, float | None]:
    timeline, workload = replay.timeline, replay.workload
    steps = workload.kind != StepKind.GAP
    return shares(
        workload.session[steps],
        (workload.kind[steps] == StepKind.TOOL).astype(np.int64),
        timeline.step_start_ns[steps],
        timeline.step_end_ns[steps],
        timeline.session_start_ns,
        timeline.session_end_ns,
    ).totals()


def _gpu_seconds(replay: Replay) -> dict[str, float]:
    seconds = {state.name.lower(): value for state, value in replay.timeline.gpu_s.items()}
    return {"billed": sum(replay.timeline.gpu_s[state] for state in BILLED)} | seconds


def _by_state(values: dict[State, float]) -> dict[str, float]:
    return {state.name.lower(): value for state, value in values.items() if state is not State.OFF}


def _by_cause(values: dict[Cause, float]) -> dict[str, float]:
    return {cause.name.lower(): value for cause, value in values.items()}


def _carbon(energy_j: float, grid_code: str) -> Document:
    grid, kwh = catalog.grid(grid_code), energy_j / J_PER_WH / 1000
    return {"low": kwh * grid.low, "high": kwh * grid.high, "grid": grid.code, "scope": "gpu"}


def _kv_fraction(replay: Replay) -> dict[str, float | None]:
    """Of the memory of all replicas on average, and the most of any one's."""
    outcome = replay.timeline.outcome
    capacity = sum(limits.replicas * limits.kv_capacity_tokens for limits in replay.limits)
    room_s = capacity * outcome.horizon_s
    return {
        "mean": outcome.kv_token_s / room_s if room_s else None,
        "max": outcome.kv_peak_fraction,
    }
