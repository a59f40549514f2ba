import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.agreement import assert_same_outcome
from tests.oracle.replay_oracle import replay_by_hand
from tests.oracle.workloads import Scenario, crowd, scenarios
from tracekit.analyzers.kernels.replay import replay


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios())
def test_kernel_agrees_with_the_definition(scenario: Scenario) -> None:
    assert_same_outcome(replay(*scenario), replay_by_hand(*scenario))


@pytest.mark.parametrize("seed", range(24))
def test_kernel_agrees_on_a_busy_fleet(seed: int) -> None:
    scenario = crowd(seed)
    assert_same_outcome(replay(*scenario), replay_by_hand(*scenario))
