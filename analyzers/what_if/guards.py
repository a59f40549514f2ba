"""Steps that tools stand between: what waited for a tool waits for what the tool waited for."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Workload
from tracekit.analyzers.what_if.edges import Edges


def guards(workload: Workload, edges: Edges, first: Edges, passes: Flags) -> Edges:
    """For each step that `passes` (n,), the openings that stand behind it: edges whose children are such steps.

    `first` are the openings that each of them has itself; through an edge from one of them to another its openings
    are handed on.
    """
    chain = edges.where(passes[edges.parent] & passes[edges.child])
    chain = chain.where(np.argsort(chain.parent, kind="stable"))
    found = wave = first.where(passes[first.child]).distinct()
    handed_on = np.zeros(len(workload.kind) + 1, np.int64)
    handed_on[1:] = np.cumsum(np.bincount(chain.parent, minlength=len(workload.kind)))
    while len(wave.parent) and len(chain.parent):
        wave = _new(_handed_on(wave, chain, handed_on), found)
        found = found.and_those(wave)
    return found.distinct()


def behind(openings: Edges, edges: Edges) -> Edges:
    """For each of `edges`, the openings that stand behind its parent, as edges to its child."""
    order = np.argsort(openings.child, kind="stable")
    by_holder = openings.where(order)
    low, high = (np.searchsorted(by_holder.child, edges.parent, side=side) for side in ("left", "right"))
    counts = high - low
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - low, counts)
    return by_holder.where(places).to_children(np.repeat(edges.child, counts))


def without_covered(openings: Edges, edges: Edges) -> Edges:
    """Openings that no edge to a parent's end says already."""
    ends = ~edges.is_inner
    count = int(max(edges.child.max(initial=0), openings.child.max(initial=0))) + 1
    pair = np.sort(edges.parent[ends] * count + edges.child[ends], kind="stable")
    if not len(pair):
        return openings
    wanted = openings.parent * count + openings.child
    place = np.minimum(np.searchsorted(pair, wanted), len(pair) - 1)
    return openings.where(pair[place] != wanted)


def _handed_on(wave: Edges, chain: Edges, start: np.ndarray) -> Edges:
    counts = start[wave.child + 1] - start[wave.child]
    places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - start[wave.child], counts)
    repeated = wave.where(np.repeat(np.arange(len(wave.child)), counts))
    return repeated.to_children(chain.child[places]).distinct()


def _new(wave: Edges, found: Edges) -> Edges:
    """Those of the wave that were not found before; both are without repetitions."""
    if not len(wave.parent):
        return wave
    both = found.and_those(wave)
    is_new = np.arange(len(both.parent)) >= len(found.parent)
    order = np.lexsort((is_new, both.fraction, both.token, both.is_inner, both.child, both.parent))
    in_order = both.where(order)
    same = np.zeros(len(order), np.bool_)
    same[1:] = True
    for column in in_order:
        same[1:] &= column[1:] == column[:-1]
    return in_order.where(is_new[order] & ~same)
