"""Replay a workload on a pool of identical replicas, event by event (DESIGN: replay, attribution).

Time moves from instant to instant. All events of an instant are drained first (step completions, ends of
tools and gaps, starts of steps, then by id); then every replica that is not busy and has work starts an
engine step, in replica order; then the cause of idleness of the others is settled. A step is vLLM V1's
(docs/background-scheduler.md). A decode step costs O(1): a replica counts its decode steps, keeps the counts
at which its calls finish in a heap, sums the contexts of its decoding calls, and counts them by the step in
which they need another block. Running calls stand in order of admission: those that decode, then those whose
prompt is not done, of which a step leaves one at the most.

All state lives in arrays of records, so that a kernel's signature stays short and a view of one record
(`engine`, `task`, `agent`) can be read and written with and without JIT.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.kernels.jit import called_kernel, in_place_kernel
from tracekit.analyzers.kernels.kv_memory import (
    KvMemory,
    blocks_for,
    fill,
    find,
    give_back,
    hold,
    prepare_memory,
    settle,
    take,
    take_from_front,
)
from tracekit.analyzers.kernels.layout import (
    CALL_ROW,
    NOBODY,
    SEGMENT_ROW,
    SESSION_ROW,
    STEP_ROW,
    Cause,
    FleetLimits,
    Ints,
    Outcome,
    PowerCurve,
    Record,
    Router,
    Rows,
    State,
    StepCost,
    StepKind,
    Workload,
)

COMPLETION, END, START = 0, 1, 2  # kinds of event, in the order in which one instant drains them
KIND_SHIFT = 48
CALL_BITS = 32
"""Of an item of a finish heap; above them is the rank of the call's admission."""
CALL_MASK = (1 << CALL_BITS) - 1

SLACK = 4096
"""Runs and copies of blocks beyond one for each call, at first."""

REBASE_STEPS = 4096
"""Decode steps after which prefix sums start again from 0: a call reads the difference of two of them."""

CALL, TOOL = int(StepKind.CALL), int(StepKind.TOOL)
PREFILL, DECODE, MIXED, IDLE = int(State.PREFILL), int(State.DECODE), int(State.MIXED), int(State.IDLE)
NO_CAUSE, NO_DEMAND = int(Cause.NONE), int(Cause.NO_DEMAND)
IMBALANCE, TOOL_WAIT = int(Cause.IMBALANCE), int(Cause.TOOL_WAIT)
CLIENT_WAIT, PEER_CALL = int(Cause.CLIENT_WAIT), int(Cause.PEER_CALL)
CAUSES = len(Cause) - 1
ROUND_ROBIN, SESSION_AFFINE = int(Router.ROUND_ROBIN), int(Router.SESSION_AFFINE)

ENTRY = np.dtype([("key", np.float64), ("item", np.int64)], align=True)
"""Of a heap, by key, then item. Events: time; kind << KIND_SHIFT | id.
Decodes: step count at end; rank of admission << CALL_BITS | call."""

ENGINE = np.dtype(
    [
        ("busy", np.int64),
        ("outstanding", np.int64),  # calls queued or running
        ("waiting_head", np.int64),  # FCFS queue of calls, linked by task["next"]
        ("waiting_tail", np.int64),
        ("fresh_head", np.int64),  # the first waiting call that no scheduling pass has passed over
        ("prompt_head", np.int64),  # the first running call whose prompt is not done
        ("running", np.int64),
        ("admissions", np.int64),
        ("held_blocks", np.int64),  # by running calls, as counted in kv_token_s
        ("decodes", np.int64),  # running calls that decode; the size of the finish heap
        ("contexts", np.int64),  # sum of their contexts in the next step
        ("decode_steps", np.int64),  # since the last rebase
        ("flat_j", np.float64),  # prefix sums over decode steps: see `book_decodes`
        ("slope_j", np.float64),
        ("ramp_j", np.float64),
        ("flat_s", np.float64),
        ("slope_s", np.float64),
        ("ramp_s", np.float64),
        ("cause", np.int64),  # NO_CAUSE while not idle
        ("idle_from_s", np.float64),  # start of the open idle segment
        ("accrued_s", np.float64),  # up to where its IDLE_TALLY includes it
        ("last_segment", np.int64),
    ],
    align=True,
)

TASK = np.dtype(
    [
        ("prompt", np.int64),
        ("output", np.int64),
        (
            "goal",
            np.int64,
        ),  # tokens to compute before the next is emitted: prompt, and outputs before a preemption
        ("done", np.int64),  # of them, those computed
        ("chunk", np.int64),  # of them, those in the step at hand
        ("rank", np.int64),  # of its latest admission
        ("next", np.int64),  # waiting
        ("passed_over", np.int64),
    ],
    align=True,
)

IDLE_TALLY = np.dtype(
    [
        ("sessions", np.int64),  # that would make the cause true for the replica
        ("share", np.float64),  # idle seconds per such session, prefix sum
    ],
    align=True,
)

NODE = np.dtype(
    [
        ("kind", np.int64),
        ("session", np.int64),
        ("call", np.int64),
        ("parents_left", np.int64),
        ("first_child", np.int64),  # slice of `children`
        ("end_child", np.int64),
        ("duration_s", np.float64),
        ("lag_s", np.float64),
        ("mark", np.float64),  # tools: the session's tool_share when it opened
    ],
    align=True,
)

AGENT = np.dtype(
    [
        ("tail_s", np.float64),
        ("home", np.int64),  # replica of the session's latest placed call
        ("in_flight", np.int64),
        ("open_tools", np.int64),
        ("to_place", np.int64),  # calls not yet placed
        ("counted_home", np.int64),  # where and as what the session is counted in `idle`
        ("counted_as", np.int64),
        ("counted_tools", np.int64),
        ("mark", np.float64),  # share of that IDLE_TALLY when it was counted
        ("tool_share", np.float64),  # idle seconds per open tool, prefix sum
        ("passed_calls", np.int64),
        ("passed_mark", np.float64),
    ],
    align=True,
)

TALLY = np.dtype(
    [
        ("events", np.int64),
        ("roots", np.int64),  # root steps started
        ("turn", np.int64),  # round-robin
        ("segments", np.int64),
        ("engine_steps", np.int64),
        ("refused", np.int64),
        ("held_blocks", np.int64),
        ("peak_blocks", np.int64),  # of one replica
        ("kv_token_s", np.float64),
        ("kv_until_s", np.float64),
        ("imbalanced", np.int64),  # replicas idle by imbalance
        ("passed_sessions", np.int64),  # sessions with a call passed over
        ("imbalance_share", np.float64),  # idle seconds per such session, prefix sum
        ("imbalance_until_s", np.float64),
        ("null_idle_s", np.float64),
    ],
    align=True,
)


class Simulation(NamedTuple):
    """Everything that a replay reads and writes, for r replicas, n steps, m edges, c calls and s sessions."""

    limits: FleetLimits
    events: Rows  # (n + r,) ENTRY, heap of what is pending
    roots: Rows  # ENTRY, starts of root steps in order; they never enter the heap
    engines: Rows  # (r,) ENGINE
    finishes: Rows  # (r, most running calls) ENTRY, heaps of the decode_steps at which calls end
    phases: Ints  # (r, block_size) decoding calls by anchor
    memory: KvMemory
    tasks: Rows  # (c,) TASK
    nodes: Rows  # (n,) NODE
    children: Ints  # (m,)
    agents: Rows  # (s,) AGENT
    idle: Rows  # (r, CAUSES) IDLE_TALLY
    tally: Rows  # (1,) TALLY
    calls: Rows  # (c,) CALL_ROW
    steps: Rows  # (n,) STEP_ROW
    sessions: Rows  # (s,) SESSION_ROW


class Batch(NamedTuple):
    """What one engine step computes, summed over its calls."""

    chunks: int
    prompt_tokens: int
    prompt_attention: float  # sum(chunk * (context + chunk / 2))
    prompt_kv: int  # sum(context + chunk)
    decodes: int
    contexts: int


class Split(NamedTuple):
    """Fractions of a step's energy: per sequence, token, token of context in memory, token x context."""

    sequence: float
    token: float
    kv_token: float
    attended: float


# --- heaps and events ---


@in_place_kernel
def heap_push(heap: Rows, size: int, key: float, item: int) -> None:
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        above = heap[parent]
        if above["key"] < key or (above["key"] == key and above["item"] < item):
            break
        heap[hole] = above
        hole = parent
    heap[hole]["key"] = key
    heap[hole]["item"] = item


@in_place_kernel
def heap_pop(heap: Rows, size: int) -> None:
    """Remove the least of `size` entries; the caller has read it."""
    key = heap[size - 1]["key"]
    item = heap[size - 1]["item"]
    hole = 0
    child = 1
    while child < size - 1:
        below = heap[child]
        right = heap[child + 1]
        if child + 1 < size - 1 and (
            right["key"] < below["key"] or (right["key"] == below["key"] and right["item"] < below["item"])
        ):
            child += 1
            below = right
        if key < below["key"] or (key == below["key"] and item < below["item"]):
            break
        heap[hole] = below
        hole = child
        child = 2 * hole + 1
    heap[hole]["key"] = key
    heap[hole]["item"] = item


@in_place_kernel
def heap_remove(heap: Rows, size: int, item: int) -> None:
    """Remove the entry of this item; O(size)."""
    hole = 0
    while heap[hole]["item"] != item:
        hole += 1
    # up to the top, as if it were less than all others
    while hole > 0:
        parent = (hole - 1) >> 1
        heap[hole] = heap[parent]
        hole = parent
    heap_pop(heap, size)


@in_place_kernel
def post(sim: Simulation, time: float, kind: int, ident: int) -> None:
    tally = sim.tally[0]
    heap_push(sim.events, tally["events"], time, (kind << KIND_SHIFT) | ident)
    tally["events"] += 1


@in_place_kernel
def next_instant(sim: Simulation) -> float:
    """Time of the earliest event; infinity if none is left."""
    tally = sim.tally[0]
    time = np.inf
    if tally["events"] > 0:
        time = sim.events[0]["key"]
    if tally["roots"] < sim.roots.size:
        time = min(time, sim.roots[tally["roots"]]["key"])
    return time


@in_place_kernel
def take_event(sim: Simulation, now: float) -> int:
    """Remove the first event of the instant and return its kind and id; -1 if the instant is drained."""
    tally = sim.tally[0]
    first = -1
    if tally["events"] > 0 and sim.events[0]["key"] == now:
        first = sim.events[0]["item"]
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


# --- idle causes ---


@in_place_kernel
def append_segment(
    sim: Simulation,
    segments: Rows,
    replica: int,
    state: int,
    cause: int,
    span: tuple[float, float],
    joules: float,
    steps: int,
) -> None:
    """Write a segment, or lengthen the replica's last one if state and cause are the same."""
    last = sim.engines[replica]["last_segment"]
    if last != NOBODY and segments[last]["state"] == state and segments[last]["cause"] == cause:
        row = segments[last]
        row["end_s"] = span[1]
        row["energy_j"] += joules
        row["steps"] += steps
        return
    tally = sim.tally[0]
    row = segments[tally["segments"]]
    row["replica"] = replica
    row["state"] = state
    row["cause"] = cause
    row["start_s"] = span[0]
    row["end_s"] = span[1]
    row["energy_j"] = joules
    row["steps"] = steps
    sim.engines[replica]["last_segment"] = tally["segments"]
    tally["segments"] += 1


@in_place_kernel
def cause_of_idle(sim: Simulation, replica: int) -> int:
    """Return the first cause that holds; a call is only ever passed over by a replica that is busy."""
    if sim.tally[0]["passed_sessions"] > 0:
        return IMBALANCE
    if sim.idle[replica, TOOL_WAIT]["sessions"] > 0:
        return TOOL_WAIT
    if sim.idle[replica, CLIENT_WAIT]["sessions"] > 0:
        return CLIENT_WAIT
    if sim.idle[replica, PEER_CALL]["sessions"] > 0:
        return PEER_CALL
    return NO_DEMAND


@in_place_kernel
def accrue_idle(sim: Simulation, replica: int, now: float) -> None:
    """Bring the replica's IDLE_TALLY up to now, before what it is divided by changes."""
    engine = sim.engines[replica]
    cause = engine["cause"]
    elapsed = now - engine["accrued_s"]
    if cause in (TOOL_WAIT, CLIENT_WAIT, PEER_CALL) and elapsed > 0.0:
        idle = sim.idle[replica, cause]
        idle["share"] += elapsed / idle["sessions"]
    engine["accrued_s"] = now


@in_place_kernel
def accrue_imbalance(sim: Simulation, now: float) -> None:
    tally = sim.tally[0]
    elapsed = now - tally["imbalance_until_s"]
    if tally["imbalanced"] > 0 and elapsed > 0.0:
        tally["imbalance_share"] += elapsed * tally["imbalanced"] / tally["passed_sessions"]
    tally["imbalance_until_s"] = now


@in_place_kernel
def recount_session(sim: Simulation, session: int, now: float) -> None:
    """Credit the session with its idle so far and count it anew, after its calls or tools changed."""
    agent = sim.agents[session]
    counted = agent["counted_as"]
    if counted != NO_CAUSE:
        home = agent["counted_home"]
        accrue_idle(sim, home, now)
        idle_s = sim.idle[home, counted]["share"] - agent["mark"]
        sim.sessions[session]["idle_s"][counted] += idle_s
        if counted == TOOL_WAIT:
            agent["tool_share"] += idle_s / agent["counted_tools"]
        sim.idle[home, counted]["sessions"] -= 1
    counted = NO_CAUSE
    home = agent["home"]
    if home != NOBODY and agent["to_place"] > 0:
        counted = CLIENT_WAIT
        if agent["in_flight"] > 0:
            counted = PEER_CALL
        elif agent["open_tools"] > 0:
            counted = TOOL_WAIT
        accrue_idle(sim, home, now)
        sim.idle[home, counted]["sessions"] += 1
        agent["mark"] = sim.idle[home, counted]["share"]
    agent["counted_as"] = counted
    agent["counted_home"] = home
    agent["counted_tools"] = agent["open_tools"]


@in_place_kernel
def enter_passed_over(sim: Simulation, call: int, now: float) -> None:
    sim.tasks[call]["passed_over"] = 1
    agent = sim.agents[sim.calls[call]["session"]]
    if agent["passed_calls"] == 0:
        accrue_imbalance(sim, now)
        sim.tally[0]["passed_sessions"] += 1
        agent["passed_mark"] = sim.tally[0]["imbalance_share"]
    agent["passed_calls"] += 1


@in_place_kernel
def leave_passed_over(sim: Simulation, call: int, now: float) -> None:
    sim.tasks[call]["passed_over"] = 0
    session = sim.calls[call]["session"]
    agent = sim.agents[session]
    agent["passed_calls"] -= 1
    if agent["passed_calls"] == 0:
        accrue_imbalance(sim, now)
        sim.tally[0]["passed_sessions"] -= 1
        idle_s = sim.tally[0]["imbalance_share"] - agent["passed_mark"]
        sim.sessions[session]["idle_s"][IMBALANCE] += idle_s


@in_place_kernel
def leave_idle(sim: Simulation, segments: Rows, replica: int, now: float) -> None:
    """Close the replica's open idle segment, if there is one; `conclude` gives it its joules."""
    engine = sim.engines[replica]
    cause = engine["cause"]
    if cause == NO_CAUSE:
        return
    accrue_idle(sim, replica, now)
    begin = engine["idle_from_s"]
    if cause == IMBALANCE:
        accrue_imbalance(sim, now)
        sim.tally[0]["imbalanced"] -= 1
    elif cause == NO_DEMAND:
        sim.tally[0]["null_idle_s"] += now - begin
    if now > begin:
        append_segment(sim, segments, replica, IDLE, cause, (begin, now), 0.0, 0)
    engine["cause"] = NO_CAUSE


@in_place_kernel
def settle_causes(sim: Simulation, segments: Rows, now: float) -> None:
    """At the end of an instant, open a new idle segment wherever the cause has changed."""
    for replica in range(sim.limits.replicas):
        engine = sim.engines[replica]
        if engine["busy"]:
            continue
        cause = cause_of_idle(sim, replica)
        if cause == engine["cause"]:
            continue
        leave_idle(sim, segments, replica, now)
        engine["cause"] = cause
        engine["idle_from_s"] = now
        engine["accrued_s"] = now
        if cause == IMBALANCE:
            accrue_imbalance(sim, now)
            sim.tally[0]["imbalanced"] += 1


# --- the session graph ---


@in_place_kernel
def count_kv(sim: Simulation, replica: int, now: float) -> None:
    """Bring the integral of held blocks up to now, if the replica's have changed."""
    engine = sim.engines[replica]
    held = sim.limits.num_blocks - sim.memory.pools[replica]["free"]
    change = held - engine["held_blocks"]
    if change == 0:
        return
    tally = sim.tally[0]
    tally["kv_token_s"] += tally["held_blocks"] * sim.limits.block_size * (now - tally["kv_until_s"])
    tally["kv_until_s"] = now
    tally["held_blocks"] += change
    engine["held_blocks"] = held
    tally["peak_blocks"] = max(tally["peak_blocks"], held)


@in_place_kernel
def route(sim: Simulation, session: int) -> int:
    """Return the replica for a call that starts now."""
    router = sim.limits.router
    if router == ROUND_ROBIN:
        turn = sim.tally[0]["turn"]
        sim.tally[0]["turn"] += 1
        return int(turn % sim.limits.replicas)
    home = sim.agents[session]["home"]
    if router == SESSION_AFFINE and home != NOBODY:
        return int(home)  # where its latest call went, and so the first
    chosen = 0
    for replica in range(1, sim.limits.replicas):
        if sim.engines[replica]["outstanding"] < sim.engines[chosen]["outstanding"]:
            chosen = replica
    return chosen


@in_place_kernel
def enqueue(sim: Simulation, replica: int, call: int) -> None:
    engine = sim.engines[replica]
    sim.tasks[call]["next"] = NOBODY
    if engine["waiting_head"] == NOBODY:
        engine["waiting_head"] = call
    else:
        sim.tasks[engine["waiting_tail"]]["next"] = call
    engine["waiting_tail"] = call
    if engine["fresh_head"] == NOBODY:
        engine["fresh_head"] = call
    engine["outstanding"] += 1


@in_place_kernel
def end_step(sim: Simulation, step: int, now: float) -> None:
    """Record the end and post the start of every step whose last parent this was."""
    node = sim.nodes[step]
    session = node["session"]
    sim.steps[step]["end_s"] = now
    sim.sessions[session]["end_s"] = now + sim.agents[session]["tail_s"]
    for edge in range(node["first_child"], node["end_child"]):
        child = sim.children[edge]
        sim.nodes[child]["parents_left"] -= 1
        if sim.nodes[child]["parents_left"] == 0:
            post(sim, now + sim.nodes[child]["lag_s"], START, child)


@called_kernel
def start_call(sim: Simulation, step: int, now: float) -> None:
    """Place the call on a replica, or refuse it."""
    call = sim.nodes[step]["call"]
    session = sim.nodes[step]["session"]
    agent = sim.agents[session]
    task = sim.tasks[call]
    row = sim.calls[call]
    row["queued_s"] = now
    agent["to_place"] -= 1
    tokens = task["prompt"] + task["output"]
    too_long = tokens > sim.limits.max_model_len
    # the last output token is never written
    if too_long or blocks_for(sim.memory, tokens - 1) > sim.limits.num_blocks:
        row["replica"] = NOBODY
        row["started_s"] = now
        row["first_token_s"] = now
        row["end_s"] = now
        sim.tally[0]["refused"] += 1
        recount_session(sim, session, now)
        end_step(sim, step, now)
        return
    replica = route(sim, session)
    row["replica"] = replica
    agent["home"] = replica
    agent["in_flight"] += 1
    recount_session(sim, session, now)
    if sim.memory.caching:
        settle(sim.memory, replica, call)
    enqueue(sim, replica, call)


@in_place_kernel
def start_step(sim: Simulation, step: int, now: float) -> None:
    node = sim.nodes[step]
    sim.steps[step]["start_s"] = now
    if node["kind"] == CALL:
        start_call(sim, step, now)
        return
    if node["kind"] == TOOL:
        agent = sim.agents[node["session"]]
        agent["open_tools"] += 1
        recount_session(sim, node["session"], now)
        node["mark"] = agent["tool_share"]
    post(sim, now + node["duration_s"], END, step)


@in_place_kernel
def end_tool_or_gap(sim: Simulation, step: int, now: float) -> None:
    node = sim.nodes[step]
    if node["kind"] == TOOL:
        agent = sim.agents[node["session"]]
        agent["open_tools"] -= 1
        recount_session(sim, node["session"], now)
        sim.steps[step]["idle_s"] = agent["tool_share"] - node["mark"]
    end_step(sim, step, now)


@called_kernel
def end_call(sim: Simulation, replica: int, call: int, now: float) -> None:
    engine = sim.engines[replica]
    engine["running"] -= 1
    engine["outstanding"] -= 1
    task = sim.tasks[call]
    give_back(sim.memory, replica, call, task["prompt"] + task["output"] - 1)
    row = sim.calls[call]
    row["end_s"] = now
    session = row["session"]
    sim.agents[session]["in_flight"] -= 1
    recount_session(sim, session, now)
    end_step(sim, row["step"], now)


# --- engine steps: energy ---


@in_place_kernel
def step_seconds(cost: StepCost, batch: Batch) -> float:
    return (
        cost.base_s
        + cost.prefill_token_s * batch.prompt_tokens
        + cost.prefill_attention_s * batch.prompt_attention
        + cost.decode_s * batch.decodes
        + cost.decode_context_s * batch.contexts
    )


@in_place_kernel
def roofline_seconds(cost: StepCost, batch: Batch) -> tuple[float, float, float]:
    """t_W, t_K and t_C of the step."""
    return (
        cost.weight_share_s,
        cost.kv_token_share_s * (batch.prompt_kv + batch.contexts),
        cost.token_compute_share_s * (batch.prompt_tokens + batch.decodes)
        + cost.attention_compute_share_s * (batch.prompt_attention + batch.contexts),
    )


@in_place_kernel
def step_watts(power: PowerCurve, roofline: tuple[float, float, float], seconds: float) -> float:
    if seconds <= 0.0:
        return power.idle_w
    weight_s, kv_s, compute_s = roofline
    bandwidth_use = (power.weight_efficiency * weight_s + power.kv_efficiency * kv_s) / seconds
    compute_use = power.compute_efficiency * compute_s / seconds
    reach = power.q0 + power.q1 * bandwidth_use + power.q2 * compute_use**power.exponent
    return float(power.idle_w + power.span_w * min(power.cap, 1.0 - np.exp(-reach)))


@in_place_kernel
def split_of_step(cost: StepCost, batch: Batch, roofline: tuple[float, float, float]) -> Split:
    """[t_W / n + t_K K_i / sum K + t_C F_i / sum F] / (t_W + t_K + t_C), per unit of K_i and F_i."""
    sequences = batch.chunks + batch.decodes
    weight_s, kv_s, compute_s = roofline
    total = weight_s + kv_s + compute_s
    if total <= 0.0:
        return Split(1.0 / sequences, 0.0, 0.0, 0.0)
    return Split(
        weight_s / (total * sequences),
        cost.token_compute_share_s / total,
        cost.kv_token_share_s / total,
        cost.attention_compute_share_s / total,
    )


@in_place_kernel
def book_decodes(engine: Record, split: Split, joules: float, seconds: float) -> None:
    """Add the step to the prefix sums of a decoding call's share.

    A call with anchor a has context a + D in decode step D, so its fraction of the step is
    flat + slope * (a + D): sums of flat, slope and slope * D (`ramp`) give every call its share at its end.
    """
    flat = split.sequence + split.token
    slope = split.kv_token + split.attended
    ramp = slope * engine["decode_steps"]
    engine["flat_j"] += joules * flat
    engine["slope_j"] += joules * slope
    engine["ramp_j"] += joules * ramp
    engine["flat_s"] += seconds * flat
    engine["slope_s"] += seconds * slope
    engine["ramp_s"] += seconds * ramp


@in_place_kernel
def credit_decodes(sim: Simulation, engine: Record, call: int, sign: float) -> None:
    """Credit the call with the prefix sums: minus at its first decode step, plus at its end."""
    anchor = sim.memory.holdings[call]["anchor"]
    row = sim.calls[call]
    row["energy_j"] += sign * (engine["flat_j"] + anchor * engine["slope_j"] + engine["ramp_j"])
    row["busy_s"] += sign * (engine["flat_s"] + anchor * engine["slope_s"] + engine["ramp_s"])


@in_place_kernel
def rebase_decodes(sim: Simulation, replica: int) -> None:
    """Start the prefix sums again from 0, so that differences of them keep their digits."""
    engine = sim.engines[replica]
    elapsed = engine["decode_steps"]
    sim.phases[replica, :] = 0
    for place in range(engine["decodes"]):
        finish = sim.finishes[replica, place]
        call = finish["item"] & CALL_MASK
        credit_decodes(sim, engine, call, 1.0)
        holding = sim.memory.holdings[call]
        holding["anchor"] += elapsed
        sim.phases[replica, holding["anchor"] % sim.limits.block_size] += 1
        finish["key"] -= elapsed
    engine["decode_steps"] = 0
    sim.memory.pools[replica]["clock"] = 0
    engine["flat_j"] = 0.0
    engine["slope_j"] = 0.0
    engine["ramp_j"] = 0.0
    engine["flat_s"] = 0.0
    engine["slope_s"] = 0.0
    engine["ramp_s"] = 0.0


@in_place_kernel
def book_chunks(sim: Simulation, engine: Record, split: Split, joules: float, seconds: float) -> None:
    """Credit every prompt chunk of the step with its share."""
    call = engine["prompt_head"]
    while call != NOBODY:
        task = sim.tasks[call]
        chunk = task["chunk"]
        if chunk > 0:
            context = task["done"]
            fraction = (
                split.sequence
                + split.token * chunk
                + split.kv_token * (context + chunk)
                + split.attended * (0.5 * chunk * (2 * context + chunk))
            )
            sim.calls[call]["energy_j"] += joules * fraction
            sim.calls[call]["busy_s"] += seconds * fraction
        call = sim.memory.holdings[call]["next"]


# --- engine steps: scheduling ---


@in_place_kernel
def leave_decode(sim: Simulation, replica: int, call: int) -> None:
    """Credit the call with its decode steps; it is out of the finish heap."""
    engine = sim.engines[replica]
    anchor = sim.memory.holdings[call]["anchor"]
    engine["decodes"] -= 1
    engine["contexts"] -= anchor + engine["decode_steps"]
    sim.phases[replica, anchor % sim.limits.block_size] -= 1
    credit_decodes(sim, engine, call, 1.0)


@called_kernel
def preempt_last(sim: Simulation, replica: int, now: float) -> None:
    """Take all blocks of the call that was admitted last; it waits, first in the queue, to compute them again."""
    engine = sim.engines[replica]
    call = sim.memory.pools[replica]["running_tail"]
    task = sim.tasks[call]
    holding = sim.memory.holdings[call]
    computed = task["done"]
    if holding["decodes"]:
        heap_remove(sim.finishes[replica], engine["decodes"], (task["rank"] << CALL_BITS) | call)
        leave_decode(sim, replica, call)
        task["goal"] = holding["anchor"] + engine["decode_steps"]
        computed = task["goal"] - 1
    else:
        engine["prompt_head"] = NOBODY
    give_back(sim.memory, replica, call, computed)
    task["done"] = 0
    engine["running"] -= 1
    sim.calls[call]["preemptions"] += 1
    task["next"] = engine["waiting_head"]
    if engine["waiting_head"] == NOBODY:
        engine["waiting_tail"] = call
    engine["waiting_head"] = call
    enter_passed_over(sim, call, now)


@in_place_kernel
def grow_decodes(sim: Simulation, replica: int, now: float) -> bool:
    """Give every decode that needs one its next block; return whether that took preemptions."""
    engine = sim.engines[replica]
    pool = sim.memory.pools[replica]
    step = engine["decode_steps"]
    needed = sim.phases[replica, (1 - step) % sim.limits.block_size]
    enough = needed <= pool["free"]
    if not enough:
        grow_one_by_one(sim, replica, now)
    elif not take_from_front(sim.memory, pool, needed):
        take(sim.memory, replica, needed)
    pool["clock"] = step + 1
    return not enough


@called_kernel
def grow_one_by_one(sim: Simulation, replica: int, now: float) -> None:
    engine = sim.engines[replica]
    pool = sim.memory.pools[replica]
    call = pool["running_head"]
    while call != NOBODY and sim.memory.holdings[call]["decodes"]:
        holding = sim.memory.holdings[call]
        context = holding["anchor"] + engine["decode_steps"]
        if (context - 1) % sim.limits.block_size == 0:
            while pool["free"] == 0 and holding["decodes"]:
                preempt_last(sim, replica, now)
            if not holding["decodes"]:
                return
            take(sim.memory, replica, 1)
        fill(sim.memory, replica, call, context)
        call = holding["next"]


@in_place_kernel
def grow_prompt(sim: Simulation, replica: int, call: int, budget: int, now: float) -> int:
    """Give the prompt that was begun before what it can compute; return that, 0 if it is preempted instead."""
    task = sim.tasks[call]
    chunk = min(task["goal"] - task["done"], budget)
    computed = task["done"] + chunk
    needed = blocks_for(sim.memory, computed) - blocks_for(sim.memory, task["done"])
    if needed > sim.memory.pools[replica]["free"]:
        preempt_last(sim, replica, now)
        return 0
    take(sim.memory, replica, needed)
    fill(sim.memory, replica, call, computed)
    task["chunk"] = chunk
    return int(chunk)


@called_kernel
def admit_head(sim: Simulation, replica: int, budget: int, now: float) -> int:
    """Move the first waiting call to the running ones and return its first chunk; 0 if it does not fit."""
    engine = sim.engines[replica]
    memory = sim.memory
    call = engine["waiting_head"]
    if call == NOBODY or engine["running"] >= sim.limits.max_num_seqs:
        return 0
    task = sim.tasks[call]
    found, queued = find(memory, replica, call, (task["goal"] - 1) // sim.limits.block_size)
    if blocks_for(memory, task["goal"]) - found > memory.pools[replica]["free"] - queued:
        return 0
    engine["waiting_head"] = task["next"]
    if call == engine["fresh_head"]:
        engine["fresh_head"] = task["next"]
    if task["passed_over"]:
        leave_passed_over(sim, call, now)
    engine["running"] += 1
    engine["admissions"] += 1
    task["rank"] = engine["admissions"]
    if engine["prompt_head"] == NOBODY:
        engine["prompt_head"] = call
    row = sim.calls[call]
    task["done"] = found * sim.limits.block_size
    if row["preemptions"] == 0:
        row["started_s"] = now
        row["cached_tokens"] = task["done"]
    task["chunk"] = min(task["goal"] - task["done"], budget)
    computed = task["done"] + task["chunk"]
    hold(memory, replica, call, found)
    take(memory, replica, blocks_for(memory, computed) - found)
    fill(memory, replica, call, computed)
    return int(task["chunk"])


@in_place_kernel
def fill_budget(sim: Simulation, replica: int, now: float) -> None:
    """Give every decode one token, then the prompt that was begun, then waiting calls FCFS."""
    engine = sim.engines[replica]
    if engine["decodes"] > 0 and grow_decodes(sim, replica, now):
        return
    budget = sim.limits.max_num_batched_tokens - engine["decodes"]
    call = engine["prompt_head"]
    if call != NOBODY:
        chunk = grow_prompt(sim, replica, call, budget, now)
        if chunk == 0:
            return
        budget -= chunk
    while budget > 0:
        chunk = admit_head(sim, replica, budget, now)
        if chunk == 0:
            return
        budget -= chunk


@in_place_kernel
def pass_over_waiting(sim: Simulation, replica: int, now: float) -> None:
    engine = sim.engines[replica]
    call = engine["fresh_head"]
    while call != NOBODY:
        enter_passed_over(sim, call, now)
        call = sim.tasks[call]["next"]
    engine["fresh_head"] = NOBODY


@in_place_kernel
def batch_of(sim: Simulation, engine: Record) -> Batch:
    chunks = 0
    tokens = 0
    twice_attention = 0
    kv = 0
    call = engine["prompt_head"]
    while call != NOBODY:
        task = sim.tasks[call]
        chunk = task["chunk"]
        if chunk > 0:
            chunks += 1
            tokens += chunk
            twice_attention += chunk * (2 * task["done"] + chunk)
            kv += task["done"] + chunk
        call = sim.memory.holdings[call]["next"]
    return Batch(chunks, tokens, 0.5 * twice_attention, kv, engine["decodes"], engine["contexts"])


@in_place_kernel
def start_engine_step(
    sim: Simulation, segments: Rows, cost: StepCost, power: PowerCurve, replica: int, now: float
) -> None:
    """Schedule one engine step and book it whole: nothing can change it any more."""
    engine = sim.engines[replica]
    leave_idle(sim, segments, replica, now)
    fill_budget(sim, replica, now)
    pass_over_waiting(sim, replica, now)
    count_kv(sim, replica, now)
    batch = batch_of(sim, engine)
    seconds = step_seconds(cost, batch)
    roofline = roofline_seconds(cost, batch)
    joules = step_watts(power, roofline, seconds) * seconds
    split = split_of_step(cost, batch, roofline)
    book_chunks(sim, engine, split, joules, seconds)
    state = PREFILL
    if batch.decodes > 0:
        book_decodes(engine, split, joules, seconds)
        state = DECODE if batch.chunks == 0 else MIXED
    append_segment(sim, segments, replica, state, NO_CAUSE, (now, now + seconds), joules, 1)
    engine["busy"] = 1
    sim.tally[0]["engine_steps"] += 1
    post(sim, now + seconds, COMPLETION, replica)


@in_place_kernel
def advance_decodes(sim: Simulation, replica: int, now: float) -> None:
    """Every decoding call has one token more; end those whose count is reached."""
    engine = sim.engines[replica]
    if engine["decodes"] == 0:
        return
    engine["decode_steps"] += 1
    engine["contexts"] += engine["decodes"]
    finishes = sim.finishes[replica]
    while engine["decodes"] > 0 and finishes[0]["key"] == engine["decode_steps"]:
        call = finishes[0]["item"] & CALL_MASK
        heap_pop(finishes, engine["decodes"])
        leave_decode(sim, replica, call)
        end_call(sim, replica, call, now)
    if engine["decodes"] == 0 or engine["decode_steps"] >= REBASE_STEPS:
        rebase_decodes(sim, replica)


@in_place_kernel
def enter_decode(sim: Simulation, replica: int, call: int) -> None:
    """From the next token on: its context is what was computed, and the token that came of it."""
    engine = sim.engines[replica]
    task = sim.tasks[call]
    holding = sim.memory.holdings[call]
    context = task["goal"] + 1
    holding["decodes"] = 1
    holding["anchor"] = context - engine["decode_steps"]
    sim.phases[replica, holding["anchor"] % sim.limits.block_size] += 1
    credit_decodes(sim, engine, call, -1.0)
    last = engine["decode_steps"] + task["prompt"] + task["output"] - context
    heap_push(sim.finishes[replica], engine["decodes"], float(last), (task["rank"] << CALL_BITS) | call)
    engine["decodes"] += 1
    engine["contexts"] += context


@in_place_kernel
def advance_prompts(sim: Simulation, replica: int, now: float) -> None:
    """Count the chunks; a prompt that is done has emitted a token, the call's first if it was not preempted."""
    engine = sim.engines[replica]
    call = engine["prompt_head"]
    engine["prompt_head"] = NOBODY
    while call != NOBODY:
        task = sim.tasks[call]
        following = sim.memory.holdings[call]["next"]
        task["done"] += task["chunk"]
        task["chunk"] = 0
        if task["done"] < task["goal"]:
            engine["prompt_head"] = call
        else:
            if task["goal"] == task["prompt"]:
                sim.calls[call]["first_token_s"] = now
            if task["goal"] + 1 == task["prompt"] + task["output"]:
                end_call(sim, replica, call, now)
            else:
                enter_decode(sim, replica, call)
        call = following


@in_place_kernel
def complete_engine_step(sim: Simulation, replica: int, now: float) -> None:
    sim.engines[replica]["busy"] = 0
    advance_decodes(sim, replica, now)
    advance_prompts(sim, replica, now)
    count_kv(sim, replica, now)


# --- the run ---


@in_place_kernel
def drain_instant(sim: Simulation, now: float) -> None:
    event = take_event(sim, now)
    while event >= 0:
        kind = event >> KIND_SHIFT
        ident = event & ((1 << KIND_SHIFT) - 1)
        if kind == COMPLETION:
            complete_engine_step(sim, ident, now)
        elif kind == END:
            end_tool_or_gap(sim, ident, now)
        else:
            start_step(sim, ident, now)
        event = take_event(sim, now)


@in_place_kernel
def close_horizon(sim: Simulation, segments: Rows) -> float:
    """Close what is still idle when the last session ends, and return that time."""
    horizon = 0.0
    for session in range(sim.sessions.size):
        horizon = max(horizon, sim.sessions[session]["end_s"])
    for replica in range(sim.limits.replicas):
        leave_idle(sim, segments, replica, horizon)
    return horizon


@in_place_kernel
def advance(sim: Simulation, segments: Rows, cost: StepCost, power: PowerCurve) -> bool:
    """Run to the end, or until `segments` may be too short or the memory's pools were; return whether it is over.

    In one instant a replica may close an idle segment and start a step.
    """
    room = segments.size - 2 * sim.limits.replicas
    now = next_instant(sim)
    while now < np.inf and sim.tally[0]["segments"] <= room and not sim.memory.stock[0]["overflow"]:
        drain_instant(sim, now)
        for replica in range(sim.limits.replicas):
            engine = sim.engines[replica]
            if not engine["busy"] and engine["outstanding"] > 0:
                start_engine_step(sim, segments, cost, power, replica, now)
        settle_causes(sim, segments, now)
        now = next_instant(sim)
    return bool(now == np.inf and not sim.memory.stock[0]["overflow"])


def simulate(sim: Simulation, cost: StepCost, power: PowerCurve) -> tuple[Rows, float] | None:
    """Run to the end; return the segments in order of their end, and the horizon; None if a pool was too small."""
    segments = zeros(64 + 4 * sim.limits.replicas, SEGMENT_ROW)
    settle_causes(sim, segments, 0.0)
    while not advance(sim, segments, cost, power):
        if sim.memory.stock[0]["overflow"]:
            return None
        segments = np.concatenate([segments, np.zeros_like(segments)])
    segments = np.concatenate([segments, zeros(sim.limits.replicas, SEGMENT_ROW)])
    horizon_s = close_horizon(sim, segments)
    return segments[: sim.tally[0]["segments"]], horizon_s


def zeros(shape: int | tuple[int, int], row: np.dtype[np.void], **filled: npt.ArrayLike) -> Rows:
    """Return records of 0, but for the fields named."""
    rows = np.zeros(shape, row)
    for field, values in filled.items():
        rows[field] = values
    return rows


def prepare_nodes(workload: Workload) -> Rows:
    is_call = workload.kind == CALL
    return zeros(
        workload.kind.size,
        NODE,
        kind=workload.kind,
        session=workload.session,
        call=np.where(is_call, np.cumsum(is_call) - 1, NOBODY),
        parents_left=workload.parent_count,
        first_child=workload.child_start[:-1],
        end_child=workload.child_start[1:],
        duration_s=workload.duration_s,
        lag_s=workload.lag_s,
    )


def prepare_roots(workload: Workload) -> Rows:
    root = np.flatnonzero(workload.parent_count == 0)
    start_s = workload.session_arrival_s[workload.session[root]] + workload.lag_s[root]
    roots = zeros(root.size, ENTRY, key=start_s, item=(START << KIND_SHIFT) | root)
    return roots[np.argsort(start_s, kind="stable")]


def prepare_calls_memory(workload: Workload, limits: FleetLimits, tasks: Rows, slack: int) -> KvMemory:
    is_call = workload.kind == CALL
    call = np.flatnonzero(is_call)
    parent_step = workload.prefix_parent[call]
    has_parent = (parent_step >= 0) & is_call[parent_step] & (workload.prefix_tokens[call] > 0)
    parent = np.where(has_parent, (np.cumsum(is_call) - 1)[parent_step], NOBODY)
    text_tokens = tasks["prompt"] + tasks["output"]
    shared = np.minimum(workload.prefix_tokens[call], tasks["prompt"])
    return prepare_memory(
        parent,
        np.where(has_parent, np.minimum(shared, text_tokens[parent]), 0),
        text_tokens,
        block_size=limits.block_size,
        num_blocks=limits.num_blocks,
        replicas=limits.replicas,
        caching=bool(limits.enable_prefix_cache),
        slack=slack,
    )


def prepare(workload: Workload, limits: FleetLimits, slack: int = SLACK) -> Simulation:
    call = np.flatnonzero(workload.kind == CALL)
    sessions = workload.session_arrival_s.size
    steps = workload.kind.size
    calls_of = np.bincount(workload.session[call], minlength=sessions)
    seats = max(1, min(limits.max_num_seqs, call.size))
    tokens = {"input_tokens": workload.input_tokens[call], "output_tokens": workload.output_tokens[call]}
    # an engine computes at least one prompt token and emits at least one
    prompt, output = (np.maximum(1, count) for count in tokens.values())
    tasks = zeros(call.size, TASK, prompt=prompt, output=output, goal=prompt)
    arrival = workload.session_arrival_s
    unset = {"home": NOBODY, "counted_as": NO_CAUSE}
    queues = {"waiting_head": NOBODY, "fresh_head": NOBODY, "prompt_head": NOBODY}
    return Simulation(
        limits=limits,
        events=zeros(steps + limits.replicas, ENTRY),
        roots=prepare_roots(workload),
        engines=zeros(limits.replicas, ENGINE, cause=NO_CAUSE, last_segment=NOBODY, **queues),
        finishes=zeros((limits.replicas, seats), ENTRY),
        phases=np.zeros((limits.replicas, limits.block_size), np.int64),
        memory=prepare_calls_memory(workload, limits, tasks, slack),
        tasks=tasks,
        nodes=prepare_nodes(workload),
        # its own copy: a read-only array would be another type, and compile the kernel again
        children=np.array(workload.child_index, np.int64),
        agents=zeros(sessions, AGENT, tail_s=workload.session_tail_s, to_place=calls_of, **unset),
        idle=zeros((limits.replicas, CAUSES), IDLE_TALLY),
        tally=zeros(1, TALLY),
        calls=zeros(call.size, CALL_ROW, step=call, session=workload.session[call], **tokens),
        steps=zeros(steps, STEP_ROW),
        sessions=zeros(sessions, SESSION_ROW, start_s=arrival, end_s=arrival + workload.session_tail_s),
    )


def conclude(sim: Simulation, segments: Rows, horizon_s: float, idle_w: float) -> Outcome:
    """Turn idle seconds into joules and order the segments by replica, then time."""
    ordered = segments[np.argsort(segments["replica"], kind="stable")]
    idle = ordered["state"] == IDLE
    ordered["energy_j"][idle] = idle_w * (ordered["end_s"] - ordered["start_s"])[idle]
    sim.sessions["idle_j"] = idle_w * sim.sessions["idle_s"]
    sim.steps["idle_j"] = idle_w * sim.steps["idle_s"]
    tally = sim.tally[0]
    return Outcome(
        calls=sim.calls,
        steps=sim.steps,
        sessions=sim.sessions,
        segments=ordered,
        horizon_s=horizon_s,
        null_idle_j=float(idle_w * tally["null_idle_s"]),
        null_idle_s=float(tally["null_idle_s"]),
        kv_token_s=float(tally["kv_token_s"]),
        kv_peak_tokens=int(tally["peak_blocks"] * sim.limits.block_size),
        evicted_blocks=int(sim.memory.stock[0]["evicted"]),
        refused=int(tally["refused"]),
        engine_steps=int(tally["engine_steps"]),
    )


def replay(workload: Workload, cost: StepCost, power: PowerCurve, limits: FleetLimits) -> Outcome:
    """Replay the workload on the fleet.

    Token counts in the outcome are the workload's own; a call of 0 tokens in or out is computed as one of 1.
    A refused call has replica -1 and takes 0 s; it does not use up a round-robin turn.
    """
    counts = (limits.replicas, limits.max_num_seqs, limits.max_num_batched_tokens, limits.block_size)
    if min(*counts, limits.num_blocks) < 1:
        raise ValueError(
            "a fleet needs replicas, max_num_seqs, max_num_batched_tokens, block_size and num_blocks of at "
            f"least 1: {limits}"
        )
    if min(workload.lag_s.min(initial=0.0), workload.duration_s.min(initial=0.0)) < 0.0:
        raise ValueError("lags and durations of steps cannot be negative: an edge means `starts after`")
    # the kernel is compiled for floats here and ints there
    cost = StepCost(*(float(term) for term in cost))
    power = PowerCurve(*(float(term) for term in power))
    limits = FleetLimits(*(int(limit) for limit in limits))
    slack = SLACK
    sim = prepare(workload, limits, slack)
    result = simulate(sim, cost, power)
    while result is None:
        slack = 8 * slack + 8
        sim = prepare(workload, limits, slack)
        result = simulate(sim, cost, power)
    segments, horizon_s = result
    if sim.nodes["parents_left"].any():
        raise ValueError(
            "some steps never started: their graph has a cycle, or parent_count is not its edges"
        )
    return conclude(sim, segments, horizon_s, power.idle_w)
