"""KV memory in use under a light load, with and without a prefix cache: what Fig 12 shows."""

from __future__ import annotations

import numpy as np

from examples.cost_of_dynamic_reasoning.hardware import SMALL, VLLM_2024
from examples.cost_of_dynamic_reasoning.knee import Load, loaded
from examples.cost_of_dynamic_reasoning.workspace import Result
from tracekit.analyzers.kernels.layout import Workload

BYTES_PER_GB = 1e9


def kv_in_use(workload: Workload, qps: float, load: Load) -> Result:
    """GB that running calls hold, mean over time and the most, means over seeds; by `cached` and `uncached`."""
    return {how: _gb(workload, qps, how == "cached", load) for how in ("cached", "uncached")}


def _gb(workload: Workload, qps: float, cached: bool, load: Load) -> dict[str, float]:
    gb_per_token = SMALL.pools[0].replica().model.kv_bytes_per_token / BYTES_PER_GB
    outcomes = [loaded(workload, qps, cached, VLLM_2024, load.sessions, seed).outcome for seed in load.seeds]
    mean = np.mean([outcome.kv_token_s / outcome.horizon_s for outcome in outcomes])
    most = np.mean([outcome.kv_peak_tokens for outcome in outcomes])
    return {"avg": float(mean) * gb_per_token, "max": float(most) * gb_per_token}
