"""Replay a workload on a fleet: the kernel between a scenario's coefficients and a timeline in ns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.analyzers.hardware import Replica, power_curve, step_cost
from tracekit.analyzers.kernels.jit import is_compiled
from tracekit.analyzers.kernels.layout import (
    NOBODY,
    FleetLimits,
    Outcome,
    PowerCurve,
    StepCost,
    StepKind,
    Workload,
)
from tracekit.analyzers.kernels.replay import advance, replay
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.timeline import Timeline
from tracekit.analyzers.workload import as_recorded


@dataclass(frozen=True)
class Replay:
    """One workload on one fleet, and what came of it."""

    fleet: Fleet
    replica: Replica
    limits: FleetLimits
    workload: Workload
    timeline: Timeline


def replay_on(workload: Workload, fleet: Fleet) -> Replay:
    """The workload replayed on the fleet.

    Raises
    ------
    UnknownName, ModelDoesNotFit : the fleet names what the catalog lacks, or what cannot be.
    """
    replica, limits = fleet.replica(), fleet.limits()
    outcome = replay(workload, step_cost(replica), power_curve(replica), limits)
    timeline = Timeline.of(
        outcome, limits.replicas, gpus_per_replica=fleet.tp, usd_per_gpu_hour=replica.gpu.usd_per_hour.typical
    )
    return Replay(fleet, replica, limits, workload, timeline)


def kernel_is_compiled() -> bool:
    """Whether the next replay starts at once; else numba compiles for some 25-50 s first."""
    return is_compiled(advance)


def compile_kernel() -> None:
    """Has the kernel compiled, or loaded, by replaying a workload of one call."""
    one = Workload(
        session_arrival_s=np.zeros(1),
        session_tail_s=np.zeros(1),
        session_step_start=np.array([0, 1]),
        kind=np.array([StepKind.CALL], np.int8),
        session=np.zeros(1, np.int64),
        input_tokens=np.ones(1, np.int64),
        output_tokens=np.ones(1, np.int64),
        duration_s=np.zeros(1),
        lag_s=np.zeros(1),
        parent_count=np.zeros(1, np.int64),
        child_start=np.zeros(2, np.int64),
        child_index=np.zeros(0, np.int64),
        prefix_parent=np.full(1, NOBODY, np.int64),
        prefix_tokens=np.zeros(1, np.int64),
    )
    replay_recorded(one)


def replay_recorded(workload: Workload) -> Outcome:
    """The workload with every call at its recorded length: starts come back as they were recorded."""
    nothing = StepCost(*(0.0,) * len(StepCost._fields))
    dark = PowerCurve(*(0.0,) * len(PowerCurve._fields))
    one = FleetLimits(1, 0, 1, 1, 1, 1, 1, 0)
    return replay(as_recorded(workload), nothing, dark, one)
