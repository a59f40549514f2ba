"""Errors, baselines and series, by hand."""

import numpy as np
import pytest

from tests.unit.hardware.made_rows import made_rows
from tracekit.analyzers.hardware.baselines import constant, ecologits, nearest
from tracekit.analyzers.hardware.error import error_of
from tracekit.analyzers.hardware.operating_point import points_of
from tracekit.analyzers.hardware.prediction import Figures, measured
from tracekit.analyzers.hardware.series import leave_one_batch_out

NAN = float("nan")


def test_errors_by_hand():
    error = error_of(np.array([110.0, 80.0, 100.0, 7.0]), np.array([100.0, 100.0, 100.0, NAN]))
    assert error.n == 3
    assert error.mape == pytest.approx(0.1)
    assert error.median_ape == pytest.approx(0.1)
    assert error.bias == pytest.approx(-0.1 / 3)
    assert error_of(np.array([1.0]), np.array([NAN])) is None


def rows_with(name, batch, itl_ms, power_w):
    row = made_rows(names=(name,), batches=(batch,))[0]
    return row | {"itl_ms": repr(itl_ms), "power_per_gpu_w": repr(power_w)}


def model_name(point):
    return point.replica.model.name


def test_baselines_see_other_models_only():
    rows = [
        rows_with("Qwen3-8B", 8, 10.0, 400.0),
        rows_with("Qwen3-8B", 32, 20.0, 500.0),
        rows_with("Qwen3-14B", 30, 31.0, 600.0),
        rows_with("Qwen3-14B", 9, 12.0, 300.0),
    ]
    points = points_of(rows).points
    mean = constant(points, points, model_name)
    assert mean.power_w[:2] == pytest.approx([450.0, 450.0])
    assert mean.power_w[2:] == pytest.approx([450.0, 450.0])
    assert mean.itl_s[2:] == pytest.approx(np.sqrt(10e-3 * 20e-3))
    near = nearest(points, points, model_name)
    assert near.itl_s == pytest.approx([12e-3, 31e-3, 20e-3, 10e-3])
    assert near.power_w == pytest.approx([300, 600, 500, 400])


def test_baselines_carry_watts_between_gpus_as_shares_of_tdp():
    others = points_of([rows_with("Qwen3-8B", 8, 10.0, 350.0)]).points
    own = points_of([rows_with("Qwen3-14B", 8, 10.0, 1.0) | {"gpu": "A100-80"}]).points
    assert constant(own, others, model_name).power_w == pytest.approx([200.0])
    assert nearest(own, others, model_name).power_w == pytest.approx([200.0])
    assert np.isnan(constant(own, [], model_name).power_w).all()


def test_ecologits_by_hand():
    """Llama-3.1-70B: 70.6 B x 2 bytes x 1.2 = 169 GB: four GPUs of 80 GB."""
    points = points_of(made_rows(names=("Llama-3.1-70B",), batches=(8,))).points
    wh = 1.1665e-6 * np.exp(-0.011206 * 64) * 70.554 + 4.0529e-5
    assert ecologits(points).j_per_token == pytest.approx([4 * wh * 3600], rel=1e-4)


def test_a_log_linear_miss_is_told_by_the_other_batches():
    points = points_of(made_rows(names=("Qwen3-8B",), batches=(4, 8, 16, 32, 64))).points
    truth = measured(points)
    tilt = np.exp(0.05 * np.arange(5))
    left_out = leave_one_batch_out(points, Figures(*(values / tilt for values in truth)))
    inside = left_out.interior
    assert list(inside) == [False, True, True, True, False]
    assert left_out.figures.itl_s[inside] == pytest.approx(truth.itl_s[inside])
    assert left_out.figures.power_w[0] == pytest.approx(truth.power_w[0] * np.exp(0.05))


def test_a_point_never_tells_itself():
    points = points_of(made_rows(names=("Qwen3-8B",), batches=(4, 8, 16, 32, 64))).points
    truth = measured(points)
    spoilt = truth._replace(itl_s=truth.itl_s / np.array([1, 1, 1.5, 1, 1]))
    left_out = leave_one_batch_out(points, spoilt)
    assert left_out.figures.itl_s[2] == pytest.approx(truth.itl_s[2] / 1.5)


def test_three_batches_are_no_series():
    points = points_of(made_rows(names=("Qwen3-8B",), batches=(4, 8, 16))).points
    left_out = leave_one_batch_out(points, measured(points))
    assert np.isnan(left_out.figures.itl_s).all()
    assert not left_out.interior.any()
