"""Asynchronous tools: the agent goes on while they run, and its last call waits for all of them."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.kernels.layout import NOBODY, Ints, StepKind, Workload
from tracekit.analyzers.what_if.edges import Edges, with_edges
from tracekit.analyzers.what_if.guards import behind, guards, without_covered


def let_tools_run_on(workload: Workload) -> Workload:
    """The workload in which only a session's last call waits for tools.

    Another call, or gap, that waited for a tool's end waits for what the tool waited for; steps that start inside a
    tool, and tools behind tools, stay. An upper bound: calls of an agent need what tools answered.
    """
    edges = Edges.of(workload)
    is_tool = workload.kind == StepKind.TOOL
    joining = _last_calls(workload)[workload.session]
    is_freed = (
        is_tool[edges.parent]
        & ~is_tool[edges.child]
        & ~edges.is_inner
        & (edges.child != joining[edges.parent])
        & (edges.parent < joining[edges.parent])
    )
    if not is_freed.any():
        return workload
    held = guards(workload, edges, edges.where(~is_tool[edges.parent]), is_tool)
    freed, kept = edges.where(is_freed), edges.where(~is_freed)
    joined = Edges.between(freed.parent, joining[freed.parent])
    kept = kept.and_those(without_covered(joined, kept))
    return with_edges(workload, kept.and_those(without_covered(behind(held, freed), kept)))


def _last_calls(workload: Workload) -> Ints:
    """Of each session the call that started last, (s,); NOBODY: it has none."""
    last = np.full(len(workload.session_tail_s), NOBODY, np.int64)
    call = np.flatnonzero(workload.kind == StepKind.CALL)
    np.maximum.at(last, workload.session[call], call)
    return last
