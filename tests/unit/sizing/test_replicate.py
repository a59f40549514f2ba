"""Replicates: the same draws for every fleet, whatever else is asked."""

import numpy as np
import pytest

from tests.unit.sizing.loads import agents
from tracekit.analyzers.sizing.model_error import AS_MODELLED
from tracekit.analyzers.sizing.replicate import Replicate


def test_more_sessions_begin_with_fewer():
    replicate = Replicate(5, 3)
    np.testing.assert_array_equal(replicate.drawn(77, 400)[:100], replicate.drawn(77, 100))
    np.testing.assert_array_equal(replicate.arrival_s(2.0, 400)[:100], replicate.arrival_s(2.0, 100))


def test_a_rate_stretches_the_same_arrivals():
    np.testing.assert_allclose(
        Replicate(0, 1).arrival_s(4.0, 50) * 2, Replicate(0, 1).arrival_s(2.0, 50), rtol=1e-12
    )


def test_seeds_and_numbers_draw_differently_and_again_the_same():
    def drawn(seed, number):
        return Replicate(seed, number).drawn(50, 30).tolist()

    assert drawn(0, 1) == drawn(0, 1)
    assert drawn(0, 1) != drawn(0, 2)
    assert drawn(0, 1) != drawn(1, 1)


def test_the_nominal_one_takes_the_model_as_it_is():
    replicate = Replicate(0, 4)
    assert replicate.deviation() == replicate.deviation() != AS_MODELLED
    nominal = replicate._replace(is_nominal=True)
    assert nominal.deviation() == AS_MODELLED
    assert nominal.drawn(50, 30).tolist() == replicate.drawn(50, 30).tolist()


def test_a_recording_is_drawn_before_its_sessions():
    """Of few recorded sessions about a third is in no replicate: as if another recording lacked it."""
    kinds = [len(np.unique(Replicate(0, number).drawn(100, 5000))) for number in range(30)]
    assert np.mean(kinds) == pytest.approx(100 * (1 - np.exp(-1)), abs=2)


def test_arrivals_are_poisson():
    waits_s = np.diff(Replicate(9, 0).arrival_s(5.0, 20_000))
    assert waits_s.mean() == pytest.approx(0.2, rel=0.03)
    assert waits_s.std() == pytest.approx(0.2, rel=0.04)


def test_its_workload_is_of_the_drawn_sessions():
    recorded = agents()
    workload, drawn = Replicate(0, 0).workload(recorded, 1.0, 25)
    assert len(workload.session_arrival_s) == len(drawn) == 25
    first = workload.session_step_start[:-1]
    np.testing.assert_array_equal(
        workload.input_tokens[first], recorded.input_tokens[recorded.session_step_start[drawn]]
    )
