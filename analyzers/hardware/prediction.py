"""What the model says of operating points, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.hardware.constants import PowerConstants, StepConstants
from tracekit.analyzers.hardware.load import Load
from tracekit.analyzers.hardware.operating_point import OperatingPoint, concurrent, load_of_points
from tracekit.analyzers.hardware.step_terms import StepTerms, step_terms
from tracekit.analyzers.hardware.watts import step_watts
from tracekit.analyzers.kernels.layout import Floats


class Figures(NamedTuple):
    """Of n points, each array (n,), nan where unknown."""

    itl_s: Floats
    power_w: Floats  # of one GPU
    power_given_time_w: Floats  # the same, from the measured duration of a step
    j_per_token: Floats


class Model(NamedTuple):
    """Constants that a prediction is made with."""

    step: StepConstants
    power: PowerConstants
    prompt_tokens: Mapping[str, float]


def measured(points: list[OperatingPoint]) -> Figures:
    """What the rows say."""
    power_w = column(points, "power_w")
    return Figures(column(points, "itl_s"), power_w, power_w, column(points, "j_per_token"))


def column(points: list[OperatingPoint], name: str) -> Floats:
    """One measured value of each point, (n,), nan where unknown."""
    values = (getattr(point, name) for point in points)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def measured_step_s(points: list[OperatingPoint]) -> Floats:
    """Seconds of a mean step, (n,): sequences that run over tokens a second; else the latency between tokens."""
    running = np.array([concurrent(point) for point in points])
    waiting = column(points, "itl_s") * running / np.array([point.batch for point in points])
    by_rate = running / column(points, "output_tok_s")
    return np.where(np.isfinite(by_rate), by_rate, waiting)


def predicted(points: list[OperatingPoint], model: Model) -> Figures:
    """What the model says of `points`."""
    load = load_of_points(points, model.prompt_tokens)
    terms = step_terms(load, model.step)
    power_w = step_watts(load, terms, model.power)
    return Figures(
        np.where(np.array([point.itl_is_mean for point in points]), terms.step, terms.decode),
        power_w,
        watts_given_time(points, load, terms, model),
        power_w * load.gpus * terms.step / load.sequences,
    )


def watts_given_time(points: list[OperatingPoint], load: Load, terms: StepTerms, model: Model) -> Floats:
    """Watts of one GPU, (n,), if steps take as long as measured: engines differ in time more than in power."""
    return step_watts(load, terms, model.power, measured_step_s(points))
