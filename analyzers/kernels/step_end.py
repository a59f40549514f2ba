"""The end of an engine step: prompts that are further or done, decodes that are over."""

import numpy as np

from tracekit.analyzers.kernels.engine_step import (
    book_decode_run,
    enter_decode,
    finished_decode,
    owe,
    rebase_if_due,
    see_decodes,
)
from tracekit.analyzers.kernels.events import set_end
from tracekit.analyzers.kernels.inner_start import open_inner_edges
from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_use import count_kv
from tracekit.analyzers.kernels.layout import NOBODY, Role, Router, Rows
from tracekit.analyzers.kernels.leaving import end_call, hand_over
from tracekit.analyzers.kernels.simulation import Simulation, touch, unsettle

ROLE_PREFILL = int(Role.PREFILL)
PREFIX_AWARE = int(Router.PREFIX_AWARE)


@kernel
def finish_prompt(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    """A prompt that is done has emitted a token, the call's first if it was not preempted."""
    row = sim.tickets[ticket]
    if row["goal"] == row["prompt"]:
        sim.calls[row["call"]]["first_token_s"] = now
    if row["next_inner"] != NOBODY:
        row["next_inner"] = open_inner_edges(sim, row["next_inner"], row["goal"] + 1 - row["prompt"], now)
    if row["goal"] + 1 == row["prompt"] + row["output"]:
        end_call(sim, replica, ticket, now)
    elif sim.pools[sim.engines[replica]["pool"]]["role"] == ROLE_PREFILL:
        hand_over(sim, replica, ticket, now)
    else:
        enter_decode(sim, replica, ticket)


@kernel
def advance_prompts(sim: Simulation, replica: int, now: float) -> None:
    """Count the chunks of the step."""
    engine = sim.engines[replica]
    ticket = engine["prompt_head"]
    engine["prompt_head"] = NOBODY
    while ticket != NOBODY:
        row = sim.tickets[ticket]
        following = sim.memory.holdings[ticket]["next"]
        if not sim.memory.holdings[ticket]["decodes"]:
            row["done"] += row["chunk"]
            row["chunk"] = 0
            if sim.router == PREFIX_AWARE:
                owe(sim, replica, ticket, row["goal"] - row["done"])
            if row["done"] == row["goal"]:
                finish_prompt(sim, replica, ticket, now)
            else:
                engine["prompt_head"] = ticket
        ticket = following


@kernel
def complete_engine_step(sim: Simulation, segments: Rows, replica: int, now: float) -> None:
    engine = sim.engines[replica]
    engine["busy"] = 0
    set_end(sim.ends, sim.winners, replica, np.inf)
    if engine["run_planned"] > 0:
        book_decode_run(sim, segments, replica, now)
    see_decodes(sim, replica)
    while True:
        ticket = finished_decode(sim, replica, now)
        if ticket == NOBODY:
            break
        end_call(sim, replica, ticket, now)
    rebase_if_due(sim, replica)
    advance_prompts(sim, replica, now)
    count_kv(sim, replica, now)
    touch(sim, replica)
    unsettle(sim, replica)
