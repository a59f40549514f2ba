"""Figures of several seeds: their mean, and an interval for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from tracekit.analyzers.sweep.figures import Figures

LEVEL = 0.95


class Interval(NamedTuple):
    """From `low` to `high`."""

    low: float
    high: float


def mean_figures(of_seeds: Sequence[Figures]) -> Figures:
    """Each column's mean over the seeds; None where any seed's is unknown. One seed's figures are as they are."""
    if len(of_seeds) == 1:
        return dict(of_seeds[0])
    return {column: _mean(values) for column, values in _columns(of_seeds).items()}


def intervals(of_seeds: Sequence[Figures]) -> dict[str, Interval]:
    """The 95 % interval of each column's mean, by Student's t over the seeds; none of one seed, or of unknown values.

    Seeds are drawn independently; that the mean is nearly normal is assumed.
    """
    if len(of_seeds) < 2:
        return {}
    return {
        column: _interval(np.array(values, np.float64))
        for column, values in _columns(of_seeds).items()
        if None not in values
    }


def _columns(of_seeds: Sequence[Figures]) -> Mapping[str, list[float | int | None]]:
    return {column: [figures[column] for figures in of_seeds] for column in of_seeds[0]}


def _mean(values: Sequence[float | int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _interval(values: np.ndarray) -> Interval:
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    reach = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * deviation / len(values) ** 0.5
    return Interval(mean - reach, mean + reach)
