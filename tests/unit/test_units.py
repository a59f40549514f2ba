"""Numbers at the edges of their units."""

import pytest

from tracekit import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (12e-6, "12 us"),
        (0.9996, "1 s"),
        (0.0123, "12.3 ms"),
        (119, "119 s"),
        (179.7, "3 min"),
        (2705, "45 min 05 s"),
        (9000, "2.5 h"),
        (-138.36, "-2 min 18 s"),
        (-0.0123, "-12.3 ms"),
    ],
)
def test_seconds(value, text):
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value_wh", "text"), [(0.0781, "0.0781 Wh"), (999.9, "1 kWh"), (12345, "12.3 kWh"), (0, "0 Wh")]
)
def test_energy(value_wh, text):
    assert units.energy(value_wh * 3600) == text


@pytest.mark.parametrize(
    ("value_usd", "text"), [(None, "-"), (0, "$0"), (0.5, "$0.5"), (8.894e-5, "$0.0000889"), (0.99999, "$1")]
)
def test_dollars(value_usd, text):
    assert units.dollars(value_usd) == text


@pytest.mark.parametrize(
    ("value_w", "text"),
    [
        (None, "-"),
        (0, "0 W"),
        (999.4, "999 W"),
        (999.9, "1 kW"),
        (86921, "86.9 kW"),
        (1.5e6, "1.5 MW"),
        (2e9, "2 GW"),
    ],
)
def test_watts(value_w, text):
    assert units.watts(value_w) == text


def test_the_rest():
    assert (units.dollars(0.00421), units.dollars(1234.5), units.percent(0.0421), units.count(1e6)) == (
        "$0.00421",
        "$1,234",
        "4.2 %",
        "1,000,000",
    )
    assert (units.ratio_of(1, 0), units.ratio_of(1, 4), units.ratio(None)) == (None, 0.25, "-")
