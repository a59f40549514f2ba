"""How wrong the shipped constants are on a user's measured rows, by GPU, kind of model and tier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.baselines import constant, ecologits, nearest
from tracekit.analyzers.hardware.error import Error, error_of
from tracekit.analyzers.hardware.folds import Training
from tracekit.analyzers.hardware.operating_point import OperatingPoint, SkippedRow, read_points
from tracekit.analyzers.hardware.prediction import Figures, Model, measured, predicted
from tracekit.analyzers.hardware.series import leave_one_batch_out
from tracekit.errors import RowsInvalid, UnknownName

QUANTITIES = {
    "power_w": "power_w",
    "power_w_given_time": "power_given_time_w",
    "itl_ms": "itl_s",
    "j_per_token": "j_per_token",
}
"""Names in reports, and in Figures."""
KINDS = ("dense", "moe")
BASELINES = ("constant", "nearest")
MODELS = ("analytic", "calibrated", "calibrated-interior")
TIERS = (*MODELS, *BASELINES, "ecologits")
ALL_GPUS = "all"


@dataclass(frozen=True)
class Group:
    """Errors of one tier on the rows of one GPU and kind.

    in_fit: how many of the rows the constants were fitted to, None where nobody can tell. not_better_than: of each
    quantity, the baselines that are as good on the same rows.
    """

    gpu: str
    kind: str
    tier: str
    n: int
    in_fit: int | None
    errors: Mapping[str, Error | None]
    not_better_than: Mapping[str, tuple[str, ...]]


class Validation(NamedTuple):
    """Points and what each tier says of them, by tier: arrays (n,)."""

    points: list[OperatingPoint]
    skipped: list[SkippedRow]
    notes: list[str]
    measured: Figures
    modelled: Mapping[str, Figures]
    in_fit: npt.NDArray[np.bool_] | None

    @property
    def groups(self) -> list[Group]:
        """By GPU, kind and tier, in the order of the rows."""
        gpus = dict.fromkeys(point.replica.gpu.name for point in self.points)
        return [group for gpu in gpus for kind in KINDS for group in self._of(gpu, kind)]

    @property
    def pooled(self) -> list[Group]:
        """By kind and tier, all GPUs together."""
        return [group for kind in KINDS for group in self._of(ALL_GPUS, kind)]

    def _of(self, gpu: str, kind: str) -> list[Group]:
        chosen = np.array(
            [point.kind == kind and gpu in (ALL_GPUS, point.replica.gpu.name) for point in self.points],
            dtype=np.bool_,
        )
        groups = (self._group(gpu, kind, tier, chosen) for tier in self.modelled)
        return [group for group in groups if any(group.errors.values())]

    def _group(self, gpu: str, kind: str, tier: str, chosen: npt.NDArray[np.bool_]) -> Group:
        figures = self.modelled[tier]
        told = chosen & np.any(np.isfinite(np.array(figures) / np.array(self.measured)), axis=0)
        return Group(
            gpu=gpu,
            kind=kind,
            tier=tier,
            n=int(np.count_nonzero(told)),
            in_fit=None if self.in_fit is None else int(np.count_nonzero(told & self.in_fit)),
            errors={name: self._error(tier, name, chosen) for name in QUANTITIES},
            not_better_than={name: self._better(tier, name, chosen) for name in QUANTITIES},
        )

    def _error(self, tier: str, name: str, chosen: npt.NDArray[np.bool_]) -> Error | None:
        field = QUANTITIES[name]
        return error_of(getattr(self.modelled[tier], field)[chosen], getattr(self.measured, field)[chosen])

    def _better(self, tier: str, name: str, chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
        """The baselines whose mean error is no larger, where both say something."""
        field = QUANTITIES[name]
        if tier not in MODELS:
            return ()

        def worse(baseline: str) -> bool:
            both = chosen & np.isfinite(getattr(self.modelled[tier], field))
            both &= np.isfinite(getattr(self.modelled[baseline], field))
            own, other = self._error(tier, name, both), self._error(baseline, name, both)
            return own is not None and other is not None and other.mape <= own.mape

        return tuple(baseline for baseline in BASELINES if worse(baseline))


def validate(path: Path, training: Training | None) -> Validation:
    """The shipped constants held to the rows of a CSV file; `training` is what they were fitted to, if at hand.

    Raises RowsInvalid if the file cannot be read, lacks columns, or has no row that can be judged.
    """
    points, skipped = read_points(path)
    if not points:
        raise RowsInvalid.no_row(path, skipped[0].why if skipped else "it has none")
    analytic = shipped(points)
    left_out = leave_one_batch_out(points, analytic)
    interior = Figures(*(np.where(left_out.interior, values, np.nan) for values in left_out.figures))
    tiers = {
        "analytic": analytic,
        "calibrated": left_out.figures,
        "calibrated-interior": interior,
        "constant": constant(points, points, _architecture),
        "nearest": nearest(points, points, _architecture),
        "ecologits": ecologits(points),
    }
    known = None if training is None else _in_fit(points, training)
    return Validation(points, skipped, _notes(points), measured(points), tiers, known)


def shipped(points: list[OperatingPoint]) -> Figures:
    """What the constants of each point's engine profile say of it."""
    found = Figures(*(np.full(len(points), np.nan) for _ in Figures._fields))
    for name in dict.fromkeys(point.replica.engine.name for point in points):
        rows = [index for index, point in enumerate(points) if point.replica.engine.name == name]
        engine = points[rows[0]].replica.engine
        said = predicted([points[row] for row in rows], Model(engine.step, engine.power, {}))
        for whole, part in zip(found, said, strict=True):
            whole[rows] = part
    return found


def _notes(points: list[OperatingPoint]) -> list[str]:
    """What was taken for granted, each kind said once."""
    counted = Counter((point.engine, point.replica.engine.name) for point in points if point.engine)
    notes = []
    for (name, taken), rows in counted.items():
        try:
            catalog.engine(name)
        except UnknownName as error:
            notes.append(f"{rows} row(s) are judged as {taken}. {error}")
    assumed = sum(1 for point in points if point.task is not None)
    if assumed:
        notes.append(
            f"{assumed} row(s) do not state a prompt length in tokens; they are given their task's, or 512"
        )
    return notes


def _in_fit(points: list[OperatingPoint], training: Training) -> npt.NDArray[np.bool_]:
    known = {_identity(point) for part in training for point in part}
    return np.array([_identity(point) in known for point in points], dtype=np.bool_)


def _identity(point: OperatingPoint) -> tuple[object, ...]:
    """What two copies of one measurement have in common, rounded as tables round."""
    power = None if point.power_w is None else f"{point.power_w:.4g}"
    replica = point.replica
    return (replica.gpu.name, replica.model.name, replica.tp, point.num_gpus, f"{point.batch:.3g}", power)


def _architecture(point: OperatingPoint) -> tuple[int, ...]:
    return point.architecture
