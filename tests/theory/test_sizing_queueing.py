"""Sizes that a formula knows. `python -m benchmarks.known_sizes` asks 200 seeds; these are a few of them."""

import pytest

from benchmarks.known_sizes import problem, right_size, solved, true_p95_s
from tracekit.analyzers.sizing.crew import crew_of_threads


def test_the_formula_is_that_of_one_server_where_there_is_one():
    # M/M/1: the sojourn time is exponential with the rate mu - lambda
    assert true_p95_s(0.5, 1) == pytest.approx(2.995732 / 0.5, rel=1e-6)
    assert true_p95_s(1.0, 1) == float("inf")
    assert true_p95_s(0.01, 8) == pytest.approx(2.995732, rel=1e-3)


@pytest.mark.parametrize("seed", [4, 6])
def test_the_size_is_the_analytic_one_or_one_off_and_its_interval_holds_the_truth(seed):
    asked = problem(seed)
    with crew_of_threads() as crew:
        found = solved(asked, crew, replicates=40)
    assert found.right == right_size(asked)
    assert found.is_near, found
    assert found.is_covered, found
