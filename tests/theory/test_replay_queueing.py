"""Limits with a formula. One call at a time and one step per call make a replica a single-server queue.

Steps of one length and `max_num_seqs` of c make a replica c servers with one queue: a call's service is its output
tokens. (c replicas are not: a router gives each its own queue.)

Each test runs seeded replications and asks whether the formula lies in the band of their mean (t, 99.9 %).
"""

from collections.abc import Callable
from math import factorial

import numpy as np
import pytest

from tests.oracle.workloads import FLAT, NEVER, fleet
from tracekit.analyzers.kernels.layout import (
    BLOCK_TOKENS,
    NOBODY,
    Router,
    State,
    StepCost,
    StepKind,
    Workload,
)
from tracekit.analyzers.kernels.replay import replay

REPLICATIONS = 30
T_999 = 3.659  # two-sided, 29 degrees of freedom
TOKENS = 100_000
"""Tokens of the mean prompt: enough for a prompt length to be a continuous service time."""

PER_TOKEN = StepCost(0.0, 1.0 / TOKENS, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
STEP_S = 2.0**-8
"""Short against a service of 1 s; arrivals that are multiples of it never fall into a step."""

PER_STEP = StepCost(STEP_S, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
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


def erlang_c(servers: int, load: float) -> float:
    """Return the share of arrivals that wait in M/M/c."""
    offered = servers * load
    waiting = offered**servers / factorial(servers) / (1.0 - load)
    return waiting / (sum(offered**k / factorial(k) for k in range(servers)) + waiting)


def geometric_calls(draw: np.random.Generator, n: int, rate: float) -> Workload:
    """Return arrivals on the grid of steps and geometric outputs: services exponential but for the grid, 1 s."""
    arrival_s = STEP_S * np.floor(np.cumsum(draw.exponential(1.0 / rate, n)) / STEP_S)
    return open_loop(arrival_s, np.zeros(n))._replace(output_tokens=draw.geometric(STEP_S, n))


@pytest.mark.parametrize("load", [0.6, 0.8])
@pytest.mark.parametrize("servers", [2, 5])
def test_mean_wait_of_many_servers_is_erlang_c(servers: int, load: float) -> None:
    one_queue = fleet(max_num_seqs=servers, max_num_batched_tokens=NEVER)
    waits = []
    for seed in range(REPLICATIONS):
        n = 12_000
        workload = geometric_calls(np.random.default_rng(seed), n, servers * load)
        calls = replay(workload, PER_STEP, FLAT, one_queue).calls
        waits.append(float((calls["started_s"] - calls["queued_s"])[n // 10 :].mean()))
    assert_in_band(waits, erlang_c(servers, load) / (servers * (1.0 - load)))


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


def test_interactive_law() -> None:
    """M agents, calls of R and tools of Z on average: together M / (R + Z) calls a second, however busy."""
    agents, think_s = 12, 3.0
    cost = StepCost(0.2, 1.0 / TOKENS, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    shared = fleet(2, Router.LEAST_OUTSTANDING, max_num_seqs=3, max_num_batched_tokens=NEVER)
    present = []
    for seed in range(REPLICATIONS):
        workload = machine_repair(np.random.default_rng(seed), agents, 500, think_s)
        outcome = replay(workload, cost, FLAT, shared)
        until = outcome.sessions["end_s"].min()  # while all agents are still there
        ended = outcome.calls[outcome.calls["end_s"] <= until]
        response_s = (ended["end_s"] - ended["queued_s"]).mean()
        present.append(float(ended.size / until * (response_s + think_s)))
    assert_in_band(present, agents)
