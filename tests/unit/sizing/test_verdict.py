"""Who passes, and when a fleet may be given up early."""

import pytest

from tracekit.analyzers.sizing.verdict import Interval, is_hopeless, least_meeting


def test_190_of_200_pass():
    assert least_meeting(200) == 190
    assert least_meeting(20) == 19
    assert least_meeting(40) == 38


def test_an_interval_holds_95_percent_of_the_replicates():
    assert Interval.of([float(value) for value in range(1, 201)]) == (100.0, 5.0, 195.0)
    assert Interval.of([3.0]) == (3.0, 3.0, 3.0)


def test_a_fleet_that_can_still_pass_is_given_up_only_for_a_surprise():
    assert is_hopeless(11, 200, 200)
    assert not is_hopeless(10, 200, 200)
    assert not is_hopeless(0, 10, 200)
    assert not is_hopeless(2, 10, 200)
    assert is_hopeless(5, 10, 200)  # chance 6e-5 at 95 %
    assert not is_hopeless(4, 10, 200)  # chance 1e-3
    assert is_hopeless(2, 20, 20)
    assert not is_hopeless(250, 4990, 5000)
    assert is_hopeless(90, 1000, 5000)  # 50 are expected, and seven is the standard deviation


@pytest.mark.parametrize("replicates", [10, 50, 100, 190])
def test_more_failures_are_no_more_hopeful(replicates):
    told = [is_hopeless(failures, replicates, 200) for failures in range(replicates)]
    assert told == sorted(told)
