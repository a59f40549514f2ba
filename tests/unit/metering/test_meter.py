"""Joules from samples: what counts, what is a gap, and why."""

import numpy as np
import pytest

from tracekit.analyzers.metering.by_source import BySource
from tracekit.analyzers.metering.cut import Cut
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
            mig=False,
        )
    )


def joules_between(meter, start_ms, end_ms):
    return float(np.diff(meter.joules_at(np.array([start_ms, end_ms]) * MS))[0])


def joules_by(meter, kind):
    said = BySource.of(meter, kind)
    return None if said is None else said.energy_j


def gaps(meter):
    return [((gap.start_ns // MS, gap.end_ns // MS), gap.reason) for gap in meter.gaps]


def test_power_is_constant_between_reads_at_which_the_counter_moved():
    meter = meter_of([0, 50, 100, 150, 200], [7, 7, 17, 17, 37])
    assert joules_between(meter, 0, 50) == pytest.approx(5)
    assert joules_between(meter, 150, 200) == pytest.approx(10)
    assert joules_by(meter, Source.COUNTER) == pytest.approx(30)
    assert meter.gaps == []


def test_watts_fill_in_where_the_counter_is_missing():
    meter = meter_of([0, 100, 200, 300], [None, None, 50, 60], [100, 200, 200, 200])
    assert meter.source.tolist() == [Source.WATTS, Source.WATTS, Source.COUNTER]
    assert joules_between(meter, 0, 100) == pytest.approx(15)
    assert meter.measured_j == pytest.approx(15 + 20 + 10)
    assert (joules_by(meter, Source.COUNTER), joules_by(meter, Source.WATTS)) == (
        pytest.approx(10),
        pytest.approx(55),
    )
    assert meter.common.difference == pytest.approx(1.0)


def test_a_counter_that_runs_backwards_makes_a_gap_even_where_watts_are_known():
    meter = meter_of([0, 100, 200, 300], [500, 510, 3, 13], [100] * 4)
    assert gaps(meter) == [((100, 200), "the energy counter ran backwards")]
    assert meter.measured_j == pytest.approx(20)
    assert joules_by(meter, Source.WATTS) == pytest.approx(30)


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
    assert (joules_by(still, Source.COUNTER), still.measured_j) == (None, None)
    assert gaps(still) == [((0, 2000), "the energy counter stood still")]
    assert meter_of([0, 1000, 2000], [5, 5, 5], [50, 50, 50]).measured_j == pytest.approx(100)


def test_a_device_that_supports_nothing_has_a_gap_by_the_drivers_name():
    reason = dict.fromkeys(range(3), "NVML_ERROR_NOT_SUPPORTED")
    meter = meter_of([0, 1000, 2000], reason=reason)
    assert meter.measured_j is None
    assert gaps(meter) == [((0, 2000), "NVML_ERROR_NOT_SUPPORTED")]


def test_one_sample_says_nothing():
    meter = meter_of([0], [5])
    assert (meter.measured_j, joules_by(meter, Source.COUNTER), meter.gaps) == (None, None, [])


def test_each_source_has_its_own_bound_and_what_figures_use_has_the_counters():
    meter = meter_of(range(0, 1001, 50), [2.5 * place for place in range(21)], [50.0, 60.0] * 10 + [50.0])
    counter, integral = BySource.of(meter, Source.COUNTER), BySource.of(meter, Source.WATTS)
    assert (counter.energy_j, integral.energy_j) == (pytest.approx(50), pytest.approx(55))
    assert 0.0 < counter.error_j < integral.error_j
    whole = Cut.of(meter, meter.run_edges_ns).figure(np.ones(len(meter.run_edges_ns) - 1, bool))
    assert counter.error_j == whole.bound_j
    assert meter.only(Source.WATTS).gaps == []


def test_a_reset_is_counted_and_leaves_the_rest():
    meter = meter_of([0, 100, 200, 300, 400], [500, 510, 3, 13, 23], [100] * 5)
    said = BySource.of(meter, Source.COUNTER)
    assert (said.energy_j, said.seconds, meter.counter_resets) == (30.0, pytest.approx(0.3), 1)
    assert BySource.of(meter, Source.WATTS).seconds == pytest.approx(0.4)


def test_a_last_read_at_which_the_counter_has_not_moved_may_hide_what_came_since_it_last_did():
    """At 100 W the read at 100 ms may be 50 ms old, so 100 ms may be hidden at the last one, and 5 J at the first."""
    said = BySource.of(meter_of([0, 50, 100, 150], [0, 5, 10, 10]), Source.COUNTER)
    assert (said.energy_j, said.error_j) == (pytest.approx(10), pytest.approx(10, abs=0.01))
