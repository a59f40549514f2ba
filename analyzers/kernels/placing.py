"""A call finds its replica: whether any could hold it, which one it waits at, and what a refusal costs its session."""

from tracekit.analyzers.kernels.decode_run import interrupt
from tracekit.analyzers.kernels.elastic import start_one_more
from tracekit.analyzers.kernels.engine_step import owe
from tracekit.analyzers.kernels.host_memory import drop_session
from tracekit.analyzers.kernels.idleness import recount_session, session_of
from tracekit.analyzers.kernels.inner_start import first_inner_edge, open_inner_edges
from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.kv_paths import settle
from tracekit.analyzers.kernels.layout import NOBODY, Router
from tracekit.analyzers.kernels.retention import let_session_go
from tracekit.analyzers.kernels.routing import can_hold, route
from tracekit.analyzers.kernels.session_graph import end_step
from tracekit.analyzers.kernels.simulation import Simulation, first_tier, new_ticket, touch
from tracekit.analyzers.kernels.waiting import enqueue

PREFIX_AWARE = int(Router.PREFIX_AWARE)


@kernel
def is_servable(sim: Simulation, tier: int, prompt: int, output: int) -> bool:
    """Whether some replica of every tier that the call needs, from this one on, could hold it."""
    while tier != NOBODY:
        fits = False
        for pool in range(sim.pools.size):
            if sim.pools[pool]["tier"] == tier and can_hold(sim, sim.pools[pool], prompt, output):
                fits = True
        if not fits:
            return False
        tier = tier_after(sim, tier, output)
    return True


@small_kernel
def tier_after(sim: Simulation, tier: int, output: int) -> int:
    """Return where a call with its prompt done goes on; NOBODY if it ends there."""
    return int(sim.tiers[tier]["next"]) if output > 1 else NOBODY


@kernel
def refuse(sim: Simulation, call: int, now: float) -> None:
    row = sim.calls[call]
    row["replica"] = NOBODY
    row["decode_replica"] = NOBODY
    row["started_s"] = now
    row["first_token_s"] = now
    row["end_s"] = now
    sim.tally[0]["refused"] += 1


@kernel
def forgo_later_calls(sim: Simulation, session: int, now: float) -> None:
    """Keep nothing for a session whose last calls were refused."""
    for tier in range(sim.tiers.size):
        if sim.places[session, tier]["to_place"] == 0:
            let_session_go(sim, session, tier, now)
            drop_session(sim, session, tier)


@kernel
def place_ticket(sim: Simulation, replica: int, ticket: int) -> None:
    """Let the call count as outstanding on the replica, and find its path in the replica's memory."""
    row = sim.tickets[ticket]
    engine = sim.engines[replica]
    place = sim.places[session_of(sim, ticket), engine["tier"]]
    place["home"] = replica
    engine["outstanding"] += 1
    settle(sim.memory, replica, ticket, row["call"], row["prompt"] + row["output"])


@kernel
def let_wait(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    enqueue(sim, replica, ticket)
    interrupt(sim, replica, now)
    touch(sim, replica)


@kernel
def start_call(sim: Simulation, step: int, now: float) -> None:
    """Place the call on a replica, or refuse it."""
    call = int(sim.calls_before[step])
    session = int(sim.session[step])
    prompt = max(1, int(sim.input_tokens[step]))
    output = max(1, int(sim.output_tokens[step]))
    row = sim.calls[call]
    row["step"] = step
    row["session"] = session
    row["queued_s"] = now
    inner = first_inner_edge(sim, step)
    if inner != NOBODY:
        inner = open_inner_edges(sim, inner, 0, now)
    tier = first_tier(sim, step)
    sim.places[session, tier]["to_place"] -= 1
    if not is_servable(sim, tier, prompt, output):
        refuse(sim, call, now)
        onwards = tier_after(sim, tier, output)
        if onwards != NOBODY:
            sim.places[session, onwards]["to_place"] -= 1
        forgo_later_calls(sim, session, now)
        recount_session(sim, session, now)
        end_step(sim, step, now)
        return
    replica = route(sim, tier, call, prompt, output, now)
    row["replica"] = replica
    row["decode_replica"] = replica
    ticket = new_ticket(sim)
    entry = sim.tickets[ticket]
    entry["call"] = call
    entry["prompt"] = prompt
    entry["output"] = output
    entry["goal"] = prompt
    entry["done"] = 0
    entry["chunk"] = 0
    entry["owed"] = 0
    entry["passed_over"] = 0
    entry["came_with_kv"] = 0
    entry["next_inner"] = inner
    entry["loaded_to"] = 0
    if sim.router == PREFIX_AWARE:
        owe(sim, replica, ticket, prompt - int(sim.foreseen[replica]))
    place_ticket(sim, replica, ticket)
    sim.agents[session]["in_flight"] += 1
    recount_session(sim, session, now)
    let_wait(sim, replica, ticket, now)
    start_one_more(sim, replica, now)
