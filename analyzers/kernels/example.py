"""The smallest replay: its arrays are of the types that every replay's are."""

from typing import Any

import numpy as np

from tracekit.analyzers.kernels.branches import LIFT, texts_of, tree_of
from tracekit.analyzers.kernels.layout import (
    NOBODY,
    SEGMENT_ROW,
    FleetLimits,
    Pool,
    PowerCurve,
    StepCost,
    StepKind,
    Workload,
)
from tracekit.analyzers.kernels.prepare import pool_rows, prepare
from tracekit.analyzers.kernels.replay import INSTANTS
from tracekit.analyzers.kernels.simulation import zeros

NO_COST = StepCost(*(0.0,) * len(StepCost._fields))
DARK = PowerCurve(*(0.0,) * len(PowerCurve._fields))
ONE_REPLICA = FleetLimits(1, 0, 1, 1, 1, 1, 1, 0)


def one_call() -> Workload:
    return Workload(
        session_arrival_s=np.zeros(1),
        session_tail_s=np.zeros(1),
        session_step_start=np.array([0, 1]),
        kind=np.array([StepKind.CALL], np.int8),
        session=np.zeros(1, np.int32),
        input_tokens=np.ones(1, np.int32),
        output_tokens=np.ones(1, np.int32),
        duration_s=np.zeros(1),
        lag_s=np.zeros(1),
        parent_count=np.zeros(1, np.int32),
        child_start=np.zeros(2, np.int32),
        child_index=np.zeros(0, np.int32),
        prefix_parent=np.full(1, NOBODY, np.int32),
        prefix_tokens=np.zeros(1, np.int32),
    )


def entry_arguments() -> dict[str, tuple[Any, ...]]:
    """Return, by name, what each entry could be called with."""
    one = np.ones(1, np.int64)
    sim = prepare(one_call(), pool_rows([Pool(NO_COST, DARK, ONE_REPLICA)]), 0, 0, 0)
    texts = texts_of(np.full(1, NOBODY, np.int32), np.zeros(1, np.int32), one, 1)
    return {
        "advance": (sim, zeros(64, SEGMENT_ROW), INSTANTS),
        "lay_out": (texts,),
        "put_in_place": (zeros(1, SEGMENT_ROW), one - one, np.zeros(1, np.int32), zeros(1, SEGMENT_ROW)),
        "lift_calls": (texts.parent, np.zeros(1, np.int32), one - one, zeros(1, LIFT)),
        "join_stretches": (tree_of(texts, 1),),
    }
