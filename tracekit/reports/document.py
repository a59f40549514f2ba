"""The one document that every format renders: a recording, its replays, assumptions and sources as JSON.

Keys follow the command line's contract; None is unknown. `SCHEMA_VERSION` rises when a key changes meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.distribution import Distribution
from tracekit.analyzers.hardware.calibration import Calibration
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.isolated import Isolated
from tracekit.analyzers.kernels.layout import Cause, FleetLimits, State, StepKind
from tracekit.analyzers.replay import Replay, usd_per_s
from tracekit.analyzers.scenario import Pool
from tracekit.analyzers.share import shares
from tracekit.analyzers.steady import steady_window
from tracekit.analyzers.timeline import BILLED, NS_PER_S
from tracekit.analyzers.workload import Compiled
from tracekit.units import J_PER_WH

SCHEMA_VERSION = 1
ANALYTIC = "analytic"
TIERS = (ANALYTIC, "calibrated", "measured")
"""The weakest first."""
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
        "error": _error_bands(replay),
        "timeline": None,
        "costliest_sessions": None,
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
        "session_s": _spread((end_ns - release_ns)[window.is_steady]),
        "unloaded_session_p95_s": unloaded_session_p95_s,
    }


def fleet_document(replay: Replay) -> Document:
    """The fleet as it was replayed: its first pool's settings, and all pools where there are several."""
    pools = [
        pool_document(pool, replica, limits)
        for pool, replica, limits in zip(replay.fleet.pools, replay.replicas, replay.limits, strict=True)
    ]
    routing = {
        "replicas": replay.fleet.replicas,
        "router": replay.fleet.router,
        "queue_order": replay.fleet.queue_order,
    }
    return pools[0] | routing | ({"pools": pools} if len(pools) > 1 else {})


def pool_document(pool: Pool, replica: Replica, limits: FleetLimits) -> Document:
    """One pool, its scheduler's limits and price included."""
    price = replica.gpu.price
    return {
        "gpu": replica.gpu.name,
        "model": replica.model.name,
        "engine": replica.engine.name,
        "tp": pool.tp,
        "replicas": pool.replicas,
        "role": pool.role,
        "calibration": pool.calibration,
        "batching": pool.batching,
        "min_replicas": pool.min_replicas,
        "max_num_seqs": limits.max_num_seqs,
        "max_num_batched_tokens": limits.max_num_batched_tokens,
        "max_model_len": limits.max_model_len,
        "kv_capacity_tokens": limits.kv_capacity_tokens,
        "kv_block_tokens": limits.block_size,
        "prefix_cache": bool(limits.enable_prefix_cache),
        "usd_per_gpu_hour": {
            "low": price.low,
            "typical": price.typical,
            "high": price.high,
            "date": price.date,
        },
    }


_SCHEDULERS = {
    "continuous": "scheduler: vLLM V1 (0.32), one step after the other; KV in blocks, preemption by recompute",
    "static": "scheduler: static batches: nobody joins one before it has ended as a whole; KV in blocks",
    "slots": "scheduler: llama.cpp's slots, an equal part of the memory and one text each",
}


def replay_assumptions(compiled: Compiled, replays: list[Replay], *, open_loop: bool = False) -> list[str]:
    """What the replays take for granted, a sentence each."""
    notes = [
        "tools and lags keep their recorded length: they belong to the recorded environment",
        *sorted({_SCHEDULERS[pool.batching] for replay in replays for pool in replay.fleet.pools}),
        _prefix_words(compiled, replays),
        *_host_memory_words(replays),
        "token counts are the recorded tokenizer's",
    ]
    if compiled.calls_without_tokens:
        notes.append(
            f"{compiled.calls_without_tokens} answered call(s) without token counts stay gaps of their recorded length"
        )
    if compiled.calls_estimated:
        notes.append(
            f"the tokens of {compiled.calls_estimated} of {compiled.calls} call(s) are estimated by bytes, not counted"
        )
    if compiled.embedding_calls:
        notes.append(
            f"{compiled.embedding_calls} embedding call(s), of another model, stay gaps of their recorded length"
        )
    if compiled.unanswered_calls:
        notes.append(f"{compiled.unanswered_calls} unanswered call(s) stay gaps of their recorded length")
    if compiled.dropped_attempts:
        notes.append(f"{compiled.dropped_attempts} failed attempt(s) and the back-off after them are dropped")
    if open_loop:
        notes.append(
            "open loop: every step is released at its recorded time, whatever the steps before it did"
        )
    else:
        notes.extend(_start_words(compiled))
    if compiled.zero_token_calls:
        notes.append(f"{compiled.zero_token_calls} call(s) of zero tokens in or out are computed as one of 1")
    if compiled.steps_without_end:
        notes.append(f"{compiled.steps_without_end} tool(s) or gap(s) without a recorded end take no time")
    if compiled.steps_without_session:
        notes.append(f"{compiled.steps_without_session} row(s) that belong to no session are left out")
    prices = {replica.gpu.name: replica.gpu.price for replay in replays for replica in replay.replicas}
    words = [
        f"{name} ${price.typical:g}/h ({price.kind}, {price.date})" for name, price in sorted(prices.items())
    ]
    return [*notes, f"prices: {'; '.join(words)}"]


def _host_memory_words(replays: list[Replay]) -> list[str]:
    told = {
        f"retention offload: copies of KV in {pool.offload_gb:g} GB of host memory a replica, "
        f"over {pool.offload_gb_s:g} GB/s a GPU and direction"
        for replay in replays
        for pool in replay.fleet.pools
        if pool.retention == "offload"
    }
    return sorted(told)


def _start_words(compiled: Compiled) -> Iterator[str]:
    """How steps start that did not simply follow another one."""
    if compiled.inner_starts:
        yield (
            f"{compiled.inner_starts} step(s) began before a step they wait for had ended; they start at the same "
            "output token of that call, or after the same part of that tool"
        )
    if compiled.early_starts:
        yield f"{compiled.early_starts} step(s) began before their session; they are moved to its start"


def replay_sources(replays: list[Replay], grid_code: str = catalog.DEFAULT_GRID) -> dict[str, str]:
    """Where the replays' numbers come from, with their error."""
    grid = catalog.grid(grid_code)
    return {
        "replayed time": _sources(replays[0], "step"),
        "replayed energy": f"scope gpu; {_sources(replays[0], 'power')}",
        "cost": "modelled: billed GPU time x the catalog's typical price",
        "carbon": f"modelled: energy x grid {grid.code} {grid.low:g}-{grid.high:g} g/kWh ({grid.source})",
    }


def replay_tier(replay: Replay) -> str:
    """The weakest tier of what its pools' steps take: measured, calibrated or analytic."""
    tiers = {ANALYTIC if found is None else found.tier for found in _calibrations(replay)}
    return next(tier for tier in TIERS if tier in tiers)


def _calibrations(replay: Replay) -> list[Calibration | None]:
    return [pool.calibrated() for pool in replay.fleet.pools]


def _sources(replay: Replay, part: str) -> str:
    """Where a replay's duration or power comes from, with its error; pools that share it say it once."""
    pools = zip(replay.fleet.pools, replay.replicas, _calibrations(replay), strict=True)
    return "; ".join(dict.fromkeys(_source(*pool, part) for pool in pools))


def _source(pool: Pool, replica: Replica, calibration: Calibration | None, part: str) -> str:
    noun, error = _analytic(replica, part)
    analytic = f"modelled, analytic tier ({replica.engine.name}); {noun} error {_band(error)}"
    if pool.calibration is None:
        return analytic
    correction = None if calibration is None else getattr(calibration, part)
    if calibration is None or correction is None:
        return f"{analytic}; {pool.calibration} has nothing for this model, GPU, engine and tp"
    told = f"{calibration.points} points of {calibration.source}, {calibration.date}"
    left = "unknown: too few batches" if correction.error is None else _band(correction.error)
    return f"modelled, {calibration.tier} tier ({told}); {noun} error {left}"


def _analytic(replica: Replica, part: str) -> tuple[str, catalog.ErrorBand]:
    if part == "step":
        return "ITL", replica.engine.itl_error[replica.model.kind]
    return "power", replica.engine.power_error[replica.model.kind]


def _band(error: catalog.ErrorBand) -> str:
    return f"{error.mape:.1%} mean, {error.median_ape:.1%} median ({error.on})"


def _prefix_words(compiled: Compiled, replays: list[Replay]) -> str:
    if not any(limits.enable_prefix_cache for replay in replays for limits in replay.limits):
        return "prefix cache: off"
    if not compiled.workload.prefix_tokens.any():
        return "prefix cache: modelled, but the trace holds no prefix identity, and that means no hits"
    known = int(np.count_nonzero(compiled.workload.prefix_tokens))
    words = (
        f"prefix cache: modelled (LRU by block); {known} of {compiled.calls} call(s) begin as an earlier one"
    )
    if any(replay.workload.prefix_parent is not compiled.workload.prefix_parent for replay in replays):
        words += (
            "; drawn sessions share with each other what the recorded ones had in common with other sessions"
        )
    return words


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


def _error_bands(replay: Replay) -> Document:
    """The largest of its pools: what calibration leaves, else the analytic error; None where one is unknown."""
    return {"itl": _worst_band(replay, "step"), "power": _worst_band(replay, "power")}


def _worst_band(replay: Replay, part: str) -> Document | None:
    bands = []
    for replica, calibration in zip(replay.replicas, _calibrations(replay), strict=True):
        correction = None if calibration is None else getattr(calibration, part)
        bands.append(_analytic(replica, part)[1] if correction is None else correction.error)
    if None in bands:
        return None
    worst = max(bands, key=lambda band: band.mape)
    return {"mape": worst.mape, "median_ape": worst.median_ape, "on": worst.on}


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
