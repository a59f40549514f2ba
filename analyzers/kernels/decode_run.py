"""Runs of decode steps: the same calls, each one token a step, with nothing else in between.

The k-th step since the calls last changed ends at from + (A k + B k (k - 1) / 2): A seconds for the first, B
more for each next one. The definition (tests/oracle) takes its times from the same expression, so that a run
ends to the last bit where its steps end one by one.
"""

import numpy as np

from tracekit.analyzers.kernels.events import set_end
from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_growth import is_growing
from tracekit.analyzers.kernels.kv_taking import simple_stock
from tracekit.analyzers.kernels.layout import NOBODY, Ints, Record
from tracekit.analyzers.kernels.simulation import Simulation
from tracekit.analyzers.kernels.step_energy import smooth_steps

REBASE_STEPS = 4096
"""Decode steps after which prefix sums start again from 0: a call reads the difference of two of them."""


@kernel
def run_end(engine: Record, index: int) -> float:
    """When the step of this index since the calls last changed ends; the first is 1."""
    return float(
        engine["run_from_s"]
        + (engine["run_first_s"] * index + engine["run_growth_s"] * (index * (index - 1) / 2))
    )


@kernel
def step_in_progress(engine: Record, now: float) -> int:
    """Return how many of the planned steps have begun before `now`, at least 1: the last of them ends at or after."""
    lowest = engine["run_index"] + 1
    highest = engine["run_index"] + engine["run_planned"]
    first = engine["run_first_s"]
    growth = engine["run_growth_s"]
    elapsed = now - engine["run_from_s"]
    guess = lowest
    if growth > 0.0:
        half = first - 0.5 * growth
        guess = int(np.ceil((np.sqrt(half * half + 2.0 * growth * elapsed) - half) / growth))
    elif first > 0.0:
        guess = int(np.ceil(elapsed / first))
    index = min(max(guess, lowest), highest)
    while index > lowest and run_end(engine, index - 1) >= now:
        index -= 1
    while index < highest and run_end(engine, index) < now:
        index += 1
    return int(index - engine["run_index"])


@kernel
def interrupt(sim: Simulation, replica: int, now: float) -> None:
    """Let the replica schedule again as soon as the step in progress ends."""
    engine = sim.engines[replica]
    if not engine["busy"] or engine["run_planned"] <= 1:
        return
    steps = step_in_progress(engine, now)
    if steps < engine["run_planned"]:
        engine["run_planned"] = steps
        set_end(sim.ends, sim.winners, replica, run_end(engine, engine["run_index"] + steps))


# --- blocks ---


@kernel
def blocks_of_step(phases: Ints, step: int) -> int:
    """Return how many calls need another block in decode step `step`."""
    return int(phases[(1 - step) % phases.size])


@kernel
def blocks_of_steps(phases: Ints, first: int, steps: int) -> int:
    """Return how many blocks decode steps first .. first + steps - 1 need."""
    size = phases.size
    blocks = 0
    rest = steps
    if steps >= size:
        rounds = steps // size
        blocks = rounds * phases.sum()
        rest = steps - rounds * size
    phase = (1 - first) % size  # of the step at hand; each next step's is one less
    for _ in range(rest):
        blocks += phases[phase]
        phase -= 1
        if phase < 0:
            phase = size - 1
    return int(blocks)


@kernel
def steps_within(phases: Ints, first: int, most: int, blocks: int) -> int:
    """Return how many steps from `first` on, `most` at the most, need no more than so many blocks."""
    a_round = int(phases.sum())
    steps = 0
    if a_round > 0:
        rounds = min(blocks // a_round, most // phases.size)
        steps = rounds * phases.size
        blocks -= rounds * a_round
    while steps < most:
        blocks -= blocks_of_step(phases, first + steps)
        if blocks < 0:
            break
        steps += 1
    return int(steps)


@kernel
def block_seconds(engine: Record, phases: Ints, first: int, steps: int) -> float:
    """Return for how long, together, the blocks that steps 2 .. `steps` of a run take are held until its end.

    `first` is the decode step of the run's first. Within a phase steps lie a block apart, so that the times at
    which they begin sum to a polynomial.
    """
    index = engine["run_index"]
    size = phases.size
    elapsed = run_end(engine, index + steps) - engine["run_from_s"]
    phase = (-first) % size
    total = 0.0
    # steps place, place + size, ... of the run begin when those before them end
    rounds = (steps - 1) // size
    count = float(rounds + 1)
    ones = 0.5 * count * (count - 1.0)
    squares = ones * (2.0 * count - 1.0) / 3.0
    for place in range(1, min(size + 1, steps)):
        if place == steps - rounds * size:  # from here on they are one fewer
            count = float(rounds)
            ones = 0.5 * count * (count - 1.0)
            squares = ones * (2.0 * count - 1.0) / 3.0
        calls = phases[phase]
        phase -= 1
        if phase < 0:
            phase = size - 1
        if calls == 0:
            continue
        at = float(index + place)
        sum_k = count * at + size * ones
        sum_kk = count * at * at + 2.0 * at * size * ones + size * size * squares
        begun = engine["run_first_s"] * sum_k + 0.5 * engine["run_growth_s"] * (sum_kk - sum_k)
        total += calls * (count * elapsed - begun)
    return total


# --- how long a run may be ---


@kernel
def steps_ahead(sim: Simulation, replica: int) -> int:
    """Return how many decode steps, the one just scheduled included, are sure to follow with nothing to decide."""
    engine = sim.engines[replica]
    pool = sim.pools[engine["pool"]]
    step = engine["decode_steps"]
    most = min(int(sim.finishes[replica, 0]["key"]), REBASE_STEPS) - step
    most = int(min(float(most), max(1.0, smooth_steps(pool, engine["decodes"], engine["contexts"]))))
    if most <= 1:
        return 1
    if engine["waiting"] != NOBODY and is_growing(sim.memory, replica, engine["waiting"]):
        return 1
    phases = sim.phases[replica]
    blocks = simple_stock(sim.memory, replica)
    if blocks >= most * engine["decodes"]:
        return most
    return 1 + int(steps_within(phases, step + 1, most - 1, blocks))
