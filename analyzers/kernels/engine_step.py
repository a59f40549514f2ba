"""A step of a replica, as vLLM V1 schedules it (docs/background-scheduler.md), and what comes of it.

A decode step costs O(1): a replica counts its decode steps, keeps the counts at which its calls finish in a
heap, sums the contexts of its decoding calls, and counts them by the step in which they need another block.
"""

from tracekit.analyzers.kernels.decode_run import (
    REBASE_STEPS,
    block_seconds,
    blocks_of_step,
    blocks_of_steps,
    run_end,
    steps_ahead,
)
from tracekit.analyzers.kernels.events import heap_pop, heap_push, heap_remove, set_end
from tracekit.analyzers.kernels.host_memory import first_to_admit, with_loaded
from tracekit.analyzers.kernels.idleness import append_segment, leave_idle, leave_passed_over, session_of
from tracekit.analyzers.kernels.inner_start import next_mark, open_inner_edges
from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.kv_growth import fill
from tracekit.analyzers.kernels.kv_holding import hold
from tracekit.analyzers.kernels.kv_memory import blocks_for
from tracekit.analyzers.kernels.kv_paths import find
from tracekit.analyzers.kernels.kv_taking import take, take_from_front
from tracekit.analyzers.kernels.kv_use import count_kv, take_in_run
from tracekit.analyzers.kernels.layout import NOBODY, Batching, Record, Router, Rows
from tracekit.analyzers.kernels.retention import give_back_as_retained, let_session_go, make_room
from tracekit.analyzers.kernels.seats import sit_down, stand_up
from tracekit.analyzers.kernels.simulation import (
    DECODE,
    MIXED,
    NO_CAUSE,
    PREFILL,
    TICKET_BITS,
    TICKET_MASK,
    Simulation,
)
from tracekit.analyzers.kernels.step_energy import (
    Batch,
    Split,
    book_decodes,
    book_run,
    credit_decodes,
    reset_decodes,
    roofline_seconds,
    split_of_step,
    step_seconds,
    step_watts,
)
from tracekit.analyzers.kernels.waiting import pass_over_waiting, put_first, take_first

STATIC, SLOTS = int(Batching.STATIC), int(Batching.SLOTS)
PREFIX_AWARE = int(Router.PREFIX_AWARE)


@small_kernel
def owe(sim: Simulation, replica: int, ticket: int, tokens: int) -> None:
    """Let the call count for so many prompt tokens that the replica has still to compute."""
    row = sim.tickets[ticket]
    sim.engines[replica]["backlog"] += tokens - row["owed"]
    row["owed"] = tokens


# --- decoding calls ---


@kernel
def enter_decode(sim: Simulation, replica: int, ticket: int) -> None:
    """From the next token on: its context is what was computed, and the token that came of it."""
    engine = sim.engines[replica]
    row = sim.tickets[ticket]
    holding = sim.memory.holdings[ticket]
    context = row["goal"] + 1
    holding["decodes"] = 1
    holding["anchor"] = context - engine["decode_steps"]
    phases = sim.phases[replica]
    phases[holding["anchor"] % phases.size] += 1
    credit_decodes(engine, sim.calls[row["call"]], holding["anchor"], -1.0, price(sim, engine))
    last = engine["decode_steps"] + row["prompt"] + next_mark(sim, ticket) - context
    heap_push(sim.finishes[replica], engine["decodes"], float(last), (row["rank"] << TICKET_BITS) | ticket)
    engine["decodes"] += 1
    engine["contexts"] += context
    engine["run_index"] = NOBODY


@small_kernel
def price(sim: Simulation, engine: Record) -> float:
    return float(sim.pools[engine["pool"]]["usd_per_s"])


@kernel
def leave_decode(sim: Simulation, replica: int, ticket: int) -> None:
    """Credit the call with its decode steps; it is out of the finish heap."""
    engine = sim.engines[replica]
    anchor = sim.memory.holdings[ticket]["anchor"]
    engine["decodes"] -= 1
    engine["contexts"] -= anchor + engine["decode_steps"]
    phases = sim.phases[replica]
    phases[anchor % phases.size] -= 1
    credit_decodes(engine, sim.calls[sim.tickets[ticket]["call"]], anchor, 1.0, price(sim, engine))
    engine["run_index"] = NOBODY


@kernel
def rebase_decodes(sim: Simulation, replica: int) -> None:
    """Start the prefix sums again from 0, so that differences of them keep their digits."""
    engine = sim.engines[replica]
    elapsed = engine["decode_steps"]
    phases = sim.phases[replica]
    phases[:] = 0
    for place in range(engine["decodes"]):
        finish = sim.finishes[replica, place]
        ticket = finish["item"] & TICKET_MASK
        holding = sim.memory.holdings[ticket]
        row = sim.calls[sim.tickets[ticket]["call"]]
        credit_decodes(engine, row, holding["anchor"], 1.0, price(sim, engine))
        holding["anchor"] += elapsed
        phases[holding["anchor"] % phases.size] += 1
        finish["key"] -= elapsed
    engine["decode_steps"] = 0
    sim.memory.pools[replica]["clock"] = 0
    reset_decodes(engine)


# --- scheduling ---


@kernel
def preempt_last(sim: Simulation, replica: int) -> None:
    """Take all blocks of the call that was admitted last; it waits, before all others, to compute them again."""
    engine = sim.engines[replica]
    ticket = sim.memory.pools[replica]["running_tail"]
    row = sim.tickets[ticket]
    holding = sim.memory.holdings[ticket]
    computed = row["done"]
    if holding["decodes"]:
        heap_remove(sim.finishes[replica], engine["decodes"], (row["rank"] << TICKET_BITS) | ticket)
        leave_decode(sim, replica, ticket)
        row["goal"] = holding["anchor"] + engine["decode_steps"]
        computed = row["goal"] - 1
    elif engine["prompt_head"] == ticket:
        engine["prompt_head"] = NOBODY
    if sim.pools[engine["pool"]]["batching"] == SLOTS:
        stand_up(sim, replica, ticket, computed)
    give_back_as_retained(sim, replica, ticket, computed)
    row["done"] = 0
    row["came_with_kv"] = 0
    row["loaded_to"] = 0
    if sim.router == PREFIX_AWARE:
        owe(sim, replica, ticket, row["goal"])
    engine["running"] -= 1
    sim.calls[row["call"]]["preemptions"] += 1
    row["next"] = engine["fresh_head"]  # the pass at hand passes it over
    engine["fresh_head"] = ticket
    put_first(sim, replica, ticket)


@kernel
def grow_decodes(sim: Simulation, replica: int, now: float) -> None:
    """Give every decode that needs one its next block."""
    engine = sim.engines[replica]
    pool = sim.memory.pools[replica]
    step = engine["decode_steps"]
    needed = blocks_of_step(sim.phases[replica], step)
    if needed > pool["free"]:
        grow_one_by_one(sim, replica, now)
    elif not take_from_front(sim.memory, pool, needed):
        take(sim.memory, replica, needed)
    pool["clock"] = step + 1


@kernel
def grow_one_by_one(sim: Simulation, replica: int, now: float) -> None:
    engine = sim.engines[replica]
    pool = sim.memory.pools[replica]
    ticket = pool["running_head"]
    while ticket != NOBODY:
        holding = sim.memory.holdings[ticket]
        if holding["decodes"]:
            context = holding["anchor"] + engine["decode_steps"]
            if (context - 1) % sim.memory.block_size == 0:
                while pool["free"] == 0:
                    if make_room(sim, replica, now):
                        continue
                    preempt_last(sim, replica)
                    if sim.tickets[ticket]["waits"]:
                        return
                take(sim.memory, replica, 1)
            fill(sim.memory, replica, ticket, context)
        ticket = holding["next"]


@kernel
def grow_prompt(sim: Simulation, replica: int, ticket: int, budget: int, now: float) -> int:
    """Give a prompt that was begun before what it can compute; return that, 0 if it is preempted instead."""
    row = sim.tickets[ticket]
    chunk = min(row["goal"] - row["done"], budget)
    computed = row["done"] + chunk
    needed = blocks_for(sim.memory, computed) - blocks_for(sim.memory, row["done"])
    while needed > sim.memory.pools[replica]["free"]:
        if make_room(sim, replica, now):
            continue
        preempt_last(sim, replica)
        if row["waits"]:
            return 0
    take(sim.memory, replica, needed)
    fill(sim.memory, replica, ticket, computed)
    row["chunk"] = chunk
    return int(chunk)


@kernel
def admit_first(sim: Simulation, replica: int, budget: int, now: float) -> int:
    """Move the first waiting call to the running ones and return the tokens it computes; 0 if it does not fit."""
    engine = sim.engines[replica]
    memory = sim.memory
    pool = sim.pools[engine["pool"]]
    if engine["running"] >= pool["max_num_seqs"]:
        return 0
    ticket = first_to_admit(sim, replica, now)
    if ticket == NOBODY:
        return 0
    row = sim.tickets[ticket]
    whole = row["goal"] + row["came_with_kv"]
    while True:
        found, queued = find(memory, replica, ticket, (row["goal"] - 1) // memory.block_size)
        if blocks_for(memory, whole) - found <= memory.pools[replica]["free"] - queued:
            break
        if engine["running"] > 0 or not make_room(sim, replica, now):
            return 0
    take_first(sim, replica)
    if row["passed_over"]:
        leave_passed_over(sim, replica, ticket, now)
    engine["running"] += 1
    engine["admissions"] += 1
    row["rank"] = engine["admissions"]
    hold(memory, replica, ticket, found)
    let_session_go(sim, session_of(sim, ticket), engine["tier"], now)
    done = memory.block_size * with_loaded(row, found)
    if pool["batching"] == SLOTS:
        done = sit_down(sim, replica, ticket)
    if row["came_with_kv"]:
        take(memory, replica, blocks_for(memory, whole) - found)
        row["done"] = row["goal"]
        memory.pools[replica]["clock"] = engine["decode_steps"] + 1
        fill(memory, replica, ticket, whole)
        enter_decode(sim, replica, ticket)
        return 1
    call = sim.calls[row["call"]]
    row["done"] = done
    if call["preemptions"] == 0:
        call["started_s"] = now
        call["cached_tokens"] = row["done"]
    if sim.router == PREFIX_AWARE:
        owe(sim, replica, ticket, row["goal"] - row["done"])
    if engine["prompt_head"] == NOBODY:
        engine["prompt_head"] = ticket
    row["chunk"] = min(row["goal"] - row["done"], budget)
    computed = row["done"] + row["chunk"]
    take(memory, replica, blocks_for(memory, computed) - found)
    fill(memory, replica, ticket, computed)
    return int(row["chunk"])


@kernel
def fill_budget(sim: Simulation, replica: int, now: float) -> None:
    """Give every decode one token, then the prompts that were begun, then waiting calls in their order."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    victims = engine["victims"]
    may_join = pool["batching"] != STATIC or engine["running"] == 0
    if engine["decodes"] > 0:
        grow_decodes(sim, replica, now)
    budget = pool["max_num_batched_tokens"] - engine["decodes"]
    ticket = engine["prompt_head"]
    if ticket != NOBODY and engine["victims"] == victims:
        chunk = grow_prompt(sim, replica, ticket, budget, now)
        budget -= chunk
    while budget > 0 and may_join and engine["victims"] == victims:
        chunk = admit_first(sim, replica, budget, now)
        if chunk == 0:
            return
        budget -= chunk


@kernel
def batch_of(sim: Simulation, engine: Record) -> Batch:
    chunks = 0
    tokens = 0
    twice_attention = 0
    kv = 0
    ticket = engine["prompt_head"]
    while ticket != NOBODY:
        row = sim.tickets[ticket]
        chunk = row["chunk"]
        if chunk > 0:
            chunks += 1
            tokens += chunk
            twice_attention += chunk * (2 * row["done"] + chunk)
            kv += row["done"] + chunk
        ticket = sim.memory.holdings[ticket]["next"]
    return Batch(chunks, tokens, 0.5 * twice_attention, kv, engine["decodes"], float(engine["contexts"]))


# --- a step begins ---


@kernel
def book_chunks(sim: Simulation, engine: Record, split: Split, joules: float, seconds: float) -> None:
    """Credit every prompt chunk of the step with its share."""
    ticket = engine["prompt_head"]
    while ticket != NOBODY:
        row = sim.tickets[ticket]
        chunk = row["chunk"]
        if chunk > 0:
            context = row["done"]
            fraction = (
                split.sequence
                + split.token * chunk
                + split.kv_token * (context + chunk)
                + split.attended * (0.5 * chunk * (2 * context + chunk))
            )
            call = sim.calls[row["call"]]
            call["energy_j"] += joules * fraction
            call["busy_s"] += seconds * fraction
            call["busy_usd"] += seconds * fraction * price(sim, engine)
        ticket = sim.memory.holdings[ticket]["next"]


@kernel
def start_prompt_step(sim: Simulation, segments: Rows, replica: int, batch: Batch, now: float) -> None:
    """Book a step with prompts in it whole: nothing can change it any more."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    engine["run_index"] = NOBODY
    engine["run_planned"] = 0
    seconds = step_seconds(pool, batch)
    roofline = roofline_seconds(pool, batch)
    joules = step_watts(pool, batch, seconds) * seconds
    split = split_of_step(pool, batch, roofline)
    book_chunks(sim, engine, split, joules, seconds)
    state = PREFILL
    if batch.decodes > 0:
        book_decodes(engine, split, float(engine["decode_steps"]), seconds, joules)
        state = MIXED
    append_segment(sim, segments, replica, state, NO_CAUSE, (now, now + seconds), joules, 1)
    sim.tally[0]["engine_steps"] += 1
    set_end(sim.ends, sim.winners, replica, now + seconds)


@kernel
def start_decode_run(sim: Simulation, replica: int, batch: Batch, now: float, preempted: bool) -> None:
    """Plan as many decode steps as are sure to follow; they are booked when they, or the first few, are over.

    A step that preempted has admitted nobody: the next one may, even with nothing given back in between.
    """
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    if engine["run_index"] == NOBODY:
        engine["run_index"] = 0
        engine["run_from_s"] = now
        engine["run_first_s"] = step_seconds(pool, batch)
        engine["run_growth_s"] = pool["decode_context_s"] * batch.decodes
    engine["run_planned"] = 1
    if not preempted:
        engine["run_planned"] = steps_ahead(sim, replica)
    end = run_end(engine, engine["run_index"] + engine["run_planned"])
    set_end(sim.ends, sim.winners, replica, end)


@kernel
def start_engine_step(sim: Simulation, segments: Rows, replica: int, now: float) -> None:
    """Schedule the next engine step."""
    engine = sim.engines[replica]
    leave_idle(sim, segments, replica, now)
    victims = engine["victims"]
    fill_budget(sim, replica, now)
    pass_over_waiting(sim, replica, now)
    count_kv(sim, replica, now)
    engine["busy"] = 1
    engine["step_from_s"] = now
    batch = batch_of(sim, engine)
    if batch.chunks > 0:
        start_prompt_step(sim, segments, replica, batch, now)
    else:
        start_decode_run(sim, replica, batch, now, engine["victims"] > victims)


# --- a step ends ---


@kernel
def book_decode_run(sim: Simulation, segments: Rows, replica: int, now: float) -> None:
    """Account for the decode steps that are over; the last one's tokens are still to be seen."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    steps = engine["run_planned"]
    first = engine["decode_steps"]
    joules = book_run(pool, engine, engine["decodes"], engine["contexts"], first, steps)
    span = (engine["step_from_s"], now)
    append_segment(sim, segments, replica, DECODE, NO_CAUSE, span, joules, steps)
    sim.tally[0]["engine_steps"] += steps
    if steps > 1:
        phases = sim.phases[replica]
        blocks = blocks_of_steps(phases, first + 1, steps - 1)
        if blocks > 0:
            held_s = block_seconds(engine, phases, first, steps)
            sim.tally[0]["kv_token_s"] += sim.memory.block_size * held_s
            take_in_run(sim, replica, blocks)
            engine["run_taken"] = 0
            count_kv(sim, replica, now)
        sim.memory.pools[replica]["clock"] = first + steps
    engine["decode_steps"] = first + steps - 1
    engine["contexts"] += engine["decodes"] * (steps - 1)
    engine["run_index"] += steps
    engine["run_planned"] = 0


@small_kernel
def see_decodes(sim: Simulation, replica: int) -> None:
    """Every decoding call has one token more."""
    engine = sim.engines[replica]
    if engine["decodes"] > 0:
        engine["decode_steps"] += 1
        engine["contexts"] += engine["decodes"]


@kernel
def goes_on(sim: Simulation, replica: int, ticket: int, now: float) -> bool:
    """Open the edges to steps that start at the call's latest token; return whether it has more to emit."""
    engine = sim.engines[replica]
    row = sim.tickets[ticket]
    emitted = sim.memory.holdings[ticket]["anchor"] + engine["decode_steps"] - row["prompt"]
    row["next_inner"] = open_inner_edges(sim, row["next_inner"], emitted, now)
    if emitted == row["output"]:
        return False
    mark = engine["decode_steps"] + next_mark(sim, ticket) - emitted
    item = (row["rank"] << TICKET_BITS) | ticket
    heap_push(sim.finishes[replica], engine["decodes"] - 1, float(mark), item)
    return True


@kernel
def finished_decode(sim: Simulation, replica: int, now: float) -> int:
    """Take a decoding call that has all its tokens out of the decodes and return it; NOBODY if there is none."""
    engine = sim.engines[replica]
    finishes = sim.finishes[replica]
    while engine["decodes"] > 0 and finishes[0]["key"] <= engine["decode_steps"]:
        ticket = int(finishes[0]["item"] & TICKET_MASK)
        heap_pop(finishes, engine["decodes"])
        if sim.tickets[ticket]["next_inner"] == NOBODY or not goes_on(sim, replica, ticket, now):
            leave_decode(sim, replica, ticket)
            return ticket
    return NOBODY


@kernel
def rebase_if_due(sim: Simulation, replica: int) -> None:
    engine = sim.engines[replica]
    if engine["decode_steps"] > 0 and (engine["decodes"] == 0 or engine["decode_steps"] >= REBASE_STEPS):
        rebase_decodes(sim, replica)
