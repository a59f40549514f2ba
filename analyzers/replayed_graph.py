"""The sessions of a replay as graphs of seconds: when each edge opened, what came after each step, what held it up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints, Outcome, StepKind, Workload
from tracekit.analyzers.waves import Wave, waves
from tracekit.analyzers.what_if.edges import Edges


@dataclass(frozen=True, eq=False)
class ReplayedGraph:
    """n steps and m edges of a replay, in seconds since the first arrival.

    start_s, length_s, queue_s : (n,) of each step; the queue is the part of a call before it was first admitted
    open_s : (m,) how long after its parent's start each edge opened
    """

    workload: Workload
    edges: Edges
    waves: list[Wave]
    start_s: Floats
    length_s: Floats
    queue_s: Floats
    open_s: Floats

    @classmethod
    def of(cls, workload: Workload, outcome: Outcome) -> Self:
        """The graph of a replay of `workload`."""
        steps, calls = outcome.steps, outcome.calls
        start_s, length_s = steps["start_s"], steps["end_s"] - steps["start_s"]
        queue_s = np.zeros(len(start_s))
        queue_s[calls["step"]] = calls["started_s"] - calls["queued_s"]
        edges = Edges.of(workload)
        open_s = _openings(workload, outcome, edges, start_s, length_s)
        return cls(workload, edges, waves(workload), start_s, length_s, queue_s, open_s)

    @cached_property
    def end_s(self) -> Floats:
        """Of each session's last step, (s,); its arrival where it has none."""
        end_s: Floats = self.workload.session_arrival_s.copy()
        np.maximum.at(end_s, self.workload.session, self.start_s + self.length_s)
        return end_s

    @cached_property
    def rest_s(self) -> Floats:
        """From each step's start to the end of the last step that it leads to, on the longest way, (n,)."""
        rest_s: Floats = self.length_s.copy()
        for wave in reversed(self.waves):
            np.maximum.at(rest_s, wave.parent, self.open_s[wave.place] + self._after(rest_s, wave))
        return rest_s

    @cached_property
    def holding_edge(self) -> Ints:
        """The edge that opened last of those to each step, (n,); NOBODY: it waits for none."""
        opened_s = self.start_s[self.edges.parent] + self.open_s
        latest_s = np.full(len(self.start_s), -np.inf)
        np.maximum.at(latest_s, self.edges.child, opened_s)
        holds = np.flatnonzero(opened_s == latest_s[self.edges.child])
        held = np.full(len(self.start_s), NOBODY, np.int64)
        np.maximum.at(held, self.edges.child[holds], holds)
        return held

    def longest_after(self, shorter_s: Floats) -> Floats:
        """From each step's start to the end of all if it took `shorter_s` (n,) less, and the others as long, (n,)."""
        longest_s: Floats = np.maximum(self.length_s - shorter_s, 0.0)
        open_s = np.maximum(self.open_s - shorter_s[self.edges.parent], 0.0)
        after_s = open_s + self.workload.lag_s[self.edges.child] + self.rest_s[self.edges.child]
        np.maximum.at(longest_s, self.edges.parent, after_s)
        return longest_s

    def ends_without(self, shorter_s: Floats, lag_s: Floats) -> Floats:
        """When each session's last step would end if every step took `shorter_s` less, after lags of `lag_s`: (s,)."""
        work = self.workload
        length_s = np.maximum(self.length_s - shorter_s, 0.0)
        open_s = np.maximum(self.open_s - shorter_s[self.edges.parent], 0.0)
        start_s = np.where(work.parent_count == 0, work.session_arrival_s[work.session] + lag_s, 0.0)
        for wave in self.waves:
            np.maximum.at(start_s, wave.child, start_s[wave.parent] + open_s[wave.place] + lag_s[wave.child])
        end_s: Floats = work.session_arrival_s.copy()
        np.maximum.at(end_s, work.session, start_s + length_s)
        return end_s

    def _after(self, rest_s: Floats, wave: Wave) -> Floats:
        after: Floats = self.workload.lag_s[wave.child] + rest_s[wave.child]
        return after


def _openings(
    workload: Workload, outcome: Outcome, edges: Edges, start_s: Floats, length_s: Floats
) -> Floats:
    """When each edge opened after its parent's start, (m,).

    Tokens of a call are taken to be evenly spread from its first to its end; where a step began by one, that moment is
    known, and is taken instead.
    """
    open_s: Floats = length_s[edges.parent].copy()
    inner = np.flatnonzero(edges.is_inner)
    if not len(inner):
        return open_s
    parent, child = edges.parent[inner], edges.child[inner]
    is_call = workload.kind[parent] == StepKind.CALL
    in_call_s = _token_s(workload, outcome, parent, edges.token[inner], length_s[parent])
    likely_s = np.where(is_call, in_call_s, edges.fraction[inner] * length_s[parent])
    ready_s = start_s[child] - workload.lag_s[child] - start_s[parent]
    open_s[inner] = np.minimum(likely_s, np.maximum(ready_s, 0.0))
    return _made_to_hold(workload, edges, start_s, open_s, inner)


def _token_s(workload: Workload, outcome: Outcome, call: Ints, token: Ints, length_s: Floats) -> Floats:
    first_s = np.zeros(len(workload.kind))
    calls = outcome.calls
    first_s[calls["step"]] = calls["first_token_s"] - calls["queued_s"]
    tokens = np.maximum(workload.output_tokens[call], 1)
    part = np.clip((token - 1) / np.maximum(tokens - 1, 1), 0.0, 1.0)
    spread: Floats = first_s[call] + part * (length_s - first_s[call])
    return np.where(token < 1, 0.0, np.where(token > tokens, length_s, spread))


def _made_to_hold(workload: Workload, edges: Edges, start_s: Floats, open_s: Floats, inner: Ints) -> Floats:
    """Where no edge to a step opened as late as it became ready, the latest inner one did."""
    opened_s = start_s[edges.parent] + open_s
    latest_s = np.full(len(start_s), -np.inf)
    np.maximum.at(latest_s, edges.child, opened_s)
    ready_s = start_s - workload.lag_s
    order = inner[np.lexsort((opened_s[inner], edges.child[inner]))]
    last = order[np.concatenate([edges.child[order][1:] != edges.child[order][:-1], [True]])]
    late = last[latest_s[edges.child[last]] < ready_s[edges.child[last]]]
    open_s[late] = ready_s[edges.child[late]] - start_s[edges.parent[late]]
    return open_s
