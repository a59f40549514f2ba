from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.agreement import assert_same_outcome
from tests.oracle.fleets import EVERYTHING, FleetScenario, features, fleet_crowd, fleet_scenarios
from tests.oracle.replay_oracle import replay_by_hand, replay_pools_by_hand
from tests.oracle.workloads import Scenario, crowd, scenarios
from tracekit.analyzers.kernels.replay import replay, replay_pools

CROWDS = range(100)
SESSIONS = 10


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(scenarios())
def test_kernel_agrees_with_the_definition(scenario: Scenario) -> None:
    assert_same_outcome(replay(*scenario), replay_by_hand(*scenario))


@settings(max_examples=180, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(fleet_scenarios())
def test_kernel_agrees_on_fleets_of_pools(scenario: FleetScenario) -> None:
    assert_same_outcome(replay_pools(*scenario), replay_pools_by_hand(*scenario))


@pytest.mark.parametrize("seed", range(12))
def test_kernel_agrees_on_a_busy_fleet(seed: int) -> None:
    scenario = crowd(seed)
    assert_same_outcome(replay(*scenario), replay_by_hand(*scenario))


@pytest.mark.parametrize("seed", CROWDS)
def test_kernel_agrees_on_busy_pools(seed: int) -> None:
    scenario = fleet_crowd(seed, SESSIONS)
    assert_same_outcome(replay_pools(*scenario), replay_pools_by_hand(*scenario))


def test_everything_comes_up_in_the_busy_pools() -> None:
    seen: Counter[str] = Counter()
    for seed in CROWDS:
        scenario = fleet_crowd(seed, SESSIONS)
        seen.update(features(scenario, replay_pools(*scenario)))
    assert seen.keys() >= EVERYTHING, EVERYTHING - seen.keys()
