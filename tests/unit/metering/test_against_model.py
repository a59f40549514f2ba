"""A phase measured and modelled: the difference where it says something."""

import pytest

from tracekit.analyzers.metering.against_model import Comparison
from tracekit.analyzers.metering.cut import Figure


def compared(energy_j=100.0, bound_j=5.0, gpu_s=1.0, unmeasured_s=0.0, modelled_j=110.0, modelled_s=1.0):
    return Comparison("busy", Figure(energy_j, bound_j, gpu_s, unmeasured_s), modelled_j, modelled_s)


def test_modelled_over_measured():
    assert compared().difference == pytest.approx(0.1)


def test_a_moment_that_was_not_measured_is_taken_at_the_mean_power():
    """A sampler begins a moment after the agent: 96 J in 0.96 s are 100 J in 1 s."""
    assert compared(energy_j=96.0, unmeasured_s=0.04).difference == pytest.approx(0.1)


@pytest.mark.parametrize(
    "words",
    [
        {"unmeasured_s": 0.06},
        {"unmeasured_s": 1.0, "energy_j": 0.0},
        {"bound_j": 100.0},
        {"energy_j": 0.0, "bound_j": 0.0},
        {"modelled_s": 0.0, "modelled_j": 0.0},
    ],
)
def test_where_it_would_say_nothing_there_is_none(words):
    assert compared(**words).difference is None
