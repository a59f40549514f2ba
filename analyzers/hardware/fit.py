"""Fits the constants of steps and of power to measured operating points.

Robust least squares of log(modelled / measured) with weak log-normal priors: a constant that the points say
nothing about stays where physics puts it. docs/background-hardware.md says where the priors come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

import numpy as np
from scipy.optimize import least_squares

from tracekit.analyzers.hardware.constants import PowerConstants, StepConstants
from tracekit.analyzers.hardware.load import Load
from tracekit.analyzers.hardware.operating_point import OperatingPoint, load_of_points, mean_steps
from tracekit.analyzers.hardware.prediction import column, measured_step_s
from tracekit.analyzers.hardware.step_terms import StepTerms, step_terms
from tracekit.analyzers.hardware.watts import step_watts
from tracekit.analyzers.kernels.layout import Floats


class Prior(NamedTuple):
    """A constant's likely value, and one standard deviation of its logarithm."""

    value: float
    spread: float


STEP_PRIORS = {
    "weight_efficiency": Prior(0.85, 0.06),
    "kv_efficiency": Prior(0.80, 0.12),
    "compute_efficiency": Prior(0.70, 0.05),
    "step_us": Prior(1000, 0.6),
    "layer_us": Prior(25, 0.5),
    "sequence_us": Prior(15, 0.7),
    "all_reduce_us": Prior(10, 0.5),
    "sampling_passes": Prior(150, 1.0),
    "quantized_layer_us": Prior(20, 1.0),
    "expert_efficiency": Prior(0.70, 0.3),
    "expert_compute_efficiency": Prior(0.35, 0.15),
    "routing_diversity": Prior(0.70, 0.3),
    "expert_layer_us": Prior(40, 0.7),
    "expert_sequence_us": Prior(0.2, 1.0),
    "state_layer_us": Prior(20, 0.7),
    "state_efficiency": Prior(0.60, 0.4),
}
TASK_PRIORS = {
    "lm-arena-chat": Prior(200, 0.5),
    "gpqa": Prior(300, 0.3),
    "sourcegraph-fim": Prior(800, 0.8),
}
POWER_PRIORS = {
    "floor_share": Prior(0.20, 0.1),
    "weight_level": Prior(0.6, 0.7),
    "kv_level": Prior(1.2, 0.7),
    "compute_level": Prior(2.0, 0.7),
    "sampling_level": Prior(0.6, 0.7),
    "gap_level": Prior(0.3, 0.7),
}
ITL_ERROR, MEAN_STEP_ERROR, POWER_ERROR = 0.06, 0.08, 0.06
"""Errors that are usual; larger ones count by size instead of by square."""
OTHER_SAMPLING_PASSES = 0.0
OTHER_WEIGHT = 0.5
"""Engines of 2024 are rows enough to outvote the one that replays are about, so theirs count less."""


class FittedSteps(NamedTuple):
    """Step constants of an engine, and the prompt lengths of tasks that do not state them."""

    constants: StepConstants
    prompt_tokens: Mapping[str, float]


def fit_steps(points: list[OperatingPoint]) -> FittedSteps:
    """The constants of the engine that served `points`, all with an inter-token latency."""
    tasks = [task for task in TASK_PRIORS if any(point.task == task for point in points)]
    priors = STEP_PRIORS | {task: TASK_PRIORS[task] for task in tasks}
    itl_s = column(points, "itl_s")
    rate = column(points, "output_tok_s")
    is_mean = np.array([point.itl_is_mean for point in points])
    load = load_of_points(points)

    def residuals(values: Mapping[str, float]) -> Floats:
        steps = mean_steps(points, {task: values[task] for task in tasks})
        terms = step_terms(load.running(steps), StepConstants(**{name: values[name] for name in STEP_PRIORS}))
        itl = np.log(np.where(is_mean, terms.step, terms.decode) / itl_s) / ITL_ERROR
        mean = np.log(terms.step * rate / steps.sequences) / MEAN_STEP_ERROR
        return np.concatenate([itl, mean[~is_mean & np.isfinite(rate)]])

    values = _most_likely(priors, residuals)
    constants = StepConstants(**{name: values[name] for name in STEP_PRIORS})
    return FittedSteps(constants, {task: values[task] for task in tasks})


class PowerSample(NamedTuple):
    """n steps and the watts of one GPU that they drew: arrays (n,)."""

    load: Load
    terms: StepTerms
    seconds: Floats
    watts: Floats
    weight: float

    @classmethod
    def modelled(cls, points: list[OperatingPoint], steps: FittedSteps) -> Self:
        """Steps that take as long as modelled: of the engine that `steps` was fitted to."""
        load = load_of_points(points, steps.prompt_tokens)
        terms = step_terms(load, steps.constants)
        return cls(load, terms, terms.step, column(points, "power_w"), 1.0)

    @classmethod
    def given_time(cls, points: list[OperatingPoint], steps: FittedSteps) -> Self:
        """Steps of other engines, which take as long as measured and do not sample as that one does."""
        load = load_of_points(points, steps.prompt_tokens)
        terms = step_terms(load, steps.constants._replace(sampling_passes=OTHER_SAMPLING_PASSES))
        return cls(load, terms, measured_step_s(points), column(points, "power_w"), OTHER_WEIGHT)


def fit_power(samples: list[PowerSample]) -> PowerConstants:
    """The constants of power that all `samples` drew."""

    def residuals(values: Mapping[str, float]) -> Floats:
        constants = PowerConstants(**values)
        return np.concatenate(
            [
                sample.weight
                * np.log(step_watts(sample.load, sample.terms, constants, sample.seconds) / sample.watts)
                / POWER_ERROR
                for sample in samples
            ]
        )

    return PowerConstants(**_most_likely(POWER_PRIORS, residuals))


def _most_likely(
    priors: Mapping[str, Prior], residuals: Callable[[Mapping[str, float]], Floats]
) -> dict[str, float]:
    """The values with the least sum of soft-L1 losses of residuals and of deviations from the priors."""
    names = list(priors)
    spread = np.array([priors[name].spread for name in names])

    def values(deviation: Floats) -> dict[str, float]:
        return {
            name: priors[name].value * float(np.exp(step))
            for name, step in zip(names, deviation, strict=True)
        }

    def losses(deviation: Floats) -> Floats:
        return np.concatenate([residuals(values(deviation)), deviation / spread])

    found = least_squares(losses, np.zeros(len(names)), loss="soft_l1")
    return values(found.x)
