"""Joules from samples: what counts, what is a gap, and why."""

import numpy as np
import pytest

from tracekit.analyzers.metering.meter import Meter, Source
from tracekit.analyzers.metering.reads import Device, GpuReads

MS = 1_000_000


def meter_of(at_ms, counter=None, watts=None, reason=None):
    """`None` among the values is a read that failed; `reason` is by place."""
    nothing = [None] * len(at_ms)
    reasons = tuple(sorted(set((reason or {}).values())))
    codes = [
        reasons.index(reason[place]) if reason and place in reason else -1 for place in range(len(at_ms))
    ]
    return Meter.of(
        GpuReads(
            device=Device("box", "gpu", 0, None, "X"),
            t_ns=np.array(at_ms) * MS,
            counter_j=np.array(counter or nothing, float),
            watts=np.array(watts or nothing, float),
            lag_s=np.full(len(at_ms), 0.1),
            utilization=np.full(len(at_ms), np.nan),
            reason=np.array(codes),
            reasons=reasons,
            sources=("instant",),
            limit_w=None,
            counter_update_s=None,
            is_divided=False,
        )
    )


def joules_between(meter, start_ms, end_ms):
    return float(np.diff(meter.joules_at(np.array([start_ms, end_ms]) * MS))[0])


def gaps(meter):
    return [((gap.start_ns // MS, gap.end_ns // MS), gap.reason) for gap in meter.gaps]


def test_power_is_constant_between_reads_at_which_the_counter_moved():
    meter = meter_of([0, 50, 100, 150, 200], [7, 7, 17, 17, 37])
    assert joules_between(meter, 0, 50) == pytest.approx(5)
    assert joules_between(meter, 150, 200) == pytest.approx(10)
    assert meter.counter_j == pytest.approx(30)
    assert meter.gaps == []


def test_watts_fill_in_where_the_counter_is_missing():
    meter = meter_of([0, 100, 200, 300], [None, None, 50, 60], [100, 200, 200, 200])
    assert meter.source.tolist() == [Source.WATTS, Source.WATTS, Source.COUNTER]
    assert joules_between(meter, 0, 100) == pytest.approx(15)
    assert meter.measured_j == pytest.approx(15 + 20 + 10)
    assert (meter.counter_j, meter.integral_j) == (pytest.approx(10), pytest.approx(55))
    assert meter.disagreement == pytest.approx(1.0)


def test_a_counter_that_runs_backwards_makes_a_gap_even_where_watts_are_known():
    meter = meter_of([0, 100, 200, 300], [500, 510, 3, 13], [100] * 4)
    assert gaps(meter) == [((100, 200), "the energy counter ran backwards")]
    assert meter.measured_j == pytest.approx(20)
    assert meter.integral_j == pytest.approx(30)


def test_a_lost_gpu_makes_a_gap_from_the_last_read_to_the_next():
    lost = dict.fromkeys((2, 3), "NVML_ERROR_GPU_IS_LOST")
    meter = meter_of([0, 100, 200, 300, 400, 500], [0, 10, None, None, 40, 50], reason=lost)
    assert gaps(meter) == [((100, 400), "NVML_ERROR_GPU_IS_LOST")]
    assert meter.measured_j == pytest.approx(20)
    assert meter.gaps[0].counter_advance_j is None


def test_a_read_that_fails_now_and_then_is_bridged():
    meter = meter_of([0, 100, 200], [0, None, 40], reason={1: "NVML_ERROR_UNKNOWN"})
    assert meter.gaps == []
    assert joules_between(meter, 0, 100) == pytest.approx(20)


def test_samples_that_stop_for_longer_are_a_gap_whose_advance_is_told_and_in_no_figure():
    meter = meter_of([0, 100, 5000, 5100], [0, 10, 900, 910])
    assert gaps(meter) == [((100, 5000), "no samples")]
    assert meter.gaps[0].counter_advance_j == pytest.approx(890)
    assert meter.measured_j == pytest.approx(20)
    assert meter.known_s[-1] == pytest.approx(0.2)


def test_samples_every_ten_seconds_are_no_gaps():
    meter = meter_of([0, 10_000, 20_000], [0, 1000, 2000])
    assert (meter.gaps, meter.measured_j) == ([], pytest.approx(2000))


def test_a_counter_that_never_moves_says_nothing():
    still = meter_of([0, 1000, 2000], [5, 5, 5])
    assert (still.counter_j, still.measured_j) == (None, None)
    assert gaps(still) == [((0, 2000), "the energy counter stood still")]
    assert meter_of([0, 1000, 2000], [5, 5, 5], [50, 50, 50]).measured_j == pytest.approx(100)


def test_a_device_that_supports_nothing_has_a_gap_by_the_drivers_name():
    reason = dict.fromkeys(range(3), "NVML_ERROR_NOT_SUPPORTED")
    meter = meter_of([0, 1000, 2000], reason=reason)
    assert meter.measured_j is None
    assert gaps(meter) == [((0, 2000), "NVML_ERROR_NOT_SUPPORTED")]


def test_one_sample_says_nothing():
    meter = meter_of([0], [5])
    assert (meter.measured_j, meter.counter_j, meter.gaps) == (None, None, [])
