"""Sessions without their longest waits: agents that people leave overnight are not worth replaying in full."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import StepKind, Workload


class Shortened(NamedTuple):
    """The workload with no wait longer than allowed, and how many were."""

    workload: Workload
    waits: int


def without_long_waits(workload: Workload, longest_s: float) -> Shortened:
    """Tools, gaps and lags cut to `longest_s`; calls, and how many there are, stay.

    The load that calls make stays the same, sessions get shorter, and caches see them again sooner.
    """
    is_wait = workload.kind != StepKind.CALL
    duration_s = np.where(is_wait, np.minimum(workload.duration_s, longest_s), workload.duration_s)
    lag_s = np.minimum(workload.lag_s, longest_s)
    tail_s = np.minimum(workload.session_tail_s, longest_s)
    cut = np.count_nonzero(duration_s != workload.duration_s) + np.count_nonzero(lag_s != workload.lag_s)
    cut += np.count_nonzero(tail_s != workload.session_tail_s)
    told = workload._replace(duration_s=duration_s, lag_s=lag_s, session_tail_s=tail_s)
    return Shortened(told, int(cut))
