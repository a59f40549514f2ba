"""A power record spelled by hand is the record that the encoder spells."""

import json

import pytest

from tracekit.collectors.power.power_line import power_line

SHORT = {
    "power_w": 312.345,
    "power_source": "instant",
    "power_average_w": 1e-7,
    "energy_counter_j": 123456.789,
}


@pytest.mark.parametrize(
    "values",
    [
        SHORT,
        SHORT | {"power_average_w": None},
        SHORT | {"utilization_gpu": 0.5, "process_pids": [1]},
        {name: SHORT[name] for name in reversed(SHORT)},
        {"energy_counter_j": 3, "power_w": 2, "power_source": "usage", "power_average_w": 1},
    ],
)
def test_a_line_says_what_was_read(values):
    line = power_line(1763868000123456789, "gpu3", values)
    assert line.endswith(b"}\n")
    assert json.loads(line) == {"t": "power", "ns": 1763868000123456789, "id": "gpu3", **values}
