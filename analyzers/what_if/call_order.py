"""Calls of a session one after the other, or side by side."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import NOBODY, StepKind, Workload
from tracekit.analyzers.what_if.edges import Edges, with_edges
from tracekit.analyzers.what_if.guards import behind, guards, without_covered


def one_call_at_a_time(workload: Workload) -> Workload:
    """The workload in which every call waits for the end of its session's call before it, in order of start."""
    call = np.flatnonzero(workload.kind == StepKind.CALL)
    is_next = workload.session[call[1:]] == workload.session[call[:-1]]
    edges = Edges.of(workload)
    chain = without_covered(Edges.between(call[:-1][is_next], call[1:][is_next]), edges)
    return with_edges(workload, edges.and_those(chain)) if len(chain.parent) else workload


def calls_side_by_side(workload: Workload) -> Workload:
    """The workload in which a call does not wait for one whose answer its prompt does not continue.

    Where it waited only for that, it starts when that one could. An upper bound: an answer may be in a prompt
    elsewhere than at its beginning, and that is not known here. A call of which no prefix is known stays as it is.
    """
    edges = Edges.of(workload)
    is_call = workload.kind == StepKind.CALL
    is_free = (
        is_call[edges.parent]
        & is_call[edges.child]
        & ~edges.is_inner
        & (workload.prefix_parent[edges.child] != NOBODY)
        & ~_continues(workload, edges)
    )
    if not is_free.any():
        return workload
    freed, kept = edges.where(is_free), edges.where(~is_free)
    passes = np.zeros(len(workload.kind), np.bool_)
    passes[freed.parent] = True
    held = _starts_of(workload, kept, freed, passes)
    return with_edges(workload, kept.and_those(without_covered(behind(held, freed), kept)))


def _starts_of(workload: Workload, kept: Edges, freed: Edges, passes: Flags) -> Edges:
    """What each call that others no longer wait for waits for itself, through others of the kind."""
    first = kept.where(passes[kept.child])
    return guards(workload, freed, first, passes)


def _continues(workload: Workload, edges: Edges) -> Flags:
    """Whether each edge's child begins with its parent's prompt and some of its answer, (m,)."""
    ancestor = workload.prefix_parent[edges.child].astype(np.int64)
    shared = workload.prefix_tokens[edges.child].astype(np.int64)
    found = np.zeros(len(edges.child), np.bool_)
    open_ = ancestor != NOBODY
    while open_.any():
        reached = open_ & (ancestor == edges.parent)
        found |= reached & (shared > workload.input_tokens[edges.parent])
        open_ &= ~reached & (ancestor > edges.parent)
        place = np.flatnonzero(open_)
        shared[place] = np.minimum(shared[place], workload.prefix_tokens[ancestor[place]])
        ancestor[place] = workload.prefix_parent[ancestor[place]]
        open_ &= ancestor != NOBODY
    return found
