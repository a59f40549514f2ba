"""The isolated view: what a session, and what a call, would have taken alone.

A session alone: one replica of the same kind, an empty cache, all its energy from first call to end, idle
included. A call alone: its busy energy at batch 1. Both by replay: sessions, or calls, chained so that the
next begins when the one before has ended.
"""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.hardware import power_curve, step_cost
from tracekit.analyzers.kernels.layout import FleetLimits, Floats, Ints, Outcome, State, StepKind, Workload
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.scenario import Fleet


def isolated_sessions_j(workload: Workload, fleet: Fleet) -> Floats:
    """Joules of each session replayed alone, shape (s,)."""
    outcome = _alone(chain_sessions(workload), fleet)
    busy_j = np.bincount(
        workload.session[outcome.calls["step"]], outcome.calls["energy_j"], len(workload.session_tail_s)
    )
    start_s, end_s = _spans(workload, outcome)
    return np.asarray(busy_j + _idle_j(outcome, start_s, end_s), dtype=np.float64)


def isolated_calls_j(workload: Workload, fleet: Fleet) -> Floats:
    """Busy joules of each call at batch 1, shape (calls,), in the order of the outcome's calls."""
    return np.asarray(_alone(chain_calls(workload), fleet).calls["energy_j"], dtype=np.float64)


def chain_calls(workload: Workload) -> Workload:
    """One session of all calls, one after the other."""
    calls = np.flatnonzero(workload.kind == StepKind.CALL)
    count = len(calls)
    return Workload(
        session_arrival_s=np.zeros(1),
        session_tail_s=np.zeros(1),
        session_step_start=np.array([0, count], dtype=np.int64),
        kind=workload.kind[calls],
        session=np.zeros(count, np.int64),
        input_tokens=workload.input_tokens[calls],
        output_tokens=workload.output_tokens[calls],
        duration_s=np.zeros(count),
        lag_s=np.zeros(count),
        parent_count=np.minimum(np.arange(count), 1).astype(np.int64),
        child_start=np.minimum(np.arange(count + 1), count - 1).astype(np.int64),
        child_index=np.arange(1, count, dtype=np.int64),
    )


def chain_sessions(workload: Workload) -> Workload:
    """One session of all sessions: the roots of each start after the leaves of the one before."""
    parent, child = _edges(workload)
    roots = np.flatnonzero(workload.parent_count == 0)
    leaves = np.flatnonzero(np.diff(workload.child_start) == 0)
    bridges = [
        np.stack(np.meshgrid(before, after, indexing="ij")).reshape(2, -1)
        for before, after in zip(
            _by_session(workload, leaves)[:-1], _by_session(workload, roots)[1:], strict=True
        )
    ]
    bridge = np.concatenate([*bridges, np.empty((2, 0), np.int64)], axis=1).astype(np.int64)
    parent, child = np.concatenate([parent, bridge[0]]), np.concatenate([child, bridge[1]])
    order = np.lexsort((child, parent))
    count = len(workload.kind)
    return workload._replace(
        session_arrival_s=np.zeros(1),
        session_tail_s=np.zeros(1),
        session_step_start=np.array([0, count], dtype=np.int64),
        session=np.zeros(count, np.int64),
        parent_count=np.bincount(child, minlength=count).astype(np.int64),
        child_start=np.searchsorted(parent[order], np.arange(count + 1)).astype(np.int64),
        child_index=child[order],
    )


def _edges(workload: Workload) -> tuple[Ints, Ints]:
    return np.repeat(np.arange(len(workload.kind)), np.diff(workload.child_start)), workload.child_index


def _by_session(workload: Workload, steps: Ints) -> list[Ints]:
    return np.split(
        steps, np.searchsorted(workload.session[steps], np.arange(1, len(workload.session_tail_s)))
    )


def _alone(workload: Workload, fleet: Fleet) -> Outcome:
    replica = fleet.replica()
    limits: FleetLimits = fleet.limits()._replace(replicas=1)
    return replay(workload, step_cost(replica), power_curve(replica), limits)


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
    """Idle joules of the one replica between two instants, by its idle segments."""
    idle = outcome.segments[outcome.segments["state"] == State.IDLE]
    edges = np.stack([idle["start_s"], idle["end_s"]], axis=1).ravel()
    energy = np.repeat(np.cumsum(idle["energy_j"]), 2)
    energy[0::2] -= idle["energy_j"]
    if not len(edges):
        return np.zeros(len(start_s))
    return np.asarray(np.interp(end_s, edges, energy) - np.interp(start_s, edges, energy), dtype=np.float64)
