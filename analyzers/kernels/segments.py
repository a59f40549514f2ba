"""Segments in order of replicas: they are written in order of time, and a second copy of all would not fit."""

import numpy as np

from tracekit.analyzers.kernels.jit import entry_kernel
from tracekit.analyzers.kernels.layout import SEGMENT_ROW, Ints, Rows, SmallInts
from tracekit.analyzers.kernels.simulation import zeros


@entry_kernel
def put_in_place(segments: Rows, following: Ints, place: SmallInts, spare: Rows) -> int:
    """Move each of g segments to its replica's others, in their order; return how many were moved.

    `following` (r,) is where each replica's next one goes, `place` (g,) and `spare` (1,) SEGMENT_ROW room to work.
    """
    for segment in range(segments.size):
        replica = segments[segment]["replica"]
        place[segment] = following[replica]
        following[replica] += 1
    moved = 0
    for segment in range(segments.size):
        while place[segment] != segment:
            target = place[segment]
            spare[0] = segments[target]
            segments[target] = segments[segment]
            segments[segment] = spare[0]
            place[segment] = place[target]
            place[target] = target
            moved += 1
    return moved


def by_replica(segments: Rows, replicas: int) -> None:
    """Bring segments (g,) that are in order of time into order of replica, then time."""
    if replicas > 1:
        ends = np.cumsum(np.bincount(segments["replica"], minlength=replicas))
        following = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        put_in_place(segments, following, np.zeros(segments.size, np.int32), zeros(1, SEGMENT_ROW))
