"""How much of the KV memory running and pinned calls hold."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.simulation import Simulation


@kernel
def count_kv(sim: Simulation, replica: int, now: float) -> None:
    """Bring the integral of held tokens up to now, if the replica's have changed."""
    engine = sim.engines[replica]
    held = sim.pools[engine["pool"]]["num_blocks"] - sim.memory.pools[replica]["free"]
    change = held - engine["held_blocks"]
    if change == 0:
        return
    tally = sim.tally[0]
    tally["kv_token_s"] += tally["held_tokens"] * (now - tally["kv_until_s"])
    tally["kv_until_s"] = now
    tally["held_tokens"] += change * sim.memory.block_size
    engine["held_blocks"] = held
    if change > 0:
        tally["peak_tokens"] = max(tally["peak_tokens"], held * sim.memory.block_size)
        tally["peak_fraction"] = max(tally["peak_fraction"], held / sim.pools[engine["pool"]]["num_blocks"])
