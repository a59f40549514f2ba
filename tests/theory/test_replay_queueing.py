"""Limits with a formula. One call at a time and one step per call make a replica a single-server queue.

Each test runs seeded replications and asks whether the formula lies in the band of their mean (t, 99.9 %).
"""

from collections.abc import Callable

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, NEVER, fleet
from tracekit.analyzers.kernels.layout import BLOCK_TOKENS, NOBODY, State, StepCost, StepKind, Workload
from tracekit.analyzers.kernels.replay import replay

REPLICATIONS = 30
T_999 = 3.659  # two-sided, 29 degrees of freedom
TOKENS = 100_000
"""Tokens of the mean prompt: enough for a prompt length to be a continuous service time."""

PER_TOKEN = StepCost(0.0, 1.0 / TOKENS, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
ONE_AT_A_TIME = fleet(max_num_seqs=1, max_num_batched_tokens=NEVER)

SERVICE: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "M/D/1": lambda draw, n: np.ones(n),
    "M/M/1": lambda draw, n: draw.exponential(1.0, n),
    "M/G/1": lambda draw, n: draw.lognormal(-0.125, 0.5, n),
}
SECOND_MOMENT = {"M/D/1": 1.0, "M/M/1": 2.0, "M/G/1": np.exp(0.25)}


def open_loop(arrival_s: np.ndarray, service_s: np.ndarray) -> Workload:
    n = arrival_s.size
    return Workload(
        session_arrival_s=arrival_s,
        session_tail_s=np.zeros(n),
        session_step_start=np.arange(n + 1),
        kind=np.full(n, StepKind.CALL, np.int8),
        session=np.arange(n),
        input_tokens=np.maximum(1, np.rint(service_s * TOKENS)).astype(np.int64),
        output_tokens=np.ones(n, np.int64),
        duration_s=np.zeros(n),
        lag_s=np.zeros(n),
        parent_count=np.zeros(n, np.int64),
        child_start=np.zeros(n + 1, np.int64),
        child_index=np.zeros(0, np.int64),
        prefix_parent=np.full(n, NOBODY),
        prefix_tokens=np.zeros(n, np.int64),
    )


def assert_in_band(values: list[float], expected: float) -> None:
    mean, half = np.mean(values), T_999 * np.std(values, ddof=1) / np.sqrt(len(values))
    assert abs(mean - expected) < half, f"{mean:.4f} +- {half:.4f}, the formula says {expected:.4f}"
    assert half < 0.1 * expected, "the band is too wide to tell anything"


@pytest.mark.parametrize("load", [0.3, 0.6, 0.85])
@pytest.mark.parametrize("queue", list(SERVICE))
def test_mean_wait_is_pollaczek_khinchine(queue: str, load: float) -> None:
    waits = []
    for seed in range(REPLICATIONS):
        draw = np.random.default_rng(seed)
        n = 20_000
        arrival_s = np.cumsum(draw.exponential(1.0 / load, n))
        calls = replay(open_loop(arrival_s, SERVICE[queue](draw, n)), PER_TOKEN, FLAT, ONE_AT_A_TIME).calls
        waits.append(float((calls["started_s"] - calls["queued_s"])[n // 10 :].mean()))
    assert_in_band(waits, load * SECOND_MOMENT[queue] / (2.0 * (1.0 - load)))


def test_littles_law() -> None:
    """The integral of what is held is the sum of how long each call holds it, to the last digit."""
    draw = np.random.default_rng(7)
    n = 5_000
    workload = open_loop(np.cumsum(draw.exponential(0.01, n)), draw.exponential(1.0, n))
    cost = StepCost(5e-3, 1e-8, 0.0, 1e-4, 0.0, 1.0, 0.0, 0.0, 0.0)
    outcome = replay(workload, cost, FLAT, fleet(3, max_num_seqs=16, max_num_batched_tokens=NEVER))
    calls = outcome.calls
    held = -(-workload.input_tokens // BLOCK_TOKENS) * BLOCK_TOKENS
    np.testing.assert_allclose(
        outcome.kv_token_s, (held * (calls["end_s"] - calls["started_s"])).sum(), rtol=1e-12
    )


def machine_repair(draw: np.random.Generator, sessions: int, cycles: int, think_s: float) -> Workload:
    """Sessions that alternate between a call of exponential length and a tool of exponential length."""
    steps = 2 * cycles
    n = sessions * steps
    is_call = np.tile([False, True], sessions * cycles)
    is_last = np.arange(n) % steps == steps - 1
    tokens = np.rint(draw.exponential(TOKENS, n)).astype(np.int64)
    return Workload(
        session_arrival_s=np.zeros(sessions),
        session_tail_s=np.zeros(sessions),
        session_step_start=np.arange(sessions + 1) * steps,
        kind=np.where(is_call, StepKind.CALL, StepKind.TOOL).astype(np.int8),
        session=np.repeat(np.arange(sessions), steps),
        input_tokens=np.where(is_call, np.maximum(1, tokens), 0),
        output_tokens=is_call.astype(np.int64),
        duration_s=np.where(is_call, 0.0, draw.exponential(think_s, n)),
        lag_s=np.zeros(n),
        parent_count=(np.arange(n) % steps > 0).astype(np.int64),
        child_start=np.concatenate([[0], np.cumsum(~is_last)]),
        child_index=np.flatnonzero(np.arange(n) % steps > 0),
        prefix_parent=np.full(n, NOBODY),
        prefix_tokens=np.zeros(n, np.int64),
    )


def test_utilisation_of_a_closed_loop() -> None:
    """N agents whose tools take Z and calls take S: 1 / sum(N! / (N - k)! (S / Z)^k) of the time is idle."""
    agents, think_s = 4, 3.0
    weights = np.cumprod([1.0, *((agents - k) / think_s for k in range(agents))])
    busy = []
    for seed in range(REPLICATIONS):
        workload = machine_repair(np.random.default_rng(seed), agents, 1_000, think_s)
        outcome = replay(workload, PER_TOKEN, FLAT, ONE_AT_A_TIME)
        until = outcome.sessions["end_s"].min()  # while all agents are still there
        work = outcome.segments[outcome.segments["state"] != State.IDLE]
        inside = np.minimum(work["end_s"], until) - np.minimum(work["start_s"], until)
        busy.append(float(inside.sum() / until))
    assert_in_band(busy, 1.0 - 1.0 / weights.sum())
