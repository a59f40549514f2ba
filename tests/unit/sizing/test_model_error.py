"""The lognormal factors: as wide as the error says, and every second and watt is off by them."""

import numpy as np
import pytest

from tests.unit.sizing.loads import agents
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.release import poisson_release
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.sizing.model_error import (
    EXACT,
    Deviation,
    ModelError,
    deviating,
    model_error,
    sigma_of,
)


@pytest.mark.parametrize("mape", [0.01, 0.061, 0.134, 0.5])
def test_sigma_gives_back_the_mean_error(mape):
    z = np.random.default_rng(0).standard_normal(400_000)
    assert np.abs(np.exp(sigma_of(mape) * z) - 1).mean() == pytest.approx(mape, rel=0.02)


def test_a_fleet_has_the_error_of_its_worst_pool():
    dense = model_error(Fleet.of("H100", "Llama-3.1-8B"))
    experts = model_error(Fleet.of("H100", "Mixtral-8x7B", tp=2))
    assert experts.time > dense.time > 0
    assert experts.power > dense.power > 0


def test_time_and_power_are_off_by_the_factors_and_nothing_else():
    workload = poisson_release(agents(), 0.01, 30, seed=1)[0]  # so rare that nobody waits
    (pool,) = pools_of(Fleet.of("H100", "Llama-3.1-8B"))
    error = ModelError(0.1, 0.2)
    slow = deviating(pool, error, Deviation(time=2.0))
    hot = deviating(pool, error, Deviation(power=-1.0))
    as_is, slower, cooler = (replay_pools(workload, [one], 1) for one in (pool, slow, hot))

    def call_s(outcome):
        return outcome.calls["end_s"] - outcome.calls["queued_s"]

    np.testing.assert_allclose(call_s(slower), np.exp(0.2) * call_s(as_is), rtol=1e-6)
    np.testing.assert_array_equal(call_s(cooler), call_s(as_is))
    np.testing.assert_allclose(cooler.calls["energy_j"], np.exp(-0.2) * as_is.calls["energy_j"], rtol=1e-9)
    # as hot as before, for longer
    np.testing.assert_allclose(slower.calls["energy_j"], np.exp(0.2) * as_is.calls["energy_j"], rtol=1e-3)
    assert deviating(pool, EXACT, Deviation(3.0, 3.0)) == pool
