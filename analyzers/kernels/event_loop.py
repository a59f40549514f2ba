"""From instant to instant.

All events of an instant are drained first (see `events`); then every replica that is not busy and has work starts an
engine step (`engine_step`), or a run of decode steps that nothing can change (`decode_run`) unless a call comes; then
the cause of idleness of the others is settled (`idleness`).
"""

import numpy as np

from tracekit.analyzers.kernels.elastic import be_ready, fall_quiet, switch_off_if_quiet
from tracekit.analyzers.kernels.engine_step import start_engine_step
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
)
from tracekit.analyzers.kernels.host_memory import first_to_admit
from tracekit.analyzers.kernels.idleness import leave_idle, settle_causes
from tracekit.analyzers.kernels.inner_start import open_inner_edge
from tracekit.analyzers.kernels.jit import entry_kernel, kernel
from tracekit.analyzers.kernels.layout import NOBODY, Ints, Rows
from tracekit.analyzers.kernels.leaving import arrive
from tracekit.analyzers.kernels.placing import start_call
from tracekit.analyzers.kernels.retention import lapse
from tracekit.analyzers.kernels.session_graph import end_wait, start_wait
from tracekit.analyzers.kernels.simulation import CALL, IDLE, Simulation, unsettle
from tracekit.analyzers.kernels.step_end import complete_engine_step


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


@kernel
def start_step(sim: Simulation, step: int, now: float) -> None:
    if sim.kind[step] == CALL:
        start_call(sim, step, now)
    else:
        start_wait(sim, step, now)


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
            end_wait(sim, ident, now)
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
