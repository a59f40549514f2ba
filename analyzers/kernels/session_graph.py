"""The session graph: tools and gaps, which need no replica, and what the end of any step leads to."""

from tracekit.analyzers.kernels.events import END
from tracekit.analyzers.kernels.idleness import recount_session
from tracekit.analyzers.kernels.inner_start import (
    EVERY_TOKEN,
    expect_openings,
    first_inner_edge,
    open_edge,
    open_inner_edges,
)
from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.layout import NOBODY
from tracekit.analyzers.kernels.simulation import TOOL, Simulation, post


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
def start_wait(sim: Simulation, step: int, now: float) -> None:
    """Start a tool, or a gap."""
    row = sim.waits[step - sim.calls_before[step]]
    row["start_s"] = now
    if sim.kind[step] == TOOL:
        agent = sim.agents[sim.session[step]]
        agent["open_tools"] += 1
        recount_session(sim, sim.session[step], now)
        row["idle_s"] = -agent["tool_share_s"]
        row["idle_j"] = -agent["tool_share_j"]
    post(sim, now + sim.duration_s[step], END, step)
    expect_openings(sim, step, now)


@kernel
def end_wait(sim: Simulation, step: int, now: float) -> None:
    """End it, and open what it leads to."""
    row = sim.waits[step - sim.calls_before[step]]
    row["end_s"] = now
    if sim.kind[step] == TOOL:
        agent = sim.agents[sim.session[step]]
        agent["open_tools"] -= 1
        recount_session(sim, sim.session[step], now)
        row["idle_s"] += agent["tool_share_s"]
        row["idle_j"] += agent["tool_share_j"]
    end_step(sim, step, now)
