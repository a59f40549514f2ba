"""A call leaves its replica: at its end, or with its KV for a replica that decodes, where it arrives."""

from tracekit.analyzers.kernels.decode_run import interrupt
from tracekit.analyzers.kernels.elastic import fall_quiet, start_one_more
from tracekit.analyzers.kernels.host_memory import offload_or_drop
from tracekit.analyzers.kernels.idleness import accrue_idle, recount_session
from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_paths import leave
from tracekit.analyzers.kernels.layout import NOBODY, Batching, Role
from tracekit.analyzers.kernels.placing import let_wait, place_ticket
from tracekit.analyzers.kernels.retention import give_back_as_retained, keep, keeps
from tracekit.analyzers.kernels.routing import route
from tracekit.analyzers.kernels.seats import stand_up
from tracekit.analyzers.kernels.session_graph import end_step
from tracekit.analyzers.kernels.simulation import Simulation, spare_ticket, touch, unsettle
from tracekit.analyzers.kernels.waiting import await_kv, come_back

SLOTS = int(Batching.SLOTS)
ROLE_DECODE = int(Role.DECODE)


@kernel
def leave_replica(
    sim: Simulation, replica: int, ticket: int, tokens: int, has_ended: bool, now: float
) -> None:
    """Take the running call, of which so many tokens are computed, off the replica."""
    engine = sim.engines[replica]
    engine["running"] -= 1
    engine["outstanding"] -= 1
    if sim.pools[engine["pool"]]["batching"] == SLOTS:
        stand_up(sim, replica, ticket, tokens)
    if has_ended and keeps(sim, replica, ticket):
        keep(sim, replica, ticket, tokens, now)
    else:
        give_back_as_retained(sim, replica, ticket, tokens)
        leave(sim.memory, replica, ticket)
        sim.tickets[ticket]["is_pinned"] = 0
    if has_ended:
        offload_or_drop(sim, replica, ticket, tokens, now)
    if engine["outstanding"] == 0:
        fall_quiet(sim, replica, now)


@kernel
def end_call(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    row = sim.tickets[ticket]
    call = sim.calls[row["call"]]
    session = int(call["session"])
    leave_replica(sim, replica, ticket, row["prompt"] + row["output"] - 1, True, now)
    call["end_s"] = now
    agent = sim.agents[session]
    agent["in_flight"] -= 1
    agent["attained"] += row["prompt"] + row["output"] - call["cached_tokens"]
    recount_session(sim, session, now)
    if not sim.tickets[ticket]["is_pinned"]:
        spare_ticket(sim, ticket)
    end_step(sim, int(call["step"]), now)


@kernel
def hand_over(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    """Send the KV of a call whose prompt is done to a replica that decodes; what was cached here stays so."""
    row = sim.tickets[ticket]
    call = sim.calls[row["call"]]
    session = int(call["session"])
    leave_replica(sim, replica, ticket, row["prompt"], False, now)
    tier = int(sim.tiers[sim.engines[replica]["tier"]]["next"])
    sim.places[session, tier]["to_place"] -= 1
    target = route(sim, tier, row["call"], row["prompt"], row["output"], now)
    call["decode_replica"] = target
    pool = sim.pools[sim.engines[target]["pool"]]
    await_kv(sim, target, ticket, now + (pool["transfer_s"] + row["prompt"] * pool["transfer_token_s"]), now)
    place_ticket(sim, target, ticket)
    recount_session(sim, session, now)
    start_one_more(sim, target, now)


@kernel
def arrive(sim: Simulation, call: int, now: float) -> None:
    """The call's KV is here: let it wait for a place among those that decode, or come back from host memory."""
    replica = int(sim.calls[call]["decode_replica"])
    accrue_idle(sim, replica, now)
    engine = sim.engines[replica]
    before = NOBODY
    ticket = int(engine["coming_head"])
    while sim.tickets[ticket]["call"] != call:
        before = ticket
        ticket = int(sim.tickets[ticket]["next"])
    if before == NOBODY:
        engine["coming_head"] = sim.tickets[ticket]["next"]
    else:
        sim.tickets[before]["next"] = sim.tickets[ticket]["next"]
    unsettle(sim, replica)
    if sim.pools[engine["pool"]]["role"] != ROLE_DECODE:
        come_back(sim, replica, ticket)
        interrupt(sim, replica, now)
        touch(sim, replica)
        return
    sim.tickets[ticket]["came_with_kv"] = 1
    let_wait(sim, replica, ticket, now)
