"""Workloads of agents, drawn: chains of calls with lags between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.open_loop import lengths
from tracekit.analyzers.kernels.layout import NOBODY, Floats, SmallInts, StepKind, Workload

CALLS = 10
"""Of a session, one after the other, where nothing else is said."""


class Prompts(NamedTuple):
    """Of n calls, (n,) each: token counts, and how much of which call's text each prompt begins with."""

    input_tokens: SmallInts
    output_tokens: SmallInts
    shared_with: SmallInts
    shared_tokens: SmallInts


def drawn_agents(
    sessions: int, sessions_per_s: float, *, system_tokens: int = 0, mean_lag_s: float = 5.0, seed: int = 7
) -> Workload:
    """Poisson arrivals, exponential lags, lengths drawn call by call from Azure's conversation trace.

    Every prompt begins with one and the same of `system_tokens`. int32 all the way: ten million calls are to leave
    room for the replay.
    """
    random = np.random.default_rng(seed)
    known = lengths()
    row = random.integers(0, known.input_tokens.size, sessions * CALLS, dtype=np.int32)
    shared_with = np.full(row.size, NOBODY if system_tokens == 0 else 0, np.int32)
    shared_tokens = np.full(row.size, system_tokens, np.int32)
    shared_with[0], shared_tokens[0] = NOBODY, 0
    inputs = known.input_tokens[row] + np.int32(system_tokens)
    prompts = Prompts(inputs, known.output_tokens[row], shared_with, shared_tokens)
    del row
    arrival_s = random.exponential(1 / sessions_per_s, sessions).cumsum()
    lag_s = random.standard_exponential(sessions * CALLS)
    lag_s *= mean_lag_s
    return chains(prompts, arrival_s, lag_s, CALLS)


def grown_agents(
    sessions: int, last_prompt_tokens: int, seconds_apart: float, *, calls: int = CALLS
) -> Workload:
    """Sessions whose prompts grow evenly up to the last, and each begin with all of the prompt before."""
    grown = np.maximum(1, last_prompt_tokens * np.arange(1, calls + 1) // calls).astype(np.int32)
    before = np.concatenate([[0], grown[:-1]]).astype(np.int32)
    steps = sessions * calls
    previous = np.arange(-1, steps - 1, dtype=np.int32)
    previous[::calls] = NOBODY
    outputs = np.full(steps, 100, np.int32)
    prompts = Prompts(np.tile(grown, sessions), outputs, previous, np.tile(before, sessions))
    return chains(prompts, seconds_apart * np.arange(sessions, dtype=np.float64), np.ones(steps), calls)


def chains(prompts: Prompts, arrival_s: Floats, lag_s: Floats, calls: int) -> Workload:
    """Sessions of so many calls each; `lag_s` (n,) is set to 0 where a session begins."""
    sessions, steps = arrival_s.size, arrival_s.size * calls
    lag_s[::calls] = 0.0
    is_first = np.zeros(steps, np.bool_)
    is_first[::calls] = True
    # every step but a session's last has one child, the next
    child_start = np.zeros(steps + 1, np.int32)
    np.cumsum(~np.roll(is_first, -1), dtype=np.int32, out=child_start[1:])
    return Workload(
        session_arrival_s=arrival_s - arrival_s[0],
        session_tail_s=np.zeros(sessions),
        session_step_start=np.arange(0, steps + 1, calls),
        kind=np.full(steps, StepKind.CALL, np.int8),
        session=np.repeat(np.arange(sessions, dtype=np.int32), calls),
        input_tokens=prompts.input_tokens,
        output_tokens=prompts.output_tokens,
        duration_s=np.zeros(steps),
        lag_s=lag_s,
        parent_count=(~is_first).astype(np.int32),
        child_start=child_start,
        child_index=np.flatnonzero(~is_first).astype(np.int32),
        prefix_parent=prompts.shared_with,
        prefix_tokens=prompts.shared_tokens,
    )
