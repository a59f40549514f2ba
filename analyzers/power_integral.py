"""Joules by integrating readings of power, and how far off they may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LONGEST_GAP_S = 3.0
CONFIDENCE = 1.96
"""Standard deviations: 95 of 100 of independent errors are smaller."""
AVERAGE_S = 1.0
"""What the average readings of drivers are the average of."""


@dataclass(frozen=True)
class Integrated:
    """Watts over time by trapezoids; `error_j` is what the time between readings may hide, 95 times of 100."""

    joules: float
    error_j: float
    seconds: float


def integrated(
    time_s: Floats, watts: Floats, update_s: float | None, *, is_average: bool = False
) -> Integrated | None:
    """The integral; None for fewer than two readings, or a gap of more than 3 s, of which nothing is known.

    Parameters
    ----------
    time_s, watts : the readings, shape (n,), in time order.
    update_s : their update period; None: as the readings show it.
    is_average : whether a reading is the mean of the last second, not of some milliseconds.

    A reading stands for its period, of which the driver may have looked at a quarter: how much two of them in a
    row differ says how much one may miss. A reading is late by up to a period, which shifts the integral by the
    difference of its two ends. A load in step with the driver's looks is not in the error: the counter may tell it.
    """
    if len(time_s) < 2 or np.diff(time_s).max() > LONGEST_GAP_S:
        return None
    period_s = max(update_s or _shown(time_s, watts), float(np.median(np.diff(time_s))))
    late_s = period_s + (AVERAGE_S if is_average else 0.0)
    updates = _one_each(time_s, period_s)
    steps_w, lengths_s = np.diff(watts[updates]), np.diff(time_s[updates])
    hidden_j = float(np.sqrt(np.sum((steps_w * lengths_s) ** 2) / 2))
    edges_w = _span(watts[time_s <= time_s[0] + late_s]) + _span(watts[time_s >= time_s[-1] - late_s])
    shifted_j = late_s * (abs(float(watts[-1] - watts[0])) + edges_w)
    return Integrated(
        joules=float(np.trapezoid(watts, time_s)),
        error_j=CONFIDENCE * hidden_j + shifted_j,
        seconds=float(time_s[-1] - time_s[0]),
    )


def _shown(time_s: Floats, watts: Floats) -> float:
    """The median time between two readings that differ; 0 if they hardly do."""
    changes_s = time_s[1:][np.diff(watts) != 0]
    return float(np.median(np.diff(changes_s))) if len(changes_s) > 2 else 0.0


def _one_each(time_s: Floats, period_s: float) -> NDArray[np.int64]:
    """The first reading of each period, and the last of all."""
    period = np.floor((time_s - time_s[0]) / period_s + 1e-9)
    first = np.r_[True, np.diff(period) > 0]
    first[-1] = True
    return np.flatnonzero(first)


def _span(watts: Floats) -> float:
    return float(watts.max() - watts.min()) if len(watts) else 0.0
