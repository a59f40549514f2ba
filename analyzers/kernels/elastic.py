"""Replicas that start and stop with demand, in pools with `min_replicas`."""

from tracekit.analyzers.kernels.events import EXPIRY, READY
from tracekit.analyzers.kernels.host_memory import empty_host_memory
from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.kv_taking import forget_free
from tracekit.analyzers.kernels.layout import NOBODY, Batching
from tracekit.analyzers.kernels.retention import make_room
from tracekit.analyzers.kernels.seats import clear_seats
from tracekit.analyzers.kernels.simulation import IDLE, OFF, STARTING, Simulation, post, unsettle

SLOTS = int(Batching.SLOTS)


@kernel
def start_one_more(sim: Simulation, replica: int, now: float) -> None:
    """Start another replica of this one's pool if calls stand too deep on those that are on or starting."""
    pool = sim.pools[sim.engines[replica]["pool"]]
    if pool["min_replicas"] == 0:
        return
    outstanding = 0
    awake = 0
    asleep = NOBODY
    for other in range(pool["first_replica"] + pool["replicas"] - 1, pool["first_replica"] - 1, -1):
        engine = sim.engines[other]
        if engine["power_state"] == OFF:
            asleep = other
        else:
            awake += 1
            outstanding += engine["outstanding"]
    if asleep != NOBODY and outstanding > pool["scale_up_calls"] * awake:
        sim.engines[asleep]["power_state"] = STARTING
        unsettle(sim, asleep)
        post(sim, now + pool["startup_s"], READY, asleep)


@small_kernel
def fall_quiet(sim: Simulation, replica: int, now: float) -> None:
    """Switch the replica off in a while if it is still quiet then."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    if pool["min_replicas"] > 0:
        engine["quiet_from_s"] = now
        post(sim, now + pool["scale_down_s"], EXPIRY, replica)


@kernel
def be_ready(sim: Simulation, replica: int, now: float) -> None:
    sim.engines[replica]["power_state"] = IDLE
    unsettle(sim, replica)
    fall_quiet(sim, replica, now)


@kernel
def switch_off_if_quiet(sim: Simulation, replica: int, now: float) -> None:
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    if engine["outstanding"] > 0 or engine["quiet_from_s"] + pool["scale_down_s"] > now:
        return
    on = 0
    for other in range(pool["first_replica"], pool["first_replica"] + pool["replicas"]):
        on += sim.engines[other]["power_state"] == IDLE
    if on > pool["min_replicas"]:
        while make_room(sim, replica, now):
            pass
        forget_free(sim.memory, replica)
        if pool["batching"] == SLOTS:
            clear_seats(sim, replica)
        empty_host_memory(sim, replica)
        engine["power_state"] = OFF
        unsettle(sim, replica)
