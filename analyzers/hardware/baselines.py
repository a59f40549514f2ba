"""What can be said of operating points without a model of the hardware: what a model has to beat."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import ceil, exp, log2

import numpy as np

from tracekit.analyzers.hardware.folds import Key
from tracekit.analyzers.hardware.operating_point import OperatingPoint
from tracekit.analyzers.hardware.prediction import Figures, column
from tracekit.analyzers.kernels.layout import Floats
from tracekit.units import J_PER_WH

Guess = Callable[[list[OperatingPoint], list[OperatingPoint]], Floats]
"""Latency, share of TDP and J/token of some points by others: (n, 3)."""


def constant(points: list[OperatingPoint], among: list[OperatingPoint], key: Key) -> Figures:
    """One number from all others: the mean share of TDP, the geometric mean of latencies and of J/token."""
    return _guessed(points, among, key, _mean)


def nearest(points: list[OperatingPoint], among: list[OperatingPoint], key: Key) -> Figures:
    """The figures of the one other point that is nearest in log batch and log active parameters."""
    return _guessed(points, among, key, _nearest)


def _guessed(points: list[OperatingPoint], among: list[OperatingPoint], key: Key, guess: Guess) -> Figures:
    """A guess from the points of `among` whose key differs, on the same GPU wherever there are such."""
    groups: dict[tuple[Hashable, str], list[int]] = {}
    for row, point in enumerate(points):
        groups.setdefault((key(point), point.replica.gpu.name), []).append(row)
    known = [(key(other), other) for other in among]
    found = np.full((len(points), 3), np.nan)
    for (own, gpu), rows in groups.items():
        others = [other for its, other in known if its != own]
        same_gpu = [other for other in others if other.replica.gpu.name == gpu]
        if others:
            found[rows] = guess([points[row] for row in rows], same_gpu or others)
    power_w = found[:, 1] * np.array([point.replica.gpu.tdp_w for point in points])
    return Figures(found[:, 0], power_w, power_w, found[:, 2])


def _told(points: list[OperatingPoint]) -> Floats:
    """What points say, nan where they do not: latency, share of TDP, J/token."""
    tdp_w = np.array([point.replica.gpu.tdp_w for point in points])
    return np.column_stack(
        [column(points, "itl_s"), column(points, "power_w") / tdp_w, column(points, "j_per_token")]
    )


def _mean(points: list[OperatingPoint], others: list[OperatingPoint]) -> Floats:
    itl_s, share, j_per_token = _told(others).T
    means = [_geometric(itl_s), _arithmetic(share), _geometric(j_per_token)]
    return np.tile(means, (len(points), 1))


def _arithmetic(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _geometric(values: Floats) -> float:
    return float(np.exp(_arithmetic(np.log(values))))


def _nearest(points: list[OperatingPoint], others: list[OperatingPoint]) -> Floats:
    own, known = _place(points), _place(others)
    rows = [int(((known - place) ** 2).sum(axis=1).argmin()) for place in own]
    return _told(others)[rows]


def _place(points: list[OperatingPoint]) -> Floats:
    return np.log2([[point.batch, point.replica.model.active_parameters] for point in points])


def ecologits(points: list[OperatingPoint]) -> Figures:
    """J/token by the formula of EcoLogits 0.11.3 (MPL-2.0), which knows no GPU and always takes a batch of 64.

    Wh a token and GPU = 1.1665e-6 x exp(-0.011206 x 64) x active parameters in 1e9 + 4.0529e-5, on the least power
    of two of GPUs of 80 GB that holds 1.2 x 2 bytes a parameter.
    """
    unknown = np.full(len(points), np.nan)
    return Figures(unknown, unknown, unknown, _ecologits_j(points))


def _ecologits_j(points: list[OperatingPoint]) -> Floats:
    def one(point: OperatingPoint) -> float:
        model = point.replica.model
        wh = 1.1665e-6 * exp(-0.011206 * 64) * model.active_parameters / 1e9 + 4.0529e-5
        gpus = 2.0 ** max(0, ceil(log2(1.2 * 2 * model.parameters / 80e9)))
        return J_PER_WH * wh * gpus

    return np.array([one(point) for point in points])
