"""What made sessions as long as they were, and what each part of them would save if it took no time.

The saving of a step is the session's end less its end with that step at 0 and everything else as long as it was: the
longest way through the rest of its graph. All steps of all sessions are done at once, in O(steps log steps).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.covering import highest_cover
from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints, Outcome, StepKind, Workload
from tracekit.analyzers.replayed_graph import ReplayedGraph

LEAST_S = 0.5e-9
"""Less is rounding: times are told in whole ns."""
PARTS = ("call", "queue", "tool", "gap", "lag")
"""Of a session's time: calls being computed, calls waiting, tools, calls that were not replayed, clients."""


class Parts(NamedTuple):
    """Seconds of n steps, (n,) each: of a step itself (on the path a call's without its queue), its queue, its lag."""

    step_s: Floats
    queue_s: Floats
    lag_s: Floats


class HeldUp(NamedTuple):
    """What held a replay's s sessions up, by part, in seconds.

    path : what each part adds to its session's critical path; over a session, with `tail_s`, its whole length
    tail_s : (s,) from the last step to the session's end
    without : by part, (s,) how much earlier sessions would end if all of that part took no time
    """

    path: Parts
    tail_s: Floats
    without: dict[str, Floats]


class Savings(NamedTuple):
    """The same, and of the n steps one by one.

    saves : by how much the session would end earlier if that part alone took no time; a call's includes its queue
    """

    path: Parts
    saves: Parts
    tail_s: Floats
    without: dict[str, Floats]


def savings(workload: Workload, outcome: Outcome) -> Savings:
    """The savings of a replay's steps, with the durations of the replay."""
    graph = ReplayedGraph.of(workload, outcome)
    parts = _held_up(graph)
    return Savings(parts.path, _single_savings(graph), parts.tail_s, parts.without)


def held_up(workload: Workload, outcome: Outcome) -> HeldUp:
    """What held sessions up, with the durations of the replay; steps one by one are not looked at."""
    return _held_up(ReplayedGraph.of(workload, outcome))


def _held_up(graph: ReplayedGraph) -> HeldUp:
    return HeldUp(_critical_path(graph), graph.workload.session_tail_s, _joint_savings(graph))


def part_of_kind(workload: Workload) -> np.ndarray:
    """The part that each step itself is, as an index into PARTS, (n,)."""
    parts = {StepKind.CALL: "call", StepKind.TOOL: "tool", StepKind.GAP: "gap"}
    return np.array([PARTS.index(parts[kind]) for kind in StepKind])[workload.kind]


def _single_savings(graph: ReplayedGraph) -> Parts:
    end_s = graph.end_s[graph.workload.session]
    beside_s = _longest_beside(graph)
    lag_s = graph.workload.lag_s

    def saved(through_s: Floats) -> Floats:
        less_s = end_s - np.maximum(through_s, beside_s)
        return np.where(less_s < LEAST_S, 0.0, less_s)

    return Parts(
        step_s=saved(graph.start_s + graph.longest_after(graph.length_s)),
        queue_s=np.where(graph.queue_s > 0, saved(graph.start_s + graph.longest_after(graph.queue_s)), 0.0),
        lag_s=np.where(lag_s > 0, saved(graph.start_s - lag_s + graph.rest_s), 0.0),
    )


def _longest_beside(graph: ReplayedGraph) -> Floats:
    """When the session would end by the longest way that does not pass each step, (n,); -inf if all do.

    Steps are in an order in which each comes after those that it waits for, so a way that does not pass a step ends
    before it, begins after it, or has an edge over it.
    """
    work, edges = graph.workload, graph.edges
    count = len(graph.start_s)
    steps = np.arange(count)
    first, behind = (work.session_step_start[work.session + shift].astype(np.int64) for shift in (0, 1))
    roots = np.flatnonzero(work.parent_count == 0)
    over_s = graph.start_s[edges.parent] + graph.open_s + work.lag_s[edges.child] + graph.rest_s[edges.child]
    return highest_cover(
        count,
        np.concatenate([edges.parent + 1, steps + 1, first[roots]]),
        np.concatenate([edges.child, behind, roots]),
        np.concatenate([over_s, graph.start_s + graph.length_s, (graph.start_s + graph.rest_s)[roots]]),
    )


def _critical_path(graph: ReplayedGraph) -> Parts:
    """What each part adds to its session's path: back from the step that ends last over what opened last."""
    work = graph.workload
    path = Parts(*(np.zeros(len(graph.start_s)) for _ in Parts._fields))
    at = _last_steps(graph)
    spent_s = graph.length_s[at]
    while len(at):
        waited_s = np.minimum(graph.queue_s[at], spent_s)
        path.queue_s[at], path.step_s[at], path.lag_s[at] = waited_s, spent_s - waited_s, work.lag_s[at]
        edge = graph.holding_edge[at]
        edge = edge[edge != NOBODY]
        at, spent_s = graph.edges.parent[edge], graph.open_s[edge]
    return path


def _last_steps(graph: ReplayedGraph) -> Ints:
    """Of each session that has steps the one that ends last, of several the last to start."""
    session = graph.workload.session
    ends_last = np.flatnonzero(graph.start_s + graph.length_s == graph.end_s[session])
    last: Ints = np.full(len(graph.end_s), NOBODY, np.int64)
    np.maximum.at(last, session[ends_last], ends_last)
    known: Ints = last[last != NOBODY]
    return known


def _joint_savings(graph: ReplayedGraph) -> dict[str, Floats]:
    kind, lag_s = graph.workload.kind, graph.workload.lag_s
    nothing = np.zeros(len(kind))
    shorter = {
        "call": np.where(kind == StepKind.CALL, graph.length_s, 0.0),
        "queue": graph.queue_s,
        "tool": np.where(kind == StepKind.TOOL, graph.length_s, 0.0),
        "gap": np.where(kind == StepKind.GAP, graph.length_s, 0.0),
    }
    end_s = graph.ends_without(nothing, lag_s)
    without = {
        part: np.maximum(end_s - graph.ends_without(seconds, lag_s), 0.0) if seconds.any() else 0.0 * end_s
        for part, seconds in shorter.items()
    }
    return without | {"lag": np.maximum(end_s - graph.ends_without(nothing, nothing), 0.0)}
