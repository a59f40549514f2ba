"""Sessions without their longest waits, and long recordings by a sample."""

import numpy as np

from tests.unit.sizing.loads import agents
from tracekit.analyzers.sizing.sample import sampled_sessions
from tracekit.analyzers.sizing.waits import without_long_waits


def test_waits_are_cut_and_calls_stay():
    recorded = agents()
    told = without_long_waits(recorded, 0.5)
    assert told.waits == np.count_nonzero(recorded.duration_s > 0.5) > 0
    assert told.workload.duration_s.max() == 0.5
    np.testing.assert_array_equal(told.workload.input_tokens, recorded.input_tokens)
    short = recorded.duration_s <= 0.5
    np.testing.assert_array_equal(told.workload.duration_s[short], recorded.duration_s[short])
    assert without_long_waits(recorded, 1e9).waits == 0


def test_a_long_recording_is_sampled_without_repeating_a_session():
    recorded = agents()
    assert sampled_sessions(recorded, 0) is recorded
    some = sampled_sessions(recorded, 0, most=15)
    arrivals = some.session_arrival_s
    assert len(arrivals) == len(np.unique(arrivals)) == 15
    np.testing.assert_array_equal(arrivals, sampled_sessions(recorded, 0, most=15).session_arrival_s)
    places = arrivals.astype(int)  # a session a second
    first = some.session_step_start[:-1]
    np.testing.assert_array_equal(
        some.input_tokens[first], recorded.input_tokens[recorded.session_step_start[places]]
    )
