"""How the answer moves with what it takes for granted: the rate, the time of tools, the model of time."""

from __future__ import annotations

from typing import NamedTuple

from tracekit.analyzers.sizing.basis import Load
from tracekit.analyzers.sizing.bound import least_replicas
from tracekit.analyzers.sizing.headroom import GLANCE
from tracekit.analyzers.sizing.model_error import Deviation
from tracekit.analyzers.sizing.replayer import Candidate, Replayer
from tracekit.analyzers.sizing.search import smallest_passing
from tracekit.analyzers.sizing.verdict import Verdict, judge
from tracekit.analyzers.what_if.changed import with_tool_time


class Shift(NamedTuple):
    """One thing that is other than asked for."""

    of: str  # rate, tool_time or model_time
    by: float  # a factor; of model_time the sigmas


SHIFTS = (
    Shift("rate", 0.8),
    Shift("rate", 1.25),
    Shift("tool_time", 0.5),
    Shift("tool_time", 2.0),
    Shift("model_time", -1.0),
    Shift("model_time", 1.0),
)


class Sensitivity(NamedTuple):
    """What becomes of the answer: the same fleet under the shift, and the smallest of its kind that holds."""

    shift: Shift
    same: Verdict
    needed: Verdict | None  # None: no size that was allowed


def sensitivity(
    replayer: Replayer, candidate: Candidate, shift: Shift, most_replicas: int, replicates: int = GLANCE
) -> Sensitivity:
    """By `replicates` replicates of each fleet."""
    shifted = replayer.under(shifted_load(replayer.load, shift))
    same = judge(shifted, candidate, replicates, stops_early=False)
    pools = shifted.basis(candidate.kind).pools
    least = least_replicas(shifted.load.workload, pools, shifted.load.rate_per_s)
    guess = candidate.replicas
    if shift.of == "rate":
        guess = max(least, round(guess * shift.by))
    needed = smallest_passing(shifted, candidate.kind, least, guess, most_replicas, replicates)
    return Sensitivity(shift, same, needed)


def shifted_load(load: Load, shift: Shift) -> Load:
    """The load with one thing other than asked for."""
    if shift.of == "rate":
        return load._replace(rate_per_s=load.rate_per_s * shift.by)
    if shift.of == "tool_time":
        return load._replace(workload=with_tool_time(load.workload, shift.by))
    return load._replace(bias=Deviation(time=shift.by))
