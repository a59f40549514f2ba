"""Speculative tools: a tool starts with the call that asks for it, by a guess of what it will ask."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints, StepKind, Workload
from tracekit.analyzers.what_if.edges import Edges, with_edges
from tracekit.analyzers.what_if.guards import behind, guards, without_covered


class Speculated(NamedTuple):
    """The workload with its tools started by guesses; which were guessed right, and which wrong, (n,) each."""

    workload: Workload
    is_hit: Flags
    is_miss: Flags


def speculate(workload: Workload, probability: float, luck: Floats) -> Speculated:
    """Start with the call that asks for it every tool whose `luck` (n,) is below `probability`.

    The edge from that call opens when the call is queued; whatever waited for the tool waits for the call as well, as
    it did through the tool. Of several calls that a tool waits for, the last to start asked for it. A tool behind
    another tool was asked for by the same call: it keeps its place behind that tool.
    """
    edges = Edges.of(workload)
    asking = _asking_edges(workload, edges)
    is_asked = _asked_for(workload, edges, asking)
    is_hit = is_asked & (luck < probability)
    is_miss = is_asked & ~is_hit
    opened = asking & is_hit[edges.child]
    held = guards(workload, edges, edges.where(opened), is_hit)
    waits = edges.where(is_hit[edges.parent] & ~is_hit[edges.child])
    added = without_covered(behind(held, waits), edges)
    early = edges._replace(
        is_inner=edges.is_inner | opened,
        token=np.where(opened, 0, edges.token),
        fraction=np.where(opened, 0.0, edges.fraction),
    )
    if not is_hit.any():
        return Speculated(workload, is_hit, is_miss)
    return Speculated(with_edges(workload, early.and_those(added)), is_hit, is_miss)


def _asking_edges(workload: Workload, edges: Edges) -> Flags:
    """Of each tool's edges from calls that of the call that started last, (m,)."""
    from_call = (workload.kind[edges.parent] == StepKind.CALL) & (workload.kind[edges.child] == StepKind.TOOL)
    latest = np.full(len(workload.kind), NOBODY, np.int64)
    np.maximum.at(latest, edges.child[from_call], edges.parent[from_call])
    return np.asarray(from_call & (latest[edges.child] == edges.parent))


def _asked_for(workload: Workload, edges: Edges, asking: Flags) -> Flags:
    """Tools that some call asked for, directly or before the tools that they follow, (n,)."""
    is_tool = workload.kind == StepKind.TOOL
    is_asked = np.zeros(len(workload.kind), np.bool_)
    is_asked[edges.child[asking]] = True
    chain = edges.where(is_tool[edges.parent] & is_tool[edges.child])
    while len(chain.parent):
        reached = is_asked[chain.parent] & ~is_asked[chain.child]
        if not reached.any():
            break
        is_asked[chain.child[reached]] = True
        chain = chain.where(~is_asked[chain.child])
    return is_asked


def luck_of(session: Ints, place: Ints, seed: int) -> Floats:
    """A number from 0 to 1 for each step, by the seed, its session and its place in it, whatever else there is.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) of the three, one after the other.
    """
    with np.errstate(over="ignore"):
        bits = _mixed(np.uint64(seed) + _GOLDEN * (session.astype(np.uint64) + np.uint64(1)))
        bits = _mixed(bits + _GOLDEN * (place.astype(np.uint64) + np.uint64(1)))
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53, np.float64)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
