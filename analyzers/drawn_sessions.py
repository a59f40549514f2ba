"""A workload of sessions drawn from another one, with replacement."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit.analyzers.drawn_prefixes import drawn_prefixes
from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints, Workload


def draw_sessions(workload: Workload, drawn: Ints, arrival_s: Floats) -> Workload:
    """A workload of the sessions `drawn` (indices, shape (k,)), arriving at `arrival_s` (k,), ascending.

    Prompts share what they shared among the recorded sessions; see `drawn_prefixes`.
    """
    first = workload.session_step_start[drawn].astype(np.int64)
    lengths = workload.session_step_start[drawn + 1] - first
    start = np.concatenate([[0], np.cumsum(lengths)])
    offset = np.repeat(start[:-1] - first, lengths)  # from an old step's index to its copy's
    steps = np.arange(start[-1]) - offset
    child_counts = np.diff(workload.child_start)[steps]
    child_start = np.concatenate([[0], np.cumsum(child_counts)])
    edges = np.arange(child_start[-1]) - np.repeat(
        child_start[:-1] - workload.child_start[steps], child_counts
    )
    inner_of = _inner_of_edges(workload)[edges]
    inner = inner_of[inner_of != NOBODY]
    prefix_parent, prefix_tokens = drawn_prefixes(
        workload, steps, _first_copies(workload, drawn, start), _own_parents(workload, steps, offset)
    )
    copies = {
        "session_arrival_s": arrival_s,
        "session_tail_s": workload.session_tail_s[drawn],
        "session_step_start": start,
        "kind": workload.kind[steps],
        "session": np.repeat(np.arange(len(drawn)), lengths),
        "input_tokens": workload.input_tokens[steps],
        "output_tokens": workload.output_tokens[steps],
        "duration_s": workload.duration_s[steps],
        "lag_s": workload.lag_s[steps],
        "parent_count": workload.parent_count[steps],
        "child_start": child_start,
        "child_index": workload.child_index[edges] + np.repeat(offset, child_counts),
        "prefix_parent": prefix_parent,
        "prefix_tokens": prefix_tokens,
        "inner_edge": np.flatnonzero(inner_of != NOBODY),
        "inner_token": workload.inner_token[inner],
        "inner_fraction": workload.inner_fraction[inner],
        "model": workload.model[steps] if workload.model.size else workload.model,
    }
    # the kernel is compiled for the dtypes of its arrays: a copy keeps them
    told: dict[str, Any] = {
        name: column.astype(getattr(workload, name).dtype, copy=False) for name, column in copies.items()
    }
    return workload._replace(**told)


def _first_copies(workload: Workload, drawn: Ints, start: Ints) -> Ints:
    """Of every recorded step the first drawn copy, (n,); NOBODY where its session was not drawn."""
    sessions, places = np.unique(drawn, return_index=True)
    shift = np.full(len(workload.session_tail_s), NOBODY, np.int64)
    shift[sessions] = start[places] - workload.session_step_start[sessions]
    is_drawn = np.isin(workload.session, sessions)
    return np.where(is_drawn, np.arange(len(workload.kind)) + shift[workload.session], NOBODY)


def _inner_of_edges(workload: Workload) -> Ints:
    """Of every edge its place among the inner ones, (m,); NOBODY: its child starts after the parent's end."""
    places = np.full(len(workload.child_index), NOBODY, np.int64)
    places[workload.inner_edge] = np.arange(len(workload.inner_edge))
    return places


def _own_parents(workload: Workload, steps: Ints, offset: Ints) -> Ints:
    """The same copy's step for each copy's prefix parent, (k,); NOBODY where that is in another session."""
    parent = workload.prefix_parent[steps]
    inside = (parent != NOBODY) & (workload.session[parent] == workload.session[steps])
    return np.where(inside, parent + offset, NOBODY)
