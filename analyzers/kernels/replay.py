"""Replay a workload on pools of replicas, event by event (DESIGN: replay, attribution).

Time moves from instant to instant. All events of an instant are drained first (see `events`); then every replica
that is not busy and has work starts an engine step (`engine_step`), or a run of decode steps that nothing can
change (`decode_run`) unless a call comes; then the cause of idleness of the others is settled (`idleness`).
"""

from collections.abc import Sequence

import numpy as np

from tracekit.analyzers.kernels.decode_run import interrupt
from tracekit.analyzers.kernels.elastic import be_ready, fall_quiet, start_one_more, switch_off_if_quiet
from tracekit.analyzers.kernels.engine_step import (
    book_decode_run,
    enter_decode,
    finished_decode,
    owe,
    rebase_if_due,
    see_decodes,
    start_engine_step,
)
from tracekit.analyzers.kernels.events import (
    ARRIVED,
    COMPLETION,
    END,
    IDENT_MASK,
    KIND_SHIFT,
    LAPSE,
    OPENING,
    READY,
    START,
    heap_pop,
    set_end,
)
from tracekit.analyzers.kernels.host_memory import drop_session, first_to_admit, offload_or_drop
from tracekit.analyzers.kernels.idleness import (
    accrue_idle,
    leave_idle,
    recount_session,
    session_of,
    settle_causes,
)
from tracekit.analyzers.kernels.inner_start import (
    EVERY_TOKEN,
    expect_openings,
    first_inner_edge,
    open_edge,
    open_inner_edge,
    open_inner_edges,
)
from tracekit.analyzers.kernels.jit import entry_kernel, kernel, small_kernel
from tracekit.analyzers.kernels.kv_paths import leave, settle
from tracekit.analyzers.kernels.kv_use import count_kv
from tracekit.analyzers.kernels.lanes import check_rules, lanes_of, rules_of
from tracekit.analyzers.kernels.layout import (
    NOBODY,
    SEGMENT_ROW,
    Batching,
    Bytes,
    FleetLimits,
    Ints,
    Outcome,
    Pool,
    PowerCurve,
    Role,
    Router,
    Rows,
    StepCost,
    Workload,
)
from tracekit.analyzers.kernels.prepare import SLACK, check, pool_rows, prepare
from tracekit.analyzers.kernels.retention import (
    give_back_as_retained,
    keep,
    keeps,
    lapse,
    let_session_go,
)
from tracekit.analyzers.kernels.routing import can_hold, route
from tracekit.analyzers.kernels.seats import stand_up
from tracekit.analyzers.kernels.segments import by_replica
from tracekit.analyzers.kernels.simulation import (
    CALL,
    IDLE,
    TOOL,
    Simulation,
    first_tier,
    new_ticket,
    post,
    spare_ticket,
    touch,
    unsettle,
    zeros,
)
from tracekit.analyzers.kernels.waiting import await_kv, come_back, enqueue

SLOTS = int(Batching.SLOTS)
ROLE_PREFILL, ROLE_DECODE = int(Role.PREFILL), int(Role.DECODE)
PREFIX_AWARE = int(Router.PREFIX_AWARE)


# --- events ---


@kernel
def next_instant(sim: Simulation) -> float:
    """Time of the earliest event; infinity if none is left."""
    tally = sim.tally[0]
    time = float(sim.ends[sim.winners[1]])
    if tally["events"] > 0:
        time = min(time, sim.events[0]["key"])
    if tally["roots"] < sim.roots.size:
        time = min(time, sim.roots[tally["roots"]]["key"])
    return time


@kernel
def take_event(sim: Simulation, now: float) -> int:
    """Remove the first event of the instant and return its kind and id; -1 if the instant is drained."""
    tally = sim.tally[0]
    ending = sim.winners[1]
    if sim.ends[ending] == now:
        return int((COMPLETION << KIND_SHIFT) | ending)
    first = -1
    if tally["events"] > 0 and sim.events[0]["key"] == now:
        first = int(sim.events[0]["item"])
    taken = tally["roots"]
    if taken < sim.roots.size and sim.roots[taken]["key"] == now:
        root = sim.roots[taken]["item"]
        if first < 0 or root < first:
            tally["roots"] += 1
            return int(root)
    if first >= 0:
        heap_pop(sim.events, tally["events"])
        tally["events"] -= 1
    return first


# --- the session graph ---


@kernel
def end_step(sim: Simulation, step: int, now: float) -> None:
    """Open every edge to another step that is not open yet."""
    session = int(sim.session[step])
    sim.tally[0]["steps_left"] -= 1
    sim.sessions[session]["end_s"] = now + sim.agents[session]["tail_s"]
    for edge in range(sim.child_start[step], sim.child_start[step + 1]):
        open_edge(sim, int(sim.children[edge]), now)
    inner = first_inner_edge(sim, step)
    if inner != NOBODY:
        open_inner_edges(sim, inner, EVERY_TOKEN, now)


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
def place_ticket(sim: Simulation, replica: int, ticket: int) -> None:
    """Let the call count as outstanding on the replica, and find its path in the replica's memory."""
    row = sim.tickets[ticket]
    engine = sim.engines[replica]
    place = sim.places[session_of(sim, ticket), engine["tier"]]
    place["home"] = replica
    engine["outstanding"] += 1
    settle(sim.memory, replica, ticket, row["call"], row["prompt"] + row["output"])


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
def forgo_later_calls(sim: Simulation, session: int, now: float) -> None:
    """Keep nothing for a session whose last calls were refused."""
    for tier in range(sim.tiers.size):
        if sim.places[session, tier]["to_place"] == 0:
            let_session_go(sim, session, tier, now)
            drop_session(sim, session, tier)


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


@kernel
def let_wait(sim: Simulation, replica: int, ticket: int, now: float) -> None:
    enqueue(sim, replica, ticket)
    interrupt(sim, replica, now)
    touch(sim, replica)


@kernel
def start_step(sim: Simulation, step: int, now: float) -> None:
    kind = sim.kind[step]
    if kind == CALL:
        start_call(sim, step, now)
        return
    row = sim.waits[step - sim.calls_before[step]]
    row["start_s"] = now
    if kind == TOOL:
        agent = sim.agents[sim.session[step]]
        agent["open_tools"] += 1
        recount_session(sim, sim.session[step], now)
        row["idle_s"] = -agent["tool_share_s"]
        row["idle_j"] = -agent["tool_share_j"]
    post(sim, now + sim.duration_s[step], END, step)
    expect_openings(sim, step, now)


@kernel
def end_tool_or_gap(sim: Simulation, step: int, now: float) -> None:
    row = sim.waits[step - sim.calls_before[step]]
    row["end_s"] = now
    if sim.kind[step] == TOOL:
        agent = sim.agents[sim.session[step]]
        agent["open_tools"] -= 1
        recount_session(sim, sim.session[step], now)
        row["idle_s"] += agent["tool_share_s"]
        row["idle_j"] += agent["tool_share_j"]
    end_step(sim, step, now)


# --- what becomes of a call ---


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


# --- the end of an engine step ---


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


# --- the run ---


@kernel
def drain_instant(sim: Simulation, segments: Rows, now: float) -> None:
    while True:
        event = take_event(sim, now)
        if event < 0:
            return
        kind = event >> KIND_SHIFT
        ident = event & IDENT_MASK
        if kind == COMPLETION:
            complete_engine_step(sim, segments, ident, now)
        elif kind == END:
            end_tool_or_gap(sim, ident, now)
        elif kind == START:
            start_step(sim, ident, now)
        elif kind == ARRIVED:
            arrive(sim, ident, now)
        elif kind == READY:
            be_ready(sim, ident, now)
        elif kind == LAPSE:
            lapse(sim, ident, now)
        elif kind == OPENING:
            open_inner_edge(sim, ident, now)
        else:
            switch_off_if_quiet(sim, ident, now)


@kernel
def start_engine_steps(sim: Simulation, segments: Rows, now: float) -> None:
    """Start a step wherever one can start, by number: a call admitted on one may end what another keeps."""
    tally = sim.tally[0]
    put_in_order(sim.touched, tally["touched"])
    for place in range(tally["touched"]):
        replica = sim.touched[place]
        engine = sim.engines[replica]
        if not engine["busy"] and (engine["running"] > 0 or first_to_admit(sim, replica, now) != NOBODY):
            start_engine_step(sim, segments, replica, now)
    for place in range(tally["touched"]):
        sim.engines[sim.touched[place]]["is_touched"] = 0
    tally["touched"] = 0


@kernel
def put_in_order(numbers: Ints, count: int) -> None:
    """Sort the first so many; they mostly are."""
    for end in range(1, count):
        number = numbers[end]
        place = end
        while place > 0 and numbers[place - 1] > number:
            numbers[place] = numbers[place - 1]
            place -= 1
        numbers[place] = number


@kernel
def begin(sim: Simulation, segments: Rows) -> None:
    """Let every replica be idle, or off, from time 0."""
    sim.tally[0]["is_open"] = 1
    sim.tally[0]["horizon_s"] = np.inf
    for replica in range(sim.engines.size):
        unsettle(sim, replica)
        if sim.engines[replica]["power_state"] == IDLE:
            fall_quiet(sim, replica, 0.0)
    settle_causes(sim, segments, 0.0)


@kernel
def last_end(sim: Simulation) -> float:
    horizon = 0.0
    for session in range(sim.sessions.size):
        horizon = max(horizon, sim.sessions[session]["end_s"])
    return horizon


@kernel
def close(sim: Simulation, segments: Rows) -> None:
    """Close what is still idle when the last session ends."""
    horizon = last_end(sim)
    sim.tally[0]["horizon_s"] = horizon
    for replica in range(sim.engines.size):
        leave_idle(sim, segments, replica, horizon)


@entry_kernel
def advance(sim: Simulation, segments: Rows, instants: int) -> bool:
    """Run for so many instants, or until `segments` or a pool of the memory is too short; return whether it is over.

    In one instant a replica may close a run and an idle segment, and start a step.
    """
    tally = sim.tally[0]
    if not tally["is_open"]:
        begin(sim, segments)
    room = segments.size - 4 * sim.engines.size
    while instants > 0 and tally["segments"] <= room and not sim.memory.stock[0]["overflow"]:
        now = next_instant(sim)
        if tally["steps_left"] == 0 and tally["horizon_s"] == np.inf:
            tally["horizon_s"] = last_end(sim)  # replicas may still go off until then
        if now == np.inf or now >= tally["horizon_s"]:
            close(sim, segments)
            return True
        drain_instant(sim, segments, now)
        start_engine_steps(sim, segments, now)
        settle_causes(sim, segments, now)
        instants -= 1
    return False


INSTANTS = 1_000_000
"""Instants between two looks at whether the user has interrupted."""


def simulate(sim: Simulation) -> Rows | None:
    """Run to the end; return the segments in order of their end; None if a pool of the memory was too small."""
    # what is not written is not touched, and a replay mostly has some 1.5 to 2 segments a call
    segments = zeros(64 + 8 * sim.engines.size + 2 * sim.calls.size, SEGMENT_ROW)
    while not advance(sim, segments, INSTANTS):
        if sim.memory.stock[0]["overflow"]:
            return None
        if sim.tally[0]["segments"] > segments.size - 8 * sim.engines.size:
            segments = np.concatenate([segments, np.zeros_like(segments)])
    return segments[: sim.tally[0]["segments"]]


def conclude(sim: Simulation, segments: Rows) -> Outcome:
    """What came of it, with the segments as they are."""
    tally = sim.tally[0]
    return Outcome(
        calls=sim.calls,
        waits=sim.waits,
        sessions=sim.sessions,
        segments=segments,
        pools=sim.pools,
        horizon_s=float(tally["horizon_s"]),
        null_idle_s=float(tally["null_idle_s"]),
        null_idle_j=float(tally["null_idle_j"]),
        null_idle_usd=float(tally["null_idle_usd"]),
        kv_token_s=float(tally["kv_token_s"]),
        kv_peak_tokens=int(tally["peak_tokens"]),
        kv_peak_fraction=float(tally["peak_fraction"]),
        evicted_blocks=int(sim.memory.stock[0]["evicted"]),
        refused=int(tally["refused"]),
        engine_steps=int(tally["engine_steps"]),
    )


def replay_pools(
    workload: Workload,
    pools: Sequence[Pool],
    router: int = 0,
    queue_order: int = 0,
    seed: int = 0,
    lanes: Bytes | None = None,
) -> Outcome:
    """Replay the workload on a fleet of pools behind one router.

    `lanes` (n,) says for which of the pools' rules (`rules_of`) each call is, where the rules are not to say it.
    A call of 0 tokens in or out is computed as one of 1. A refused call has replica -1 and takes 0 s; it does not
    use up a round-robin turn. Raises ValueError for graphs with a cycle, negative times and impossible pools.
    """
    check_rules(pools)
    rows = pool_rows(pools)
    check(workload, rows)
    if lanes is None:
        lanes = lanes_of(workload, rules_of(pools), seed)
    slack = SLACK
    while True:
        sim = prepare(workload, rows, int(router), int(queue_order), int(seed), slack, lanes)
        with np.errstate(over="ignore"):  # bits are drawn modulo 2^64
            segments = simulate(sim)
        if segments is not None:
            break
        slack = 8 * slack + 8
    if sim.parents_left.any():
        raise ValueError(
            "some steps never started: their graph has a cycle, or parent_count is not its edges"
        )
    outcome, replicas = conclude(sim, segments), sim.engines.size
    del sim  # what is not told makes room
    by_replica(outcome.segments, replicas)
    return outcome


def replay(
    workload: Workload,
    cost: StepCost,
    power: PowerCurve,
    limits: FleetLimits,
    *,
    usd_per_s: float = 0.0,
    seed: int = 0,
) -> Outcome:
    """Replay the workload on one pool: see `replay_pools`."""
    pool = Pool(cost, power, limits, usd_per_s)
    return replay_pools(workload, [pool], limits.router, limits.queue_order, seed)
