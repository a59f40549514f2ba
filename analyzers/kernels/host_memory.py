"""Copies of KV in host memory, for a session's later calls on the same replica.

A second level under the cache in GPU memory, which works as without it: what a call leaves there is found there first,
and only what is gone by then is loaded.
"""

from tracekit.analyzers.kernels.idleness import session_of
from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.kv_paths import find
from tracekit.analyzers.kernels.layout import NOBODY, Batching, Record, Retention, Role
from tracekit.analyzers.kernels.seats import common_tokens
from tracekit.analyzers.kernels.simulation import Simulation
from tracekit.analyzers.kernels.waiting import await_kv, leave_queue

OFFLOAD, SLOTS, BOTH = int(Retention.OFFLOAD), int(Batching.SLOTS), int(Role.BOTH)


@small_kernel
def is_offloading(sim: Simulation, replica: int) -> bool:
    pool = sim.pools[sim.engines[replica]["pool"]]
    return bool(
        pool["retention"] == OFFLOAD
        and pool["enable_prefix_cache"]
        and pool["role"] == BOTH
        and pool["batching"] != SLOTS
    )


# --- what is there ---


@kernel
def link_as_latest(sim: Simulation, call: int) -> None:
    row = sim.hosted[call]
    engine = sim.engines[row["replica"]]
    row["before"] = engine["hosted_last"]
    row["after"] = NOBODY
    if engine["hosted_last"] == NOBODY:
        engine["hosted_first"] = call
    else:
        sim.hosted[engine["hosted_last"]]["after"] = call
    engine["hosted_last"] = call


@small_kernel
def place_of(sim: Simulation, call: int) -> Record:
    """Return the call's session in the tier that the call came to."""
    row = sim.calls[call]
    place: Record = sim.places[row["session"], sim.engines[row["replica"]]["tier"]]
    return place


@kernel
def unlink(sim: Simulation, call: int) -> None:
    row = sim.hosted[call]
    engine = sim.engines[row["replica"]]
    if row["before"] == NOBODY:
        engine["hosted_first"] = row["after"]
    else:
        sim.hosted[row["before"]]["after"] = row["after"]
    if row["after"] == NOBODY:
        engine["hosted_last"] = row["before"]
    else:
        sim.hosted[row["after"]]["before"] = row["before"]


@kernel
def drop(sim: Simulation, call: int) -> None:
    """Forget a text."""
    row = sim.hosted[call]
    place = place_of(sim, call)
    if place["hosted"] == call:
        place["hosted"] = row["sibling"]
    else:
        other = place["hosted"]
        while sim.hosted[other]["sibling"] != call:
            other = sim.hosted[other]["sibling"]
        sim.hosted[other]["sibling"] = row["sibling"]
    unlink(sim, call)
    sim.engines[row["replica"]]["hosted_tokens"] -= row["tokens"]
    row["replica"] = NOBODY


@kernel
def drop_session(sim: Simulation, session: int, tier: int) -> None:
    """The session has no later call in the tier: forget what is there for it."""
    place = sim.places[session, tier]
    while place["hosted"] != NOBODY:
        drop(sim, int(place["hosted"]))


@kernel
def empty_host_memory(sim: Simulation, replica: int) -> None:
    engine = sim.engines[replica]
    while engine["hosted_first"] != NOBODY:
        drop(sim, int(engine["hosted_first"]))


@kernel
def tokens_alike(sim: Simulation, replica: int, call: int, other: int) -> int:
    """Return how many tokens of the other call's text, if it is in this host memory, the call's text begins with."""
    row = sim.hosted[other]
    if row["replica"] != replica or sim.prefix_lifts.size == 0:
        return 0
    return int(min(row["tokens"], common_tokens(sim, call, other)))


# --- a call ends ---


@kernel
def drop_beginnings(sim: Simulation, replica: int, call: int, tokens: int) -> int:
    """Forget the session's texts that the call's text begins with; return the tokens that they have of it."""
    known = 0
    other = int(place_of(sim, call)["hosted"])
    while other != NOBODY:
        row = sim.hosted[other]
        following = int(row["sibling"])
        alike = tokens_alike(sim, replica, call, other)
        if alike == row["tokens"] and alike <= tokens:
            known = max(known, alike)
            drop(sim, other)
        other = following
    return known


@kernel
def offload(sim: Simulation, replica: int, call: int, tokens: int, now: float) -> None:
    """Copy the text to host memory; what was used longest ago makes room."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    if tokens == 0 or tokens > pool["offload_tokens"]:
        return
    known = drop_beginnings(sim, replica, call, tokens)
    while engine["hosted_tokens"] + tokens > pool["offload_tokens"]:
        drop(sim, int(engine["hosted_first"]))
    engine["sent_s"] = max(now, engine["sent_s"]) + (tokens - known) * pool["offload_token_s"]
    engine["hosted_tokens"] += tokens
    row = sim.hosted[call]
    place = place_of(sim, call)
    row["replica"] = replica
    row["tokens"] = tokens
    row["there_s"] = engine["sent_s"]
    row["sibling"] = place["hosted"]
    place["hosted"] = call
    link_as_latest(sim, call)


@kernel
def offload_or_drop(sim: Simulation, replica: int, ticket: int, tokens: int, now: float) -> None:
    """A call with so many tokens of KV has ended: copy its full blocks if its session has a later call."""
    if sim.hosted.size == 0:
        return
    session = session_of(sim, ticket)
    tier = int(sim.engines[replica]["tier"])
    if sim.places[session, tier]["to_place"] == 0:
        drop_session(sim, session, tier)
    elif is_offloading(sim, replica):
        block_size = sim.memory.block_size
        offload(sim, replica, int(sim.tickets[ticket]["call"]), tokens // block_size * block_size, now)


# --- a call comes ---


@kernel
def longest_beginning(sim: Simulation, replica: int, call: int) -> tuple[int, int]:
    """Return the session's text that has most in common with the call's, and how many tokens; NOBODY and 0."""
    chosen = NOBODY
    most = 0
    other = int(place_of(sim, call)["hosted"])
    while other != NOBODY:
        tokens = tokens_alike(sim, replica, call, other)
        if tokens > most:
            chosen = other
            most = tokens
        other = int(sim.hosted[other]["sibling"])
    return chosen, most


@kernel
def loads(sim: Simulation, replica: int, ticket: int, now: float) -> bool:
    """Begin to load what host memory has of the first waiting call and the cache has not; return whether there is any.

    The call leaves the queue until it is all there.
    """
    if sim.hosted.size == 0 or not is_offloading(sim, replica):
        return False
    row = sim.tickets[ticket]
    text, tokens = longest_beginning(sim, replica, int(row["call"]))
    if text == NOBODY:
        return False
    most = (row["prompt"] - 1) // sim.memory.block_size
    found, _queued = find(sim.memory, replica, ticket, most)
    there = min(most, tokens // sim.memory.block_size)
    if there <= with_loaded(row, found):
        return False
    unlink(sim, text)
    link_as_latest(sim, text)
    engine = sim.engines[replica]
    seconds = (there - found) * sim.memory.block_size * sim.pools[engine["pool"]]["offload_token_s"]
    engine["loaded_s"] = max(now, engine["loaded_s"], sim.hosted[text]["there_s"]) + seconds
    row["loaded_from"] = found
    row["loaded_to"] = there
    leave_queue(sim, replica, ticket, now)
    await_kv(sim, replica, ticket, engine["loaded_s"], now)
    return True


@kernel
def first_to_admit(sim: Simulation, replica: int, now: float) -> int:
    """Return the first waiting call that has nothing to load, or has loaded it; those before it begin to."""
    engine = sim.engines[replica]
    while engine["waiting"] != NOBODY and loads(sim, replica, int(engine["waiting"]), now):
        continue
    return int(engine["waiting"])


@small_kernel
def with_loaded(ticket: Record, found: int) -> int:
    """Return how many first blocks of the prompt need not be computed: those found, and those loaded after them."""
    if found >= ticket["loaded_from"] and ticket["loaded_to"] > found:
        return int(ticket["loaded_to"])
    return found
