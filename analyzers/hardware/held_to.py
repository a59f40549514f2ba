"""What the model is held to: errors on published rows, each predicted by constants that were fitted without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.hardware.baselines import constant, ecologits, nearest
from tracekit.analyzers.hardware.error import Error, error_of
from tracekit.analyzers.hardware.fit import OTHER_SAMPLING_PASSES
from tracekit.analyzers.hardware.fit_rows import FitRows
from tracekit.analyzers.hardware.folds import Key, Training, fitted, leave_one_out
from tracekit.analyzers.hardware.operating_point import OperatingPoint, load_of_points
from tracekit.analyzers.hardware.prediction import Figures, Model, measured, watts_given_time
from tracekit.analyzers.hardware.series import leave_one_batch_out
from tracekit.analyzers.hardware.step_terms import step_terms

Mask = npt.NDArray[np.bool_]


class Asked(NamedTuple):
    """What is to be reached, shares of 1; None: nothing."""

    mape: float | None = None
    median_ape: float | None = None


NOTHING = Asked()


class Line(NamedTuple):
    """One line of the table: what is judged, on which rows, what was in the fit; None: not said by that."""

    quantity: str
    rows: str
    fit: str
    asked: Asked
    error: Error | None
    others: Mapping[str, Error | None]  # constant, nearest, ecologits

    @property
    def reached(self) -> bool | None:
        """None where nothing is asked."""
        if self.asked == NOTHING:
            return None
        if self.error is None:
            return False
        pairs = ((self.asked.mape, self.error.mape), (self.asked.median_ape, self.error.median_ape))
        return all(asked is None or found <= asked for asked, found in pairs)

    @property
    def not_better_than(self) -> list[str]:
        """Baselines with an error that is no larger."""
        return [
            name
            for name, other in self.others.items()
            if other is not None and (self.error is None or other.mape <= self.error.mape)
        ]


class Judged(NamedTuple):
    """Points, what is modelled and measured, and what others say."""

    points: list[OperatingPoint]
    modelled: Figures
    measured: Figures
    others: Mapping[str, Figures]

    @classmethod
    def of(
        cls, points: list[OperatingPoint], modelled: Figures, among: list[OperatingPoint], key: Key
    ) -> Judged:
        """With baselines from the points of `among` whose key differs."""
        others = {
            "constant": constant(points, among, key),
            "nearest": nearest(points, among, key),
            "ecologits": ecologits(points),
        }
        return cls(points, modelled, measured(points), others)

    def where(self, choose: Callable[[OperatingPoint], bool]) -> Mask:
        """Of the points, (n,)."""
        return np.array([choose(point) for point in self.points])

    def line(self, quantity: str, rows: str, chosen: Mask, fit: str, asked: Asked = NOTHING) -> Line:
        """The errors of one quantity over the chosen points."""
        truth = getattr(self.measured, quantity)[chosen]

        def error(figures: Figures) -> Error | None:
            return error_of(getattr(figures, quantity)[chosen], truth)

        others = {name: error(figures) for name, figures in self.others.items()}
        return Line(quantity, rows, fit, asked, error(self.modelled), others)


class HeldTo(NamedTuple):
    """The table, and the constants fitted to all rows."""

    lines: list[Line]
    model: Model
    training: Training


def is_dense_transformer(point: OperatingPoint) -> bool:
    """Neither experts nor recurrent layers."""
    model = point.replica.model
    return not model.experts and not model.state_bytes_per_sequence


def training_of(rows: FitRows) -> Training:
    """What the shipped constants are fitted to: rows of the H100 alone."""
    watts = [point for point in rows.v2 if point.kind == "dense"] + rows.bench
    return Training(rows.v3, [point for point in watts if _is_on(point, "H100")])


def fits_needed(rows: FitRows) -> int:
    """How many fits `held_to` makes."""
    every = [*rows.v3, *rows.vision]
    return 1 + len({point.architecture for point in every}) + len({_name(point) for point in every})


def held_to(rows: FitRows, done: Callable[[], object] = lambda: None) -> HeldTo:
    """The whole table; `done` is called after each fit."""
    training = training_of(rows)
    model = fitted(training)
    done()
    every = [*rows.v3, *rows.vision]
    by_architecture = leave_one_out(every, training, _architecture, done)
    by_name = leave_one_out(every, training, _name, done)
    text = np.arange(len(every)) < len(rows.v3)
    lines = [
        *_uncalibrated(
            Judged.of(every, by_architecture, training.steps, _architecture), text, "architecture"
        ),
        *_uncalibrated(Judged.of(every, by_name, training.steps, _name), text, "model"),
        *_other_gpu(rows, training, model),
        *_calibrated(every, by_architecture, training, text),
    ]
    return HeldTo(lines, model, training)


def _uncalibrated(judged: Judged, text: Mask, key: str) -> list[Line]:
    dense, moe = judged.where(is_dense_transformer) & text, judged.where(_is_moe) & text
    fit = f"without the point's {key}"

    def line(quantity: str, rows: str, chosen: Mask, asked: Asked = NOTHING) -> Line:
        return judged.line(quantity, f"H100 v3, {rows}", chosen, fit, asked)

    return [
        line("power_w", "dense", dense, Asked(0.065, 0.05)),
        line("power_w", "MoE", moe),
        line("itl_s", "dense", dense, Asked(0.08, 0.06)),
        line("itl_s", "MoE", moe),
        line("j_per_token", "dense", dense, Asked(median_ape=0.08)),
        line("j_per_token", "all text", text, Asked(median_ape=0.13)),
        line("j_per_token", "MoE", moe, Asked(median_ape=0.18)),
    ]


def _other_gpu(rows: FitRows, training: Training, model: Model) -> list[Line]:
    """Watts of A100s, given the measured time of a step: engines of 2024 differ in time more than in power."""
    points = [point for point in rows.v2 if is_dense_transformer(point) and _is_on(point, "A100")]
    points += [point for point in rows.bench if _is_on(point, "A100")]
    load = load_of_points(points, model.prompt_tokens)
    terms = step_terms(load, model.step._replace(sampling_passes=OTHER_SAMPLING_PASSES))
    unknown = np.full(len(points), np.nan)
    modelled = Figures(unknown, unknown, watts_given_time(points, load, terms, model), unknown)
    judged = Judged.of(points, modelled, [*training.steps, *training.watts_given_time], _gpu)
    engines = dict.fromkeys(point.engine for point in points)

    def line(named: str, chosen: Mask, asked: Asked = NOTHING) -> Line:
        return judged.line("power_given_time_w", f"A100, {named}", chosen, "to H100 rows alone", asked)

    return [
        line("dense, all engines", np.ones(len(points), dtype=np.bool_), Asked(0.10, 0.07)),
        *(line(name, np.array([point.engine == name for point in points])) for name in engines),
    ]


def _calibrated(
    points: list[OperatingPoint], modelled: Figures, training: Training, text: Mask
) -> list[Line]:
    left_out = leave_one_batch_out(points, modelled)
    judged = Judged.of(points, left_out.figures, training.steps, _architecture)
    fit = "without the point's architecture, then calibrated without its batch"
    bars = {"power_w": Asked(0.016), "itl_s": Asked(0.025), "j_per_token": NOTHING}
    return [
        judged.line(quantity, f"H100 v3, {rows}, interior", chosen & left_out.interior, fit, asked)
        for rows, chosen, bar in (
            ("all tasks", np.ones_like(text), bars),
            ("text", text, dict.fromkeys(bars, NOTHING)),
        )
        for quantity, asked in bar.items()
    ]


def _architecture(point: OperatingPoint) -> tuple[int, ...]:
    return point.architecture


def _name(point: OperatingPoint) -> str:
    return point.replica.model.name.partition("@")[0]


def _gpu(point: OperatingPoint) -> str:
    return point.replica.gpu.architecture


def _is_moe(point: OperatingPoint) -> bool:
    return point.kind == "moe"


def _is_on(point: OperatingPoint, family: str) -> bool:
    return point.replica.gpu.name.startswith(family)
