"""How much of the KV memory running and pinned calls hold."""

from tracekit.analyzers.kernels.decode_run import blocks_of_steps
from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_taking import take, take_from_front
from tracekit.analyzers.kernels.simulation import Simulation


@kernel
def count_kv(sim: Simulation, replica: int, now: float) -> None:
    """Bring the integral of held tokens up to now, if the replica's have changed, and the peak."""
    accrue_kv(sim, replica, now)
    note_peak(sim, replica, sim.engines[replica]["held_blocks"])


@kernel
def accrue_kv(sim: Simulation, replica: int, now: float) -> None:
    """Bring the integral up to now; in the middle of a scheduling pass more may be held than at its end."""
    engine = sim.engines[replica]
    held = sim.pools[engine["pool"]]["num_blocks"] - sim.memory.pools[replica]["free"] - engine["run_taken"]
    change = held - engine["held_blocks"]
    if change == 0:
        return
    tally = sim.tally[0]
    tally["kv_token_s"] += tally["held_tokens"] * (now - tally["kv_until_s"])
    tally["kv_until_s"] = now
    tally["held_tokens"] += change * sim.memory.block_size
    engine["held_blocks"] = held


@kernel
def note_peak(sim: Simulation, replica: int, held: int) -> None:
    tally = sim.tally[0]
    tally["peak_tokens"] = max(tally["peak_tokens"], held * sim.memory.block_size)
    blocks = sim.pools[sim.engines[replica]["pool"]]["num_blocks"]
    tally["peak_fraction"] = max(tally["peak_fraction"], held / blocks)


@kernel
def note_peak_of_run(sim: Simulation, replica: int) -> None:
    """Note what is held in the last planned step: its blocks, and those of steps before, are booked at its end."""
    engine = sim.engines[replica]
    taken = blocks_of_steps(sim.phases[replica], engine["decode_steps"] + 1, engine["run_planned"] - 1)
    note_peak(sim, replica, engine["held_blocks"] + taken)


@kernel
def take_in_run(sim: Simulation, replica: int, blocks: int) -> None:
    """Take what is missing of so many blocks that decode steps of a run have needed after its first."""
    engine = sim.engines[replica]
    missing = blocks - engine["run_taken"]
    if missing > 0 and not take_from_front(sim.memory, sim.memory.pools[replica], missing):
        take(sim.memory, replica, missing)
    engine["run_taken"] = blocks
