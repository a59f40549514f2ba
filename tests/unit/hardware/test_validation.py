"""Errors by group, what beats what, bars, and who was in the fit."""

import pytest

from tests.unit.hardware.made_rows import made_rows, write_rows
from tracekit.analyzers.hardware.bar import Bar
from tracekit.analyzers.hardware.folds import Training
from tracekit.analyzers.hardware.operating_point import points_of
from tracekit.analyzers.hardware.validation import TIERS, validate
from tracekit.errors import BarInvalid, RowsInvalid


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    """Durations 10 % and watts 5 % over the model; an unknown GPU; an unknown engine; MoE on another GPU."""
    rows = made_rows(slower=1.1, hotter=1.05)
    rows += made_rows(names=("Qwen3-30B-A3B",), gpu="A100-80", slower=1.1, engine="an-engine")
    rows.append(rows[0] | {"gpu": "H10000"})
    return validate(write_rows(tmp_path_factory.mktemp("rows") / "rows.csv", rows), None)


def group(validation, gpu, kind, tier):
    (found,) = [each for each in validation.groups if (each.gpu, each.kind, each.tier) == (gpu, kind, tier)]
    return found


def test_planted_errors_are_found(validation):
    dense = group(validation, "H100-SXM-80GB", "dense", "analytic")
    assert dense.n == 30
    assert dense.errors["itl_ms"].bias == pytest.approx(1 / 1.1 - 1)
    assert dense.errors["itl_ms"].mape == pytest.approx(1 - 1 / 1.1)
    assert dense.errors["power_w"].bias == pytest.approx(1 / 1.05 - 1)
    assert group(validation, "A100-SXM-80GB", "moe", "analytic").n == 6


def test_power_given_the_measured_time_knows_that_the_gpu_waited(validation):
    dense = group(validation, "H100-SXM-80GB", "dense", "analytic")
    assert dense.errors["power_w_given_time"].bias < dense.errors["power_w"].bias


def test_calibration_takes_a_constant_factor_away(validation):
    for tier in ("calibrated", "calibrated-interior"):
        calibrated = group(validation, "H100-SXM-80GB", "dense", tier)
        assert calibrated.errors["itl_ms"].mape == pytest.approx(0, abs=1e-9)
        assert calibrated.errors["power_w"].mape == pytest.approx(0, abs=1e-9)
    assert group(validation, "H100-SXM-80GB", "dense", "calibrated-interior").n == 20


def test_every_tier_is_there_and_a_single_model_has_no_baseline_on_its_gpu_alone(validation):
    assert {each.tier for each in validation.groups} == set(TIERS)
    assert group(validation, "H100-SXM-80GB", "dense", "ecologits").errors["power_w"] is None


def test_a_tier_that_a_baseline_beats_is_marked(tmp_path):
    rows = made_rows(names=("Qwen3-8B",), slower=3.0)
    twin = [row | {"model": "Qwen3-14B"} for row in rows]
    found = validate(write_rows(tmp_path / "rows.csv", rows + twin), None)
    analytic = group(found, "H100-SXM-80GB", "dense", "analytic")
    assert "nearest" in analytic.not_better_than["itl_ms"]
    calibrated = group(found, "H100-SXM-80GB", "dense", "calibrated-interior")
    assert calibrated.not_better_than["j_per_token"] == ("nearest",)


def test_what_is_assumed_is_said_once(validation):
    (note,) = validation.notes
    assert note.startswith("6 row(s) are judged as vllm-0.11. Unknown engine 'an-engine'")
    assert [skipped.row for skipped in validation.skipped] == [37]


def test_rows_of_the_fit_are_counted(tmp_path):
    rows = made_rows()
    path = write_rows(tmp_path / "rows.csv", rows)
    training = Training(points_of(rows[:4]).points, points_of(rows[4:6]).points)
    assert group(validate(path, training), "H100-SXM-80GB", "dense", "analytic").in_fit == 6
    assert group(validate(path, None), "H100-SXM-80GB", "dense", "analytic").in_fit is None


def test_no_row_at_all(tmp_path):
    with pytest.raises(RowsInvalid, match="Unknown GPU 'abacus'"):
        validate(write_rows(tmp_path / "rows.csv", [made_rows()[0] | {"gpu": "abacus"}]), None)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("itl_ms>0.10", False),
        ("itl_ms>9%", True),
        ("dense.itl_ms.median_ape > 0.09", True),
        ("itl_ms.bias>0.05", True),
        ("calibrated.itl_ms>0.001", False),
        ("nearest.itl_ms>0.001", True),
    ],
)
def test_bars(validation, text, broken):
    assert bool(Bar.of(text).breaks(validation.groups)) is broken


def test_a_bar_that_nothing_is_held_to_is_broken(tmp_path):
    rows = [row | {"power_per_gpu_w": ""} for row in made_rows(names=("Qwen3-8B",))]
    found = validate(write_rows(tmp_path / "rows.csv", rows), None)
    assert Bar.of("power_w>0.5").breaks(found.groups) == [
        "power_w>0.5: no row of this tier and kind tells power_w"
    ]


@pytest.mark.parametrize(
    "text", ["", "power_w", "power_w<0.1", "watts>0.1", "dense>0.1", "power_w.itl_ms>0.1", "power_w>0.1.2"]
)
def test_what_is_no_bar(text):
    with pytest.raises(BarInvalid, match="cannot be used"):
        Bar.of(text)
