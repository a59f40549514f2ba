"""The queue of a replica's waiting calls: a pairing heap by priority, then turn, linked through the tickets.

Fredman, Sedgewick, Sleator and Tarjan, The Pairing Heap, Algorithmica 1 (1986): adding costs O(1), taking the
first O(log n) amortised.
"""

import numpy as np

from tracekit.analyzers.kernels.events import ARRIVED
from tracekit.analyzers.kernels.idleness import (
    accrue_idle,
    enter_passed_over,
    leave_passed_over,
    session_of,
)
from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.layout import NOBODY, QueueOrder, Rows
from tracekit.analyzers.kernels.simulation import Simulation, post, unsettle

SESSION_FCFS, LEAST_ATTAINED = int(QueueOrder.SESSION_FCFS), int(QueueOrder.LEAST_ATTAINED)


@kernel
def meld(tickets: Rows, one: int, other: int) -> int:
    """Return the root of both heaps together; neither may be NOBODY."""
    first = tickets[one]
    second = tickets[other]
    other_is_first = second["priority"] < first["priority"] or (
        second["priority"] == first["priority"] and second["turn"] < first["turn"]
    )
    if other_is_first:
        first["sibling"] = second["child"]
        second["child"] = one
        return other
    second["sibling"] = first["child"]
    first["child"] = other
    return one


@kernel
def without_root(sim: Simulation, root: int) -> int:
    """Return the root of the heap without its root; NOBODY if nothing is left."""
    left = sim.tickets[root]["child"]
    pairs = NOBODY
    while left != NOBODY:
        one = left
        other = sim.tickets[one]["sibling"]
        left = NOBODY
        if other != NOBODY:
            left = sim.tickets[other]["sibling"]
            one = meld(sim.tickets, one, other)
        sim.tickets[one]["sibling"] = pairs
        pairs = one
    root = NOBODY
    while pairs != NOBODY:
        one = pairs
        pairs = sim.tickets[one]["sibling"]
        root = one if root == NOBODY else meld(sim.tickets, root, one)
    return int(root)


@kernel
def add_waiting(sim: Simulation, replica: int, ticket: int) -> None:
    engine = sim.engines[replica]
    row = sim.tickets[ticket]
    row["waits"] = 1
    row["child"] = NOBODY
    row["sibling"] = NOBODY
    if engine["waiting"] == NOBODY:
        engine["waiting"] = ticket
    else:
        engine["waiting"] = meld(sim.tickets, engine["waiting"], ticket)


@kernel
def enqueue(sim: Simulation, replica: int, ticket: int) -> None:
    """Let a call wait on the replica, in the order of the fleet's queues."""
    engine = sim.engines[replica]
    row = sim.tickets[ticket]
    row["priority"] = 0.0
    if sim.queue_order == SESSION_FCFS:
        row["priority"] = sim.arrival_s[session_of(sim, ticket)]
    elif sim.queue_order == LEAST_ATTAINED:
        row["priority"] = float(sim.agents[session_of(sim, ticket)]["attained"])
    row["turn"] = sim.tally[0]["turns"]
    sim.tally[0]["turns"] += 1
    row["next"] = engine["fresh_head"]
    engine["fresh_head"] = ticket
    add_waiting(sim, replica, ticket)


@kernel
def await_kv(sim: Simulation, replica: int, ticket: int, until_s: float, now: float) -> None:
    """Let the call, which is placed here, wait for KV that is on its way."""
    accrue_idle(sim, replica, now)
    engine = sim.engines[replica]
    row = sim.tickets[ticket]
    row["next"] = engine["coming_head"]
    engine["coming_head"] = ticket
    unsettle(sim, replica)
    post(sim, until_s, ARRIVED, row["call"])


@kernel
def come_back(sim: Simulation, replica: int, ticket: int) -> None:
    """Let a call wait again, before all others, for which everything is loaded."""
    engine = sim.engines[replica]
    sim.tickets[ticket]["next"] = engine["fresh_head"]
    engine["fresh_head"] = ticket
    put_first(sim, replica, ticket)


@kernel
def put_first(sim: Simulation, replica: int, ticket: int) -> None:
    """Let a call that was admitted or due before wait before all others."""
    engine = sim.engines[replica]
    engine["victims"] += 1
    sim.tickets[ticket]["priority"] = -np.inf
    sim.tickets[ticket]["turn"] = -engine["victims"]
    add_waiting(sim, replica, ticket)


@kernel
def take_first(sim: Simulation, replica: int) -> None:
    """Remove the first waiting call; the caller has read it."""
    engine = sim.engines[replica]
    first = engine["waiting"]
    sim.tickets[first]["waits"] = 0
    engine["waiting"] = NOBODY
    if sim.tickets[first]["child"] != NOBODY:
        engine["waiting"] = without_root(sim, first)


@kernel
def leave_queue(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    """Take the first waiting call out, as if it had never waited."""
    engine = sim.engines[replica]
    take_first(sim, replica)
    if sim.tickets[ticket]["passed_over"]:
        leave_passed_over(sim, replica, ticket, now)
    before = NOBODY
    fresh = int(engine["fresh_head"])
    while fresh not in (ticket, NOBODY):
        before = fresh
        fresh = int(sim.tickets[fresh]["next"])
    if fresh == ticket and before == NOBODY:
        engine["fresh_head"] = sim.tickets[ticket]["next"]
    elif fresh == ticket:
        sim.tickets[before]["next"] = sim.tickets[ticket]["next"]


@kernel
def pass_over_waiting(sim: Simulation, replica: int, now: float) -> None:
    """A scheduling pass is over: those that still wait have been passed over by it."""
    engine = sim.engines[replica]
    ticket = engine["fresh_head"]
    while ticket != NOBODY:
        following = sim.tickets[ticket]["next"]
        if sim.tickets[ticket]["waits"] and not sim.tickets[ticket]["passed_over"]:
            enter_passed_over(sim, replica, ticket, now)
        ticket = following
    engine["fresh_head"] = NOBODY
