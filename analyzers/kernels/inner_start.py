"""Steps that start inside their parent: at an output token of a call, or so far into a tool or gap."""

from tracekit.analyzers.kernels.events import OPENING, START
from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.layout import NOBODY
from tracekit.analyzers.kernels.simulation import Simulation, post

EVERY_TOKEN = 2**62


@kernel
def first_inner_edge(sim: Simulation, parent: int) -> int:
    """Return the first of the step's inner edges; NOBODY if nothing starts inside it."""
    low = 0
    high = sim.inner.size
    while low < high:
        middle = (low + high) >> 1
        if sim.inner[middle]["parent"] < parent:
            low = middle + 1
        else:
            high = middle
    if low == sim.inner.size or sim.inner[low]["parent"] != parent:
        return NOBODY
    return low


@small_kernel
def open_edge(sim: Simulation, child: int, now: float) -> None:
    """Post the start of the step if this was the last edge that it waited for."""
    sim.parents_left[child] -= 1
    if sim.parents_left[child] == 0:
        post(sim, now + sim.lag_s[child], START, child)


@kernel
def open_inner_edge(sim: Simulation, edge: int, now: float) -> None:
    """Open it once: its parent may have ended before."""
    row = sim.inner[edge]
    if not row["is_open"]:
        row["is_open"] = 1
        open_edge(sim, int(row["child"]), now)


@kernel
def open_inner_edges(sim: Simulation, edge: int, tokens: int, now: float) -> int:
    """Open this and the next edges of its parent that wait for so many tokens; return the first that still waits."""
    parent = sim.inner[edge]["parent"]
    while edge < sim.inner.size and sim.inner[edge]["parent"] == parent:
        if sim.inner[edge]["token"] > tokens:
            return edge
        open_inner_edge(sim, edge, now)
        edge += 1
    return NOBODY


@kernel
def expect_openings(sim: Simulation, parent: int, now: float) -> None:
    """Post when the inner edges of a tool or gap that begins are open."""
    edge = first_inner_edge(sim, parent)
    while edge != NOBODY and edge < sim.inner.size and sim.inner[edge]["parent"] == parent:
        post(sim, now + sim.inner[edge]["fraction"] * sim.duration_s[parent], OPENING, edge)
        edge += 1


@small_kernel
def next_mark(sim: Simulation, ticket: int) -> int:
    """Return the output token after which the call ends, or a step starts inside it."""
    row = sim.tickets[ticket]
    if row["next_inner"] == NOBODY:
        return int(row["output"])
    return int(min(row["output"], sim.inner[row["next_inner"]]["token"]))
