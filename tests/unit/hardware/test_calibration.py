"""Calibrations recover a planted factor, survive their file, and fit only what they were measured on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.hardware.made_rows import made_rows
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.calibrating import Provenance, calibrations_of
from tracekit.analyzers.hardware.calibration import Correction, calibrated_cost
from tracekit.analyzers.hardware.calibration_file import calibration_for, read_calibrations, to_toml
from tracekit.analyzers.hardware.operating_point import points_of
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import NODES, replica_cost
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.errors import CalibrationInvalid, RowsInvalid

HERE = Provenance("made.csv", "2026-11-22", "calibrated")
REPLICA = Replica(catalog.gpu("H100"), catalog.model("Qwen3-8B"), catalog.engine(), 4)


def calibration_of(**how):
    (found,) = calibrations_of(points_of(made_rows(names=("Qwen3-8B",), **how)).points, HERE).calibrations
    return found


def decode_s(cost, sequences, context):
    """A step of the kernel's cost."""
    step = cost.step
    table = np.interp(sequences, NODES, cost.table.step_s)
    return step.base_s + sequences * (step.decode_s + context * step.decode_context_s) + table


def watts(cost, sequences, context):
    """By the kernel's curve."""
    power, seconds = cost.power, decode_s(cost, sequences, context)
    host_s = power.host_base_s + sequences * power.host_decode_s
    driven_s = power.driven_base_s + np.interp(sequences, NODES, cost.table.driven_s)
    driven_s += sequences * (power.driven_decode_s + context * power.driven_decode_context_s)
    level = power.level + driven_s / (seconds - host_s)
    return power.floor_w + power.span_w * (1 - host_s / seconds) * level / (1 + level**3) ** (1 / 3)


def test_a_planted_factor_is_recovered():
    found = calibration_of(slower=1.3, hotter=0.9)
    assert np.exp(found.step.log_ratio) == pytest.approx(1.3, rel=1e-4)
    assert np.exp(found.power.log_ratio) == pytest.approx(0.9, rel=1e-4)
    assert found.step.error.mape == pytest.approx(0, abs=1e-6)
    assert (found.points, found.tp, found.context_tokens) == (6, 4, 700.0)


def test_a_calibrated_step_takes_and_draws_what_was_measured():
    plain, found = replica_cost(REPLICA), calibration_of(slower=1.3, hotter=0.9)
    corrected = calibrated_cost(plain, found)
    for sequences in (4, 16, 128):
        assert decode_s(corrected, sequences, 700) == pytest.approx(
            1.3 * decode_s(plain, sequences, 700), rel=1e-4
        )
        assert watts(corrected, sequences, 700) == pytest.approx(0.9 * watts(plain, sequences, 700), rel=1e-3)
    assert (corrected.step, corrected.power) == (plain.step, plain.power)


def test_time_alone_leaves_the_gpu_waiting():
    plain, found = replica_cost(REPLICA), calibration_of(slower=1.3)
    corrected = calibrated_cost(plain, replace(found, power=None))
    assert plain.power.floor_w < watts(corrected, 64, 700) < watts(plain, 64, 700)


def test_beyond_the_largest_batch_the_seconds_stay():
    plain, found = replica_cost(REPLICA), calibration_of(slower=1.3)
    added = np.array(calibrated_cost(plain, found).table.step_s) - np.array(plain.table.step_s)
    assert added[NODES >= 128] == pytest.approx(added[7])
    assert (np.diff(added[NODES <= 128]) > 0).all()


def test_a_correction_never_takes_a_step_away():
    plain, found = replica_cost(REPLICA), calibration_of(slower=0.01)
    corrected = calibrated_cost(plain, found)
    table = np.array(corrected.table.step_s)
    assert (plain.step.base_s + NODES * plain.step.prefill_token_s + table > 0).all()


def test_experts_keep_their_table():
    replica = replace(REPLICA, model=catalog.model("Qwen3-30B-A3B"))
    rows = made_rows(names=("Qwen3-30B-A3B",), slower=1.3)
    (found,) = calibrations_of(points_of(rows).points, HERE).calibrations
    plain = replica_cost(replica)
    corrected = calibrated_cost(plain, found)
    assert corrected.table.weight_share_s == plain.table.weight_share_s
    assert decode_s(corrected, 32, 700) == pytest.approx(1.3 * decode_s(plain, 32, 700), rel=1e-4)


def test_rates_stand_in_for_latencies():
    rows = [row | {"itl_ms": ""} for row in made_rows(names=("Qwen3-8B",), slower=1.3)]
    (found,) = calibrations_of(points_of(rows).points, HERE).calibrations
    assert np.exp(found.step.log_ratio) == pytest.approx(1.3, rel=1e-4)


def test_one_calibration_for_each_kind_of_replica_and_none_for_unknown_engines():
    rows = made_rows(names=("Qwen3-8B", "Qwen3-14B"), tps=(2, 4), batches=(8, 16))
    odd = made_rows(names=("Qwen3-8B",), batches=(8,), engine="vllm-99")
    found = calibrations_of(points_of(rows + odd).points, HERE)
    assert len(found.calibrations) == 4
    assert all(calibration.step.error is None for calibration in found.calibrations)
    assert [skipped.row for skipped in found.skipped] == [9]
    with pytest.raises(RowsInvalid):
        calibrations_of(points_of(odd).points, HERE)


def test_a_file_brings_back_what_was_written(tmp_path):
    found = [calibration_of(slower=1.3), replace(calibration_of(), power=None, tp=2)]
    path = tmp_path / "calibration.toml"
    path.write_text(to_toml(found))
    assert read_calibrations(path) == found
    assert calibration_for(path, REPLICA) == found[0]
    assert calibration_for(path, replace(REPLICA, tp=8)) is None


def test_what_a_trace_measured_comes_before_rows_of_a_table(tmp_path):
    rows = calibration_of(slower=1.3)
    path = tmp_path / "calibration.toml"
    path.write_text(to_toml([rows, replace(rows, tier="measured")]))
    assert calibration_for(path, REPLICA).tier == "measured"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("[[calibration]]", "[[correction]]"),
        lambda text: text.replace('tier = "calibrated"', 'tier = "guessed"'),
        lambda text: text.replace("log2_batch = [2.0, 3.0", "log2_batch = [3.0, 2.0"),
        lambda text: text.replace("log2_batch = [2.0, 3.0", "log2_batch = [3.0"),
        lambda text: text.replace("tp = 4", 'tp = "four"'),
        lambda text: text.partition("[calibration.step]")[0],
        lambda text: text + "[[[",
    ],
)
def test_files_that_are_no_calibration(tmp_path, change):
    path = tmp_path / "calibration.toml"
    path.write_text(change(to_toml([calibration_of()])))
    with pytest.raises(CalibrationInvalid, match="cannot be used"):
        read_calibrations(path)


def test_a_pool_takes_the_best_tier_there_is(tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text(to_toml([calibration_of(slower=1.3)]))
    plain = Pool("H100", "Qwen3-8B", tp=4)
    corrected, other = replace(plain, calibration=str(path)), Pool("H100", "Qwen3-14B", calibration=str(path))
    assert corrected.calibrated() == calibration_of(slower=1.3)
    assert other.calibrated() is None
    assert other.cost() == replica_cost(other.replica())
    (pool,) = pools_of(Fleet((corrected,)))
    assert pool.table == calibrated_cost(replica_cost(REPLICA), corrected.calibrated()).table


def test_a_fleet_file_names_its_calibration_beside_itself(tmp_path):
    file = tmp_path / "fleet.toml"
    file.write_text('[fleet]\ngpu = "H100"\nmodel = "Qwen3-8B"\ncalibration = "mine.toml"\n')
    assert Path(Fleet.from_toml(file).pools[0].calibration) == tmp_path / "mine.toml"
    with pytest.raises(CalibrationInvalid, match=r"mine\.toml"):
        pools_of(Fleet.from_toml(file))


def test_between_batches_the_logarithm_is_straight():
    half = Correction((2.0, 4.0), (0.0, np.log(4.0))).ratio(np.array([1.0, 4.0, 8.0, 16.0, 64.0]))
    assert half == pytest.approx([1.0, 1.0, 2.0, 4.0, 4.0])
