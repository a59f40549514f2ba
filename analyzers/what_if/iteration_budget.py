"""An iteration budget: the first rounds of each session, and its last call."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import NOBODY, Ints, StepKind, Workload
from tracekit.analyzers.waves import Wave, waves
from tracekit.analyzers.what_if.edges import Edges, with_columns, with_edges
from tracekit.analyzers.what_if.guards import without_covered


class Budgeted(NamedTuple):
    """The workload within its budget, the steps of the original that it holds (k,), and the sessions cut."""

    workload: Workload
    step: Ints
    sessions_cut: int


def within_budget(workload: Workload, rounds: int) -> Budgeted:
    """Keep `rounds` - 1 rounds of calls with the tools after them, then the recorded last call and what follows it.

    A call's round is the number of calls on the longest way to it, itself counted; what runs side by side is one
    round. The last call waits for all that is left and that nothing else waits for. Its tokens are the recorded
    ones; of its prompt, that of rounds which are left out is found in no cache.
    """
    edges = Edges.of(workload)
    order = waves(workload)
    level = _levels(workload, order)
    last = _last_calls(workload, level)
    is_cut = np.zeros(len(last), np.bool_)
    np.logical_or.at(is_cut, workload.session, level > rounds)
    is_last = np.zeros(len(level), np.bool_)
    is_last[last[is_cut]] = True
    follows = _descendants(order, is_last)
    is_kept = ~is_cut[workload.session] | (level < rounds) | is_last | follows
    if is_kept.all():
        return Budgeted(workload, np.arange(len(level)), 0)
    kept = edges.where(is_kept[edges.parent] & is_kept[edges.child] & ~is_last[edges.child])
    bridge = _into_last(workload, kept, edges, is_kept & ~follows & ~is_last & is_cut[workload.session], last)
    shorter = _without(with_edges(workload, kept.and_those(bridge)), is_kept)
    return Budgeted(shorter, np.flatnonzero(is_kept), int(np.count_nonzero(is_cut)))


def _levels(workload: Workload, order: list[Wave]) -> Ints:
    """How many calls are on the longest way to each step, itself counted, (n,)."""
    own: Ints = (workload.kind == StepKind.CALL).astype(np.int64)
    level: Ints = own.copy()
    for wave in order:
        np.maximum.at(level, wave.child, level[wave.parent] + own[wave.child])
    return level


def _last_calls(workload: Workload, level: Ints) -> Ints:
    """Of each session the call of the last round that started last, (s,); NOBODY: it has none."""
    last = np.full(len(workload.session_tail_s), NOBODY, np.int64)
    deepest = np.zeros(len(last), np.int64)
    np.maximum.at(deepest, workload.session, level)
    is_deepest = (workload.kind == StepKind.CALL) & (level == deepest[workload.session])
    call = np.flatnonzero(is_deepest)
    np.maximum.at(last, workload.session[call], call)
    return last


def _descendants(order: list[Wave], of: Flags) -> Flags:
    found = np.zeros(len(of), np.bool_)
    for wave in order:
        found[wave.child[of[wave.parent] | found[wave.parent]]] = True
    return found


def _into_last(workload: Workload, kept: Edges, edges: Edges, before: Flags, last: Ints) -> Edges:
    """Edges to each cut session's last call: the recorded ones, and from what others waited for that are gone."""
    last_of = last[workload.session]
    waited_for, still = (np.zeros(len(before), np.bool_) for _ in range(2))
    waited_for[edges.parent[~edges.is_inner]] = True
    still[kept.parent[~kept.is_inner]] = True
    loose = np.flatnonzero(before & waited_for & ~still & (np.arange(len(before)) < last_of))
    recorded = edges.where((edges.child == last_of[edges.child]) & before[edges.parent])
    bridge = without_covered(Edges.between(loose, last_of[loose]), recorded)
    return recorded.and_those(bridge)


def _without(workload: Workload, is_kept: Flags) -> Workload:
    """Only the steps kept; no edge may lead to or from another."""
    step = np.flatnonzero(is_kept)
    place = np.cumsum(is_kept) - 1
    prefix_parent, prefix_tokens = _nearest_kept(workload, is_kept)
    starts = workload.session_step_start
    columns = {
        name: getattr(workload, name)[step]
        for name in (
            "kind",
            "session",
            "input_tokens",
            "output_tokens",
            "duration_s",
            "lag_s",
            "parent_count",
            *(("model",) if workload.model.size else ()),
        )
    }
    has_parent = prefix_parent[step] != NOBODY
    edges_before = np.concatenate([[0], np.cumsum(np.diff(workload.child_start)[step])])
    return with_columns(
        workload,
        columns
        | {
            "session_step_start": np.concatenate([[0], np.cumsum(is_kept)])[starts],
            "child_start": edges_before,
            "child_index": place[workload.child_index],
            "prefix_parent": np.where(has_parent, place[prefix_parent[step]], NOBODY),
            "prefix_tokens": np.where(has_parent, prefix_tokens[step], 0),
        },
    )


def _nearest_kept(workload: Workload, is_kept: Flags) -> tuple[Ints, Ints]:
    """Of each step the nearest call kept whose text it begins with, and for how many tokens, (n,) each."""
    parent = workload.prefix_parent.astype(np.int64)
    tokens = workload.prefix_tokens.astype(np.int64)
    lost = np.flatnonzero((parent != NOBODY) & ~is_kept[parent])
    while len(lost):
        through = parent[lost]
        tokens[lost] = np.minimum(tokens[lost], workload.prefix_tokens[through])
        parent[lost] = workload.prefix_parent[through]
        lost = lost[(parent[lost] != NOBODY) & ~is_kept[parent[lost]]]
    return parent, np.where(parent == NOBODY, 0, tokens)
