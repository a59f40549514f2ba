"""Sessions whose times can be worked out by hand: an engine step takes 1 s, so a call takes its output tokens."""

import numpy as np

from tests.oracle.workloads import FLAT, Story, columns, fleet, workload_of
from tracekit.analyzers.kernels.layout import StepCost
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.what_if.changed import changed
from tracekit.analyzers.what_if.changes import Changes

SECOND_A_STEP = StepCost(1.0, *(0.0,) * 8)


def change(nodes, seed=0, **changes):
    """One session from 0 s on with the changes made to it, and what they did."""
    return changed(workload_of([Story(0.0, nodes)]), Changes(**changes), seed)


def starts_and_ends(workload):
    """When each step starts and ends, in seconds."""
    steps = replay(workload, SECOND_A_STEP, FLAT, fleet()).steps
    return [(float(row["start_s"]), float(row["end_s"])) for row in steps]


def end_s(workload):
    """When the last step ends."""
    return max(end for _start, end in starts_and_ends(workload))


def same(one, other):
    """Whether two workloads are the same arrays, types included."""
    return all(
        mine.dtype == theirs.dtype and np.array_equal(mine, theirs)
        for mine, theirs in zip(columns(one).values(), columns(other).values(), strict=True)
    )
