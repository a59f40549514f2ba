"""Which replica a call goes to. None of the rules knows how long the answer will be."""

import numpy as np

from tracekit.analyzers.kernels.decode_run import blocks_of_steps, step_in_progress
from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.kv_memory import blocks_for
from tracekit.analyzers.kernels.kv_paths import foresee
from tracekit.analyzers.kernels.kv_use import take_in_run
from tracekit.analyzers.kernels.layout import NOBODY, Batching, Record, Role, Router
from tracekit.analyzers.kernels.seats import seat_for
from tracekit.analyzers.kernels.simulation import IDLE, Simulation

ROUND_ROBIN, SESSION_AFFINE = int(Router.ROUND_ROBIN), int(Router.SESSION_AFFINE)
POWER_OF_TWO, PREFIX_AWARE = int(Router.POWER_OF_TWO), int(Router.PREFIX_AWARE)

SLOTS = int(Batching.SLOTS)
ROLE_DECODE = int(Role.DECODE)


@small_kernel
def can_hold(sim: Simulation, pool: Record, prompt: int, output: int) -> bool:
    """Whether a replica of the pool could ever serve the call; the last output token is never written."""
    tokens = prompt + output
    fits = blocks_for(sim.memory, tokens - 1) <= pool["num_blocks"]
    return bool(fits and tokens <= pool["max_model_len"])


@small_kernel
def is_open(sim: Simulation, replica: int, prompt: int, output: int) -> bool:
    """Whether the call may go to the replica now."""
    engine = sim.engines[replica]
    return bool(engine["power_state"] == IDLE and can_hold(sim, sim.pools[engine["pool"]], prompt, output))


@kernel
def take_turn(sim: Simulation, tier: int, prompt: int, output: int) -> int:
    row = sim.tiers[tier]
    replicas = row["end_replica"] - row["first_replica"]
    for ahead in range(replicas):
        replica = row["first_replica"] + (row["turn"] + ahead) % replicas
        if is_open(sim, replica, prompt, output):
            row["turn"] = row["turn"] + ahead + 1
            return int(replica)
    return NOBODY


@kernel
def least_outstanding(sim: Simulation, tier: int, prompt: int, output: int) -> int:
    row = sim.tiers[tier]
    chosen = NOBODY
    least = 0
    for replica in range(row["first_replica"], row["end_replica"]):
        outstanding = int(sim.engines[replica]["outstanding"])
        if (chosen == NOBODY or outstanding < least) and is_open(sim, replica, prompt, output):
            chosen = replica
            least = outstanding
    return chosen


@kernel
def drawn_bits(seed: int, draw: int) -> int:
    """62 bits that depend on both numbers (splitmix64: Steele, Lea, Flood, OOPSLA 2014)."""
    bits = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(draw) * np.uint64(0xD1B54A32D192ED03)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int((bits ^ (bits >> np.uint64(31))) >> np.uint64(2))


@kernel
def open_replica(sim: Simulation, tier: int, prompt: int, output: int, place: int) -> int:
    """Return the open replica with `place` open ones before it; NOBODY if there are fewer."""
    row = sim.tiers[tier]
    for replica in range(row["first_replica"], row["end_replica"]):
        if is_open(sim, replica, prompt, output):
            if place == 0:
                return replica
            place -= 1
    return NOBODY


@kernel
def better_of_two(sim: Simulation, tier: int, call: int, prompt: int, output: int) -> int:
    """Draw two replicas and take the one with fewer outstanding calls, ties the lower one (Mitzenmacher 2001)."""
    row = sim.tiers[tier]
    count = 0
    for replica in range(row["first_replica"], row["end_replica"]):
        count += is_open(sim, replica, prompt, output)
    if count < 2:
        return int(open_replica(sim, tier, prompt, output, 0))
    decodes = sim.pools[sim.engines[row["first_replica"]]["pool"]]["role"] == ROLE_DECODE
    bits = drawn_bits(sim.seed, 2 * call + int(decodes))
    one = bits % count
    other = (bits >> 31) % (count - 1)
    if other >= one:
        other += 1
    lower = open_replica(sim, tier, prompt, output, min(one, other))
    higher = open_replica(sim, tier, prompt, output, max(one, other))
    if sim.engines[higher]["outstanding"] < sim.engines[lower]["outstanding"]:
        return int(higher)
    return int(lower)


@kernel
def look_at(sim: Simulation, replica: int, now: float) -> int:
    """Return the contexts of the replica's decoding calls, and let its memory be as far as they have come."""
    engine = sim.engines[replica]
    contexts = int(engine["contexts"])
    if engine["busy"] and engine["run_planned"] > 0:
        begun = step_in_progress(engine, now)
        take_in_run(sim, replica, blocks_of_steps(sim.phases[replica], engine["decode_steps"] + 1, begun - 1))
        sim.memory.pools[replica]["clock"] = engine["decode_steps"] + begun
        contexts += engine["decodes"] * (begun - 1)
    return contexts


@kernel
def foresee_tokens(sim: Simulation, tier: int, call: int, prompt: int) -> None:
    """Write how many tokens of its prompt the call would find on each replica, in the slot that it would get now."""
    foresee(sim.memory, sim.foreseen, call, (prompt - 1) // sim.memory.block_size)
    for replica in range(sim.tiers[tier]["first_replica"], sim.tiers[tier]["end_replica"]):
        sim.foreseen[replica] *= sim.memory.block_size
        if sim.pools[sim.engines[replica]["pool"]]["batching"] == SLOTS:
            _seat, sim.foreseen[replica] = seat_for(sim, replica, call, prompt)


@kernel
def most_familiar(sim: Simulation, tier: int, call: int, prompt: int, output: int, now: float) -> int:
    """Take the replica with the fewest tokens in the way, ties by outstanding calls, then the lower one.

    In the way are the prompt tokens that its cache does not know, those of other prompts that it has still to
    compute, and the contexts of its decoding calls, as in NVIDIA Dynamo's KV router (its documentation, KV
    cache routing: prefill blocks not overlapping, and decode blocks).
    """
    row = sim.tiers[tier]
    chosen = NOBODY
    least = 0
    for replica in range(row["first_replica"], row["end_replica"]):
        sim.engines[replica]["weight"] = look_at(sim, replica, now)
    foresee_tokens(sim, tier, call, prompt)
    for replica in range(row["first_replica"], row["end_replica"]):
        if is_open(sim, replica, prompt, output):
            tokens = sim.engines[replica]["weight"] + sim.engines[replica]["backlog"]
            tokens += prompt - sim.foreseen[replica]
            if (
                chosen == NOBODY
                or tokens < least
                or (
                    tokens == least
                    and sim.engines[replica]["outstanding"] < sim.engines[chosen]["outstanding"]
                )
            ):
                chosen = replica
                least = tokens
    return int(chosen)


@kernel
def route(sim: Simulation, tier: int, call: int, prompt: int, output: int, now: float) -> int:
    """Return the replica for a call that comes to the tier now; NOBODY if none can take it."""
    if sim.router == ROUND_ROBIN:
        return int(take_turn(sim, tier, prompt, output))
    if sim.router == POWER_OF_TWO:
        return int(better_of_two(sim, tier, call, prompt, output))
    if sim.router == PREFIX_AWARE:
        return int(most_familiar(sim, tier, call, prompt, output, now))
    if sim.router == SESSION_AFFINE:
        home = int(sim.places[sim.calls[call]["session"], tier]["home"])
        if home != NOBODY and is_open(sim, home, prompt, output):
            return home
    return int(least_outstanding(sim, tier, prompt, output))
