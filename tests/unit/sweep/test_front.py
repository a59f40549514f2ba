"""Fronts worked out by hand, and against the definition."""

import numpy as np
import pytest

from tracekit.analyzers.sweep.front import pareto_front

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "front"),
    [
        ([(1, 4), (2, 2), (4, 1), (3, 3), (2, 4)], [True, True, True, False, False]),
        ([(1, 1), (1, 1), (1, 2)], [True, True, False]),  # alike stay together
        ([(2, 1), (NAN, 0), (1, NAN), (3, 3)], [True, False, False, False]),
        ([(NAN, NAN)], [False]),
        ([(5,), (3,), (3,), (4,)], [False, True, True, False]),
        ([(1, 2, 3), (1, 2, 2), (2, 1, 9), (3, 3, 1)], [False, True, True, True]),
    ],
)
def test_by_hand(values, front):
    assert pareto_front(np.array(values, float)).tolist() == front


def test_no_points():
    assert pareto_front(np.zeros((0, 2))).tolist() == []


def test_against_the_definition():
    random = np.random.default_rng(3)
    values = random.integers(0, 6, (200, 3)).astype(float)
    values[random.random((200, 3)) < 0.02] = NAN
    known = ~np.isnan(values).any(axis=1)
    expected = [
        bool(known[i])
        and not any(
            known[j] and (values[j] <= values[i]).all() and (values[j] < values[i]).any() for j in range(200)
        )
        for i in range(200)
    ]
    assert pareto_front(values).tolist() == expected
    assert 0 < sum(expected) < 200
