"""Calibrations from measured operating points."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.calibration import Calibration, Correction
from tracekit.analyzers.hardware.error import error_of
from tracekit.analyzers.hardware.operating_point import OperatingPoint, SkippedRow, concurrent
from tracekit.analyzers.hardware.prediction import column
from tracekit.analyzers.hardware.series import from_others
from tracekit.analyzers.hardware.validation import shipped
from tracekit.analyzers.kernels.layout import Floats
from tracekit.errors import RowsInvalid, UnknownName

NODES_PER_OCTAVE = 10
"""Batches that are nearer are one node, and their ratios averaged."""


class Provenance(NamedTuple):
    """Where points come from."""

    source: str
    date: str
    tier: str


class Calibrated(NamedTuple):
    """Calibrations, and points that none was made of."""

    calibrations: list[Calibration]
    skipped: list[SkippedRow]


def calibrations_of(points: list[OperatingPoint], provenance: Provenance) -> Calibrated:
    """One calibration for each model, GPU, engine and tensor-parallel size among the points.

    Points of an engine that has no profile are skipped: they would be taken for another's. Raises RowsInvalid where
    none is left.
    """
    groups: dict[tuple[object, ...], list[OperatingPoint]] = {}
    skipped = []
    for point in map(_with_latency, points):
        why = _unusable(point)
        if why is None:
            groups.setdefault(_key(point), []).append(point)
        else:
            skipped.append(SkippedRow(point.row, why))
    if not groups:
        raise RowsInvalid.too_few("A calibration", 0, 1)
    return Calibrated([_calibration(group, provenance) for group in groups.values()], skipped)


def _key(point: OperatingPoint) -> tuple[object, ...]:
    replica = point.replica
    return (replica.gpu.name, replica.model.name, replica.engine.name, replica.tp)


def _unusable(point: OperatingPoint) -> str | None:
    if point.itl_s is None and point.power_w is None:
        return "it has neither itl_ms nor output_tok_s nor power_per_gpu_w"
    try:
        catalog.engine(point.engine or catalog.DEFAULT_ENGINE)
    except UnknownName as error:
        return str(error)
    return None


def _with_latency(point: OperatingPoint) -> OperatingPoint:
    """The point with its mean latency, from the rate, where it has none."""
    if point.itl_s is not None or point.output_tok_s is None:
        return point
    return replace(point, itl_s=concurrent(point) / point.output_tok_s, itl_is_mean=True)


def _calibration(points: list[OperatingPoint], provenance: Provenance) -> Calibration:
    replica = points[0].replica
    analytic = shipped(points)
    place = np.log2([concurrent(point) for point in points])
    return Calibration(
        gpu=replica.gpu.name,
        model=replica.model.name,
        engine=replica.engine.name,
        tp=replica.tp,
        source=provenance.source,
        date=provenance.date,
        tier=provenance.tier,
        points=len(points),
        context_tokens=float(np.mean([point.input_tokens + 0.5 * point.output_tokens for point in points])),
        step=correction_of(place, np.log(column(points, "itl_s") / analytic.itl_s)),
        power=correction_of(place, np.log(column(points, "power_w") / analytic.power_w)),
    )


def correction_of(place: Floats, log_ratio: Floats) -> Correction | None:
    """Of the points where it is known; its error from each batch told by the others."""
    known = np.isfinite(log_ratio)
    if not known.any():
        return None
    place, log_ratio = np.round(place[known] * NODES_PER_OCTAVE) / NODES_PER_OCTAVE, log_ratio[known]
    nodes, which = np.unique(place, return_inverse=True)
    means = np.bincount(which, weights=log_ratio) / np.bincount(which)
    left = error_of(np.exp(from_others(place, log_ratio)), np.exp(log_ratio))
    band = left and ErrorBand(
        round(left.mape, 4), round(left.median_ape, 4), f"{left.n} points, leave one batch out"
    )
    return Correction(
        tuple(round(float(node), 3) for node in nodes), tuple(round(float(mean), 5) for mean in means), band
    )
