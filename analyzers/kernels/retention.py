"""What becomes of a call's KV when it has ended and its session goes on."""

from tracekit.analyzers.kernels.decode_run import interrupt
from tracekit.analyzers.kernels.events import LAPSE
from tracekit.analyzers.kernels.idleness import session_of
from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_holding import give_back, pin, stop, unpin
from tracekit.analyzers.kernels.kv_paths import leave
from tracekit.analyzers.kernels.kv_taking import forget_free
from tracekit.analyzers.kernels.kv_use import accrue_kv, note_peak_of_run
from tracekit.analyzers.kernels.layout import NOBODY, Retention, Role
from tracekit.analyzers.kernels.simulation import Simulation, post, spare_ticket, touch

KEEP, TTL, EVICT = int(Retention.KEEP), int(Retention.TTL), int(Retention.EVICT)
ROLE_PREFILL = int(Role.PREFILL)


@kernel
def keeps(sim: Simulation, replica: int, ticket: int) -> bool:
    """Whether the call's blocks are kept for a later call of its session."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    if pool["retention"] not in (KEEP, TTL) or pool["role"] == ROLE_PREFILL:
        return False
    return bool(sim.places[session_of(sim, ticket), engine["tier"]]["to_place"] > 0)


@kernel
def give_back_as_retained(sim: Simulation, replica: int, ticket: int, tokens: int) -> None:
    """Take back the blocks of a running call, and forget them if the pool keeps nothing that nobody holds."""
    give_back(sim.memory, replica, ticket, tokens)
    if sim.pools[sim.engines[replica]["pool"]]["retention"] == EVICT:
        forget_free(sim.memory, replica)


@kernel
def keep(sim: Simulation, replica: int, ticket: int, tokens: int, now: float) -> None:
    """Pin the blocks of a call that has ended."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    row = sim.tickets[ticket]
    stop(sim.memory, replica, ticket, tokens)
    pin(sim.memory, replica, ticket)
    place = sim.places[session_of(sim, ticket), engine["tier"]]
    row["is_pinned"] = 1
    row["pinned_on"] = replica
    row["next"] = place["pinned"]
    place["pinned"] = ticket
    if pool["retention"] == TTL:
        row["pinned_until_s"] = now + pool["retention_s"]
        post(sim, row["pinned_until_s"], LAPSE, replica)


@kernel
def let_go(sim: Simulation, ticket: int, now: float) -> None:
    """Take back the blocks of a pinned call; it is in no list of its session any more."""
    row = sim.tickets[ticket]
    replica = int(row["pinned_on"])
    interrupt(sim, replica, now)  # what waits there may fit now
    engine = sim.engines[replica]
    if engine["busy"] and engine["run_planned"] > 0:
        sim.memory.pools[replica]["clock"] = engine["decode_steps"] + engine["run_planned"]
        note_peak_of_run(sim, replica)
    row["is_pinned"] = 0
    unpin(sim.memory, replica, ticket)
    leave(sim.memory, replica, ticket)
    spare_ticket(sim, ticket)
    accrue_kv(sim, replica, now)
    touch(sim, replica)


@kernel
def let_session_go(sim: Simulation, session: int, tier: int, now: float) -> None:
    """The session's next call has been admitted, or there is none: nothing is kept for it."""
    place = sim.places[session, tier]
    ticket = place["pinned"]
    place["pinned"] = NOBODY
    while ticket != NOBODY:
        following = sim.tickets[ticket]["next"]
        let_go(sim, ticket, now)
        ticket = following


@kernel
def let_one_go(sim: Simulation, ticket: int, now: float) -> None:
    """Let a pinned call go before its session's next one comes."""
    place = sim.places[session_of(sim, ticket), sim.engines[sim.tickets[ticket]["pinned_on"]]["tier"]]
    before = place["pinned"]
    if before == ticket:
        place["pinned"] = sim.tickets[ticket]["next"]
    else:
        while sim.tickets[before]["next"] != ticket:
            before = sim.tickets[before]["next"]
        sim.tickets[before]["next"] = sim.tickets[ticket]["next"]
    let_go(sim, ticket, now)


@kernel
def make_room(sim: Simulation, replica: int, now: float) -> bool:
    """Let the call that has been pinned longest on the replica go; return whether there was one."""
    pool = sim.memory.pools[replica]
    if pool["last_pinned"] == NOBODY:
        return False
    let_one_go(sim, int(pool["running_head"]), now)
    return True


@kernel
def lapse(sim: Simulation, replica: int, now: float) -> None:
    """Let go, oldest first, what the replica has kept for its time."""
    pool = sim.memory.pools[replica]
    while pool["last_pinned"] != NOBODY and sim.tickets[pool["running_head"]]["pinned_until_s"] <= now:
        make_room(sim, replica, now)
