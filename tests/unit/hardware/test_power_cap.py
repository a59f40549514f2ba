"""A power cap saves watts and costs time where GPUs compute."""

import pytest

from tracekit.analyzers.hardware.power_cap import capped_cost
from tracekit.analyzers.hardware.step_cost import replica_cost
from tracekit.analyzers.scenario import Fleet
from tracekit.errors import ScenarioInvalid

REPLICA = Fleet.of("H100", "Llama-3.1-8B", tp=2).pools[0].replica()
FREE = replica_cost(REPLICA)


def test_from_the_power_limit_on_nothing_changes() -> None:
    assert capped_cost(FREE, REPLICA, 700.0) == capped_cost(FREE, REPLICA, 9e3) == FREE


def test_no_step_draws_more_than_the_cap() -> None:
    held = capped_cost(FREE, REPLICA, 400.0).power
    assert held.floor_w == FREE.power.floor_w
    assert held.floor_w + held.span_w == pytest.approx(2 * 400.0)


def test_an_eighth_of_the_span_halves_the_clock() -> None:
    floor_w = FREE.power.floor_w / 2
    held = capped_cost(FREE, REPLICA, floor_w + (700.0 - floor_w) / 8)
    assert held.step.prefill_token_s - FREE.step.prefill_token_s == pytest.approx(
        FREE.step.token_compute_share_s
    )
    assert held.step.attention_compute_share_s == pytest.approx(2 * FREE.step.attention_compute_share_s)
    assert held.step.base_s == FREE.step.base_s


def test_less_power_is_less_energy_and_more_time_for_a_long_prompt() -> None:
    caps_w = [300.0, 400.0, 550.0, 700.0]
    seconds = [capped_cost(FREE, REPLICA, cap_w).step.prefill_token_s for cap_w in caps_w]
    assert seconds == sorted(seconds, reverse=True)
    driven_w = [
        cost.power.span_w * cost.power.driven_prefill_token_s
        for cost in (capped_cost(FREE, REPLICA, cap_w) for cap_w in caps_w)
    ]
    assert driven_w == sorted(driven_w)


def test_a_cap_below_what_nothing_draws_is_refused() -> None:
    with pytest.raises(ScenarioInvalid, match="before anything runs"):
        capped_cost(FREE, REPLICA, 100.0)
    with pytest.raises(ScenarioInvalid, match="power_cap_w is 'low'"):
        Fleet.of("H100", "Llama-3.1-8B", power_cap_w="low")
