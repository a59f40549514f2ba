"""Small workloads to size fleets for."""

import numpy as np

from tracekit.analyzers.kernels.layout import NOBODY, StepKind, Workload


def agents(sessions=40, seed=3):
    """Sessions of call, tool, call, of lengths that differ; prompts begin with the call before."""
    random = np.random.default_rng(seed)
    steps = 3 * sessions
    kind = np.tile([StepKind.CALL, StepKind.TOOL, StepKind.CALL], sessions).astype(np.int8)
    is_call = kind == StepKind.CALL
    first = np.arange(steps) % 3 == 0
    last = np.arange(steps) % 3 == 2
    inputs = np.where(first, random.integers(200, 2000, steps), random.integers(3000, 4000, steps))
    shared = np.where(last, np.roll(inputs, 2), 0)
    return Workload(
        session_arrival_s=np.arange(sessions, dtype=np.float64),
        session_tail_s=np.zeros(sessions),
        session_step_start=np.arange(0, steps + 1, 3, dtype=np.int64),
        kind=kind,
        session=np.repeat(np.arange(sessions), 3).astype(np.int32),
        input_tokens=np.where(is_call, inputs, 0).astype(np.int32),
        output_tokens=np.where(is_call, random.integers(20, 200, steps), 0).astype(np.int32),
        duration_s=np.where(is_call, 0.0, random.exponential(1.0, steps)),
        lag_s=np.zeros(steps),
        parent_count=(~first).astype(np.int32),
        child_start=np.concatenate([[0], np.cumsum(~last)]).astype(np.int32),
        child_index=np.flatnonzero(~first).astype(np.int32),
        prefix_parent=np.where(last, np.arange(steps) - 2, NOBODY).astype(np.int32),
        prefix_tokens=shared.astype(np.int32),
    )
