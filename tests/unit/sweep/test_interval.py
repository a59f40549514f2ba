"""Means and intervals over seeds."""

import pytest

from tracekit.analyzers.sweep.interval import intervals, mean_figures


def test_one_seed_is_as_it_is():
    figures = {"calls": 3, "score": None}
    assert mean_figures([figures]) == figures
    assert isinstance(mean_figures([figures])["calls"], int)
    assert intervals([figures]) == {}


def test_three_seeds_by_hand():
    of_seeds = [{"a": value, "b": 2, "c": None if value == 1.0 else 1.0} for value in (1.0, 2.0, 3.0)]
    assert mean_figures(of_seeds) == {"a": 2.0, "b": 2.0, "c": None}
    found = intervals(of_seeds)
    # t of 2 degrees of freedom at 97.5 % is 4.30265; the deviation is 1
    assert found["a"] == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), rel=1e-5)
    assert found["b"] == (2.0, 2.0)
    assert "c" not in found
