"""What a session of a workload is on average, so that two recordings can be held side by side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import StepKind, Workload


class Shape(NamedTuple):
    """Means over the sessions; tools that run at once count each."""

    sessions: int
    calls: float
    input_tokens: float
    output_tokens: float
    tool_s: float


def shape_of(workload: Workload) -> Shape:
    """The shape of a workload's sessions."""
    sessions = len(workload.session_arrival_s)
    is_tool = workload.kind == StepKind.TOOL
    return Shape(
        sessions=sessions,
        calls=np.count_nonzero(workload.kind == StepKind.CALL) / sessions,
        input_tokens=float(workload.input_tokens.sum(dtype=np.int64)) / sessions,
        output_tokens=float(workload.output_tokens.sum(dtype=np.int64)) / sessions,
        tool_s=float(workload.duration_s[is_tool].sum()) / sessions,
    )


def recorded_rate_per_s(workload: Workload) -> float | None:
    """Sessions a second from the first arrival to the last; None where all arrive at once."""
    span_s = float(workload.session_arrival_s[-1])
    return (len(workload.session_arrival_s) - 1) / span_s if span_s > 0 else None
