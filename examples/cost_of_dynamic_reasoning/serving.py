"""The same requests on a machine that serves many at once: what nobody printed beside Table III."""

from __future__ import annotations

from math import sqrt

import numpy as np

from examples.cost_of_dynamic_reasoning.hardware import VLLM_2024, replay_by
from examples.cost_of_dynamic_reasoning.knee import TIMES, Load, session_p95_s
from examples.cost_of_dynamic_reasoning.workspace import Result
from tracekit.analyzers.kernels.layout import Workload
from tracekit.analyzers.release import poisson_release
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.timeline import Timeline
from tracekit.units import J_PER_WH

STEPS = 9
BUSIEST = 256.0
"""Times the rate of one request after the other."""


def batched(workload: Workload, fleet: Fleet, load: Load) -> Result:
    """Wh a session and GPU-seconds a session at the knee of one replica: p95 at most twice that of a light load."""
    seed = load.seeds[0]

    def at(qps: float) -> Timeline:
        return replay_by(poisson_release(workload, qps, load.sessions, seed)[0], fleet, VLLM_2024)

    light = at(1e-4)
    alone_s = float((light.session_end_ns - light.session_start_ns).mean()) / 1e9
    limit_s = TIMES * session_p95_s(light)
    low, high = 0.1 / alone_s, BUSIEST / alone_s
    for _step in range(STEPS):
        middle = sqrt(low * high)
        low, high = (middle, high) if session_p95_s(at(middle)) <= limit_s else (low, middle)
    busy = at(low)
    session_j = busy.total_j / load.sessions
    return {
        "qps": low,
        "alone_s": alone_s,
        "wh": session_j / J_PER_WH,
        "gpu_s": float(np.dot(busy.gpus, [busy.billed_ns])) / 1e9 / load.sessions,
        "sessions_at_once": float((busy.session_end_ns - busy.session_start_ns).sum()) / busy.horizon_ns,
    }
