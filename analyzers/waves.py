"""The edges of a workload's graphs in an order in which each comes after all that lead to its parent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import Ints, Workload


class Wave(NamedTuple):
    """Edges whose parents are reached at once, each of shape (k,); `place` is each one's in the workload."""

    parent: Ints
    child: Ints
    place: Ints


def waves(workload: Workload) -> list[Wave]:
    """All edges: those out of steps that wait for nothing, then those out of steps reached by them, and so on.

    As many as steps are on the longest way through a session; O(steps + edges) in all.
    """
    left = workload.parent_count.astype(np.int64)
    start, child = workload.child_start.astype(np.int64), workload.child_index.astype(np.int64)
    reached = np.flatnonzero(left == 0)
    found = []
    while len(reached):
        counts = start[reached + 1] - start[reached]
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - start[reached], counts)
        wave = Wave(np.repeat(reached, counts), child[place], place)
        if not len(place):
            break
        found.append(wave)
        np.subtract.at(left, wave.child, 1)
        reached = _once(wave.child[left[wave.child] == 0])
    return found


def _once(steps: Ints) -> Ints:
    """Each of them once, in order; numpy's unique hashes, which is slower where they are mostly sorted."""
    in_order: Ints = np.sort(steps, kind="stable")
    is_new = np.ones(len(steps), np.bool_)
    is_new[1:] = in_order[1:] != in_order[:-1]
    once: Ints = in_order[is_new]
    return once
