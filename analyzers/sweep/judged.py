"""The points of a sweep by its objectives: which are on the front, and which cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Floats
from tracekit.analyzers.sweep.front import pareto_front
from tracekit.analyzers.sweep.objective import QUALITY, Objective
from tracekit.analyzers.sweep.sweep import Swept


def on_front(points: Sequence[Swept], objectives: Sequence[Objective]) -> Flags:
    """Which points are on the front, (n,).

    Traces are other work, so each has a front of its own, unless quality is asked for: then agents compete. A fleet
    that refused calls did less than was asked, and is not compared.
    """
    values = objective_values(points, objectives)
    signs = np.array([-1.0 if objective.is_maximised else 1.0 for objective in objectives])
    is_front = np.zeros(len(points), np.bool_)
    for chosen in _compared(points, objectives):
        is_front[chosen] = pareto_front(values[chosen] * signs)
    return is_front


def objective_values(points: Sequence[Swept], objectives: Sequence[Objective]) -> Floats:
    """Each point's value of each objective, (n, k); NaN where it is unknown, or calls were refused."""
    values = np.full((len(points), len(objectives)), np.nan)
    for place, one in enumerate(points):
        if one.figures is None or one.figures["calls_failed"]:
            continue
        for column, objective in enumerate(objectives):
            value = one.figures[objective.column]
            values[place, column] = np.nan if value is None else value
    return values


def _compared(points: Sequence[Swept], objectives: Sequence[Objective]) -> list[np.ndarray]:
    trace = np.array([one.trace for one in points], np.int64)
    if any(objective.name == QUALITY for objective in objectives):
        return [np.arange(len(points))]
    return [np.flatnonzero(trace == one) for one in np.unique(trace)]
