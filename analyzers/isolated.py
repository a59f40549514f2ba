"""The isolated view: what a session, and what a call, would have taken alone.

A session alone: one replica of the same kind (one for each lane of the fleet), an empty cache, all its energy from
first call to end, idle included. A call alone: its busy energy at batch 1. Both by replay: sessions, or calls, chained
so that the next begins when the one before has ended.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.kernels.layout import (
    NOBODY,
    Bytes,
    Floats,
    Ints,
    Outcome,
    Rows,
    State,
    StepKind,
    Workload,
)
from tracekit.analyzers.replay import lanes_on, replay_on
from tracekit.analyzers.scenario import Fleet


class Isolated(NamedTuple):
    """Each session replayed alone: joules, and seconds from its first call to its end; both of shape (s,)."""

    energy_j: Floats
    seconds: Floats


def isolated_sessions(workload: Workload, fleet: Fleet) -> Isolated:
    """What each session takes alone."""
    outcome = _alone(chain_sessions(workload), fleet, lanes_on(workload, fleet))
    busy_j = np.bincount(
        workload.session[outcome.calls["step"]], outcome.calls["energy_j"], len(workload.session_tail_s)
    )
    start_s, end_s = _spans(workload, outcome)
    energy_j = np.asarray(busy_j + _idle_j(outcome, start_s, end_s), dtype=np.float64)
    return Isolated(energy_j, end_s - start_s)


def isolated_calls_j(workload: Workload, fleet: Fleet, cached_tokens: Ints) -> Floats:
    """Busy joules of each call at batch 1, shape (calls,), in the order of the outcome's calls.

    `cached_tokens` (calls,) are those that each call finds in the cache.
    """
    lanes = lanes_on(workload, fleet)
    of_calls = lanes[workload.kind == StepKind.CALL] if lanes.size else lanes
    outcome = _alone(chain_calls(workload, cached_tokens), fleet, np.repeat(of_calls, 2))
    return np.asarray(outcome.calls["energy_j"][1::2], dtype=np.float64)


def chain_calls(workload: Workload, cached_tokens: Ints) -> Workload:
    """One session of all calls, one after the other, each after a call that computes what it is to find."""
    calls = np.flatnonzero(workload.kind == StepKind.CALL)
    count = 2 * len(calls)
    is_call = np.arange(count) % 2 == 1
    input_tokens, output_tokens = (
        np.stack([first, tokens[calls]], axis=1).ravel()
        for first, tokens in (
            (np.maximum(1, cached_tokens), workload.input_tokens),
            (np.ones(len(calls), np.int32), workload.output_tokens),
        )
    )
    return Workload(
        session_arrival_s=np.zeros(1),
        session_tail_s=np.zeros(1),
        session_step_start=np.array([0, count], dtype=np.int64),
        kind=np.full(count, StepKind.CALL, np.int8),
        session=np.zeros(count, np.int32),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        duration_s=np.zeros(count),
        lag_s=np.zeros(count),
        parent_count=np.minimum(np.arange(count), 1).astype(np.int32),
        child_start=np.minimum(np.arange(count + 1), count - 1).astype(np.int32),
        child_index=np.arange(1, count, dtype=np.int32),
        prefix_parent=np.where(is_call, np.arange(count) - 1, NOBODY).astype(np.int32),
        prefix_tokens=np.where(is_call, np.repeat(cached_tokens, 2), 0).astype(np.int32),
    )


def chain_sessions(workload: Workload) -> Workload:
    """One session of all sessions: the roots of each start after the leaves of the one before.

    A step is a leaf too if all that follow it start inside it: it may end last.
    """
    parent, child = _edges(workload)
    is_inner = np.isin(np.arange(len(parent)), workload.inner_edge)
    roots = np.flatnonzero(workload.parent_count == 0)
    is_leaf = np.ones(len(workload.kind), np.bool_)
    is_leaf[parent[~is_inner]] = False
    before, after = _bridges(workload, np.flatnonzero(is_leaf), roots)
    parent, child = np.concatenate([parent, before]), np.concatenate([child, after])
    order = np.lexsort((child, parent))
    place_of = np.argsort(order)[workload.inner_edge]
    by_place = np.argsort(place_of)
    count = len(workload.kind)
    return workload._replace(
        session_arrival_s=np.zeros(1),
        session_tail_s=np.zeros(1),
        session_step_start=np.array([0, count], dtype=np.int64),
        session=np.zeros(count, np.int32),
        parent_count=np.bincount(child, minlength=count).astype(np.int32),
        child_start=np.searchsorted(parent[order], np.arange(count + 1)).astype(np.int32),
        child_index=child[order].astype(np.int32),
        inner_edge=place_of[by_place].astype(np.int32),
        inner_token=workload.inner_token[by_place],
        inner_fraction=workload.inner_fraction[by_place],
        prefix_parent=np.where(_is_own(workload), workload.prefix_parent, NOBODY),
    )


def _is_own(workload: Workload) -> npt.NDArray[np.bool_]:
    """Whether a step's prefix parent is in its own session: alone, a session finds nothing of another's.

    What earlier sessions leave in the cache goes before anything of its own does, so the cache is as good as empty.
    """
    parent = workload.prefix_parent
    return np.asarray((parent != NOBODY) & (workload.session[parent] == workload.session))


def _edges(workload: Workload) -> tuple[Ints, Ints]:
    return np.repeat(
        np.arange(len(workload.kind)), np.diff(workload.child_start)
    ), workload.child_index.astype(np.int64)


def _bridges(workload: Workload, leaves: Ints, roots: Ints) -> tuple[Ints, Ints]:
    """Each leaf of a session with each root of the next one."""
    sessions = len(workload.session_tail_s)
    leaves = leaves[workload.session[leaves] < sessions - 1]
    following = workload.session[leaves] + 1
    first_root = np.searchsorted(workload.session[roots], np.arange(sessions + 1))
    count = np.diff(first_root)[following]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(leaves, count), roots[np.repeat(first_root[:-1][following], count) + within]


def _alone(workload: Workload, fleet: Fleet, lanes: Bytes) -> Outcome:
    return replay_on(workload, fleet.alone(), lanes=lanes).timeline.outcome


def _spans(workload: Workload, outcome: Outcome) -> tuple[Floats, Floats]:
    """From each session's first call to the end of its last step."""
    session = workload.session
    start_s = np.full(len(workload.session_tail_s), np.inf)
    calls = outcome.calls["step"]
    np.minimum.at(start_s, session[calls], outcome.calls["queued_s"])
    end_s = np.zeros(len(start_s))
    np.maximum.at(end_s, session, outcome.steps["end_s"])
    return np.minimum(start_s, end_s), end_s


def _idle_j(outcome: Outcome, start_s: Floats, end_s: Floats) -> Floats:
    """Idle joules of all replicas between two instants, by their idle segments."""
    idle = outcome.segments[outcome.segments["state"] == State.IDLE]
    joules = np.zeros(len(start_s))
    for replica in np.unique(idle["replica"]):
        joules += _idle_j_of(idle[idle["replica"] == replica], start_s, end_s)
    return joules


def _idle_j_of(idle: Rows, start_s: Floats, end_s: Floats) -> Floats:
    edges = np.stack([idle["start_s"], idle["end_s"]], axis=1).ravel()
    energy = np.repeat(np.cumsum(idle["energy_j"]), 2)
    energy[0::2] -= idle["energy_j"]
    return np.asarray(np.interp(end_s, edges, energy) - np.interp(start_s, edges, energy), dtype=np.float64)
