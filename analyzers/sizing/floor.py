"""What no GPU can shorten: sessions as long as their tools and waits alone."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.kernels.layout import StepKind, Workload
from tracekit.analyzers.replay import replay_recorded
from tracekit.analyzers.sizing.slo import Slo


def floor_s(workload: Workload, slo: Slo) -> float | None:
    """The recorded sessions' percentile with calls that take no time; None of an objective on calls."""
    if slo.metric != "session":
        return None
    is_call = workload.kind == StepKind.CALL
    instant = workload._replace(duration_s=np.where(is_call, 0.0, workload.duration_s))
    sessions = replay_recorded(instant).sessions
    return percentile(np.asarray(sessions["end_s"] - sessions["start_s"], np.float64), slo.percent)
