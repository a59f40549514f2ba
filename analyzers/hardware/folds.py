"""Predictions for points by constants that were fitted without them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.hardware.fit import PowerSample, fit_power, fit_steps
from tracekit.analyzers.hardware.operating_point import OperatingPoint
from tracekit.analyzers.hardware.prediction import Figures, Model, predicted

Key = Callable[[OperatingPoint], Hashable]


class Training(NamedTuple):
    """What constants are fitted to: steps' durations, and watts of more engines whose durations are given."""

    steps: list[OperatingPoint]
    watts_given_time: list[OperatingPoint]

    def without(self, key: Key, left_out: Hashable) -> Training:
        """The same without the points of one key."""
        return Training(
            [point for point in self.steps if key(point) != left_out],
            [point for point in self.watts_given_time if key(point) != left_out],
        )


def fitted(training: Training) -> Model:
    """The constants of the engine that served `training.steps`."""
    steps = fit_steps(training.steps)
    samples = [
        PowerSample.modelled(training.steps, steps),
        PowerSample.given_time(training.watts_given_time, steps),
    ]
    return Model(steps.constants, fit_power(samples), steps.prompt_tokens)


def leave_one_out(
    points: list[OperatingPoint], training: Training, key: Key, done: Callable[[], object] = lambda: None
) -> Figures:
    """Figures of `points`, each predicted by constants fitted to `training` without what shares its key.

    `done` is called after each fit.
    """
    found = Figures(*(np.full(len(points), np.nan) for _ in Figures._fields))
    keys = [key(point) for point in points]
    for left_out in dict.fromkeys(keys):
        judged = [index for index, own in enumerate(keys) if own == left_out]
        model = fitted(training.without(key, left_out))
        for whole, part in zip(found, predicted([points[index] for index in judged], model), strict=True):
            whole[judged] = part
        done()
    return found
