"""One replay of a sweep as one flat row of numbers: a pure function of its task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.distribution import PERCENTILES
from tracekit.analyzers.kernels.layout import Floats, State, Workload
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.sweep.task import Released, Task
from tracekit.analyzers.timeline import BILLED, NS_PER_S, Timeline
from tracekit.analyzers.what_if.changed import Changed, changed

Figures = dict[str, float | int | None]
"""By column, units in their names; None is unknown."""
LATENCIES = ("session", "e2e", "ttft", "tpot", "queue")
STATISTICS = ("mean", *(f"p{percent}" for percent in PERCENTILES))


def figures_of_all(released: Sequence[Released], tasks: Sequence[Task]) -> list[Figures]:
    """The figures of each task, in their order; what a worker is sent to do.

    Tasks that follow each other with the same changes to the same sessions have them made once.
    """
    told: list[Figures] = []
    before: tuple[object, ...] | None = None
    for task in tasks:
        sessions = released[task.released]
        wanted = (task.released, task.changes, task.seed)
        if wanted != before:
            before, made = wanted, changed(sessions.workload, task.changes, task.seed)
        told.append(figures_of(sessions, task, made))
    return told


def figures_of(released: Released, task: Task, told: Changed) -> Figures:
    """What one replay of the changed sessions comes to; `score` is of them as they were recorded."""
    limits = task.pools[0].limits
    outcome = replay_pools(told.workload, task.pools, limits.router, limits.queue_order, task.fleet_seed)
    timeline = Timeline.of(outcome, task.gpus)
    served = outcome.calls["replica"] >= 0
    sessions = int(outcome.sessions.size)
    gpu_s = timeline.gpu_s
    billed_s = sum(gpu_s[state] for state in BILLED)
    return {
        "calls": int(np.count_nonzero(served)),
        "calls_failed": int(outcome.refused),
        "sessions": sessions,
        "makespan_s": timeline.horizon_ns / NS_PER_S,
        **_latencies(told.workload, timeline, served),
        "cost_usd": timeline.total_usd,
        "cost_per_session_usd": timeline.total_usd / sessions,
        "energy_j": timeline.total_j,
        "energy_per_session_j": timeline.total_j / sessions,
        "gpus": int(outcome.pools["replicas"].astype(np.int64) @ timeline.gpus),
        "gpu_billed_s": billed_s,
        "gpu_idle_fraction": gpu_s[State.IDLE] / billed_s if billed_s else None,
        "prefix_hit_fraction": _hit_fraction(told.workload, timeline, task, served),
        "preemptions": int(outcome.calls["preemptions"].sum()),
        "kv_peak_fraction": float(outcome.kv_peak_fraction),
        "sessions_cut": int(told.sessions_cut),
        "wasted_tool_s": _wasted_tool_s(told),
        "score": _mean(released.score[~np.isnan(released.score)]),
        "sessions_scored": int(np.count_nonzero(~np.isnan(released.score))),
    }


def _latencies(workload: Workload, timeline: Timeline, served: Flags) -> Figures:
    queued_ns, first_ns = timeline.call_queued_ns[served], timeline.call_first_token_ns[served]
    end_ns = timeline.call_end_ns[served]
    tokens = workload.output_tokens[timeline.outcome.calls["step"][served]]
    long = tokens >= 2
    values_ns: dict[str, npt.NDArray[np.float64 | np.int64]] = {
        "session": timeline.session_end_ns - timeline.session_start_ns,
        "e2e": end_ns - queued_ns,
        "ttft": first_ns - queued_ns,
        "tpot": (end_ns - first_ns)[long] / (tokens[long] - 1),
        "queue": timeline.call_started_ns[served] - queued_ns,
    }
    told: Figures = {}
    for name in LATENCIES:
        told |= _spread(name, np.asarray(values_ns[name] / NS_PER_S, np.float64))
    return told


def _spread(name: str, values_s: Floats) -> Figures:
    """Mean and percentiles, by numpy's inverted_cdf as everywhere."""
    columns = [f"{name}_{statistic}_s" for statistic in STATISTICS]
    if not len(values_s):
        return dict.fromkeys(columns)
    found = np.percentile(values_s, PERCENTILES, method="inverted_cdf").tolist()
    return dict(zip(columns, [float(np.mean(values_s)), *found], strict=True))


def _hit_fraction(workload: Workload, timeline: Timeline, task: Task, served: Flags) -> float | None:
    """Of all input tokens; None where nothing could be found, for want of prefix identity or of a cache."""
    calls = timeline.outcome.calls[served]
    computed = int(np.maximum(1, workload.input_tokens[calls["step"]]).sum())
    has_cache = any(pool.limits.enable_prefix_cache for pool in task.pools)
    if not has_cache or not workload.prefix_tokens.any() or not computed:
        return None
    return float(calls["cached_tokens"].sum() / computed)


def _wasted_tool_s(told: Changed) -> float | None:
    """How long tools ran that were guessed wrong; None where none is guessed."""
    return None if told.is_miss is None else float(told.workload.duration_s[told.is_miss].sum())


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
