"""Fits recover the constants that rows were made from, and folds leave out what they say."""

import numpy as np
import pytest

from tests.unit.hardware.made_rows import BATCHES, made_rows
from tracekit.analyzers.hardware.constants import PowerConstants, StepConstants
from tracekit.analyzers.hardware.fit import POWER_PRIORS, STEP_PRIORS
from tracekit.analyzers.hardware.folds import Training, fitted, leave_one_out
from tracekit.analyzers.hardware.operating_point import points_of
from tracekit.analyzers.hardware.prediction import Model, measured, predicted

PRIOR_STEP = {name: prior.value for name, prior in STEP_PRIORS.items()}
PRIOR_POWER = {name: prior.value for name, prior in POWER_PRIORS.items()}
KNOWN = Model(
    StepConstants(**PRIOR_STEP)._replace(weight_efficiency=0.80, step_us=3000.0, sequence_us=40.0),
    PowerConstants(**PRIOR_POWER)._replace(floor_share=0.25, weight_level=0.8, kv_level=1.5),
    {},
)


@pytest.fixture(scope="module")
def points():
    return points_of(made_rows(KNOWN, tps=(4, 8), batches=(1, *BATCHES, 256))).points


@pytest.fixture(scope="module")
def model(points):
    return fitted(Training(points, []))


def test_a_fit_recovers_what_the_rows_were_made_from(points, model):
    for modelled, truth in zip(predicted(points, model), measured(points), strict=True):
        assert modelled == pytest.approx(truth, rel=0.02)
    # a sequence's host time and its sampling pass differ by vocabulary only, and share what they add up to
    for name in ("weight_efficiency", "step_us"):
        assert getattr(model.step, name) == pytest.approx(getattr(KNOWN.step, name), rel=0.05)
    for name in ("weight_level", "kv_level", "compute_level"):
        assert getattr(model.power, name) == pytest.approx(getattr(KNOWN.power, name), rel=0.1)


def test_constants_that_nothing_is_said_about_stay_at_their_priors(model):
    assert model.step.state_layer_us == pytest.approx(20)
    assert model.step.expert_efficiency == pytest.approx(0.7)


def test_one_bad_row_moves_little(points):
    rows = made_rows(KNOWN, tps=(4, 8), batches=(1, *BATCHES, 256))
    rows[3]["itl_ms"] = repr(5 * float(rows[3]["itl_ms"]))
    spoilt = fitted(Training(points_of(rows).points, []))
    good = predicted(points, spoilt).itl_s
    assert good == pytest.approx(measured(points).itl_s, rel=0.02)


def test_a_row_is_judged_by_constants_that_never_saw_it(points):
    """A model whose rows are all 1.3 times too slow is missed by that factor only if it is left out of the fit."""
    odd = "Llama-3.1-70B"
    few = [point for point in points if point.replica.tp == 4 and point.batch <= 32]
    slow = points_of(made_rows(KNOWN, names=(odd,), batches=(1, 4, 8, 16, 32), slower=1.3)).points
    spoilt = [point for point in few if point.replica.model.name != odd] + slow
    calls = []
    figures = leave_one_out(
        spoilt, Training(spoilt, []), lambda point: point.replica.model.name, lambda: calls.append(1)
    )
    ratio = measured(spoilt).itl_s / figures.itl_s
    is_odd = np.array([point.replica.model.name == odd for point in spoilt])
    assert len(calls) == 5
    assert np.median(ratio[is_odd]) == pytest.approx(1.3, abs=0.03)
