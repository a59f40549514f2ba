"""One GPU that two samplers read at once: the joules are counted once, and nothing is taken for a reset."""

from random import Random

import numpy as np
import pytest

from tests.unit.crafted_trace import write_crafted
from tracekit.analyzers.metering.meter import Meter
from tracekit.analyzers.metering.reads import PowerSamples
from tracekit.merging.merge import merge_traces
from tracekit.trace import Trace

MS = 1_000_000
START_NS = 1_700_000_000_000 * MS


def rows_of(start_ms, end_ms, every_ms, slow_ms, random):
    """A sampler's rows of a GPU that draws 200 W and counts every 100 ms; reading the counter takes a while."""
    rows, at_ms = [], float(start_ms)
    while at_ms < end_ms:
        counter_j = 1000 + 20.0 * ((at_ms + random.uniform(0, slow_ms)) // 100)
        rows.append(
            {"row_id": len(rows), "start_ns": START_NS + int(at_ms * MS), "host": "box", "gpu_index": 0,
             "gpu_uuid": "GPU-1", "energy_counter_j": counter_j, "power_w": 200.0, "power_source": "instant"}
        )  # fmt: skip
        at_ms += every_ms
    return rows


def merged_meter(tmp_path, *parts):
    paths = [write_crafted(tmp_path / f"{place}.parquet", (), power=part) for place, part in enumerate(parts)]
    merge_traces(paths, tmp_path / "all.parquet", offsets_s={}, software_version="test")
    samples = PowerSamples.of(Trace.open(tmp_path / "all.parquet"))
    assert len(samples.devices) == 1
    return Meter.of(samples.reads(0))


@pytest.mark.parametrize("seed", range(5))
def test_joules_are_counted_once(tmp_path, seed):
    random = Random(seed)
    agents, hosts = rows_of(1_992, 8_000, 50, 15, random), rows_of(45, 10_000, 50, 15, random)
    meter = merged_meter(tmp_path, agents, hosts)
    assert meter.counter_resets == 0
    assert meter.gaps == []
    assert meter.measured_j == pytest.approx(200 * 10, abs=200 * 0.25)


def test_one_after_the_other_and_where_one_was_silent(tmp_path):
    """Every stretch that one of them saw is measured."""
    random = Random(1)
    first = rows_of(0, 4_000, 50, 0, random) + rows_of(14_000, 20_000, 50, 0, random)
    second = rows_of(3_000, 16_000, 100, 0, random)
    meter = merged_meter(tmp_path, first, second)
    assert np.all(np.diff(meter.reads.t_ns) > 0)
    assert meter.gaps == []
    assert meter.measured_j == pytest.approx(200 * 20, abs=200 * 0.3)


def test_rows_in_no_order_are_sorted(tmp_path):
    rows = rows_of(0, 10_000, 50, 0, Random(2))
    Random(3).shuffle(rows)
    meter = merged_meter(tmp_path, rows)
    assert len(meter.reads.t_ns) == len(rows)
    assert meter.measured_j == pytest.approx(200 * 10, abs=200 * 0.25)
