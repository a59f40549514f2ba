"""The largest rate that a fleet holds."""

from __future__ import annotations

from typing import NamedTuple

from tracekit.analyzers.sizing.replayer import Candidate, Replayer
from tracekit.analyzers.sizing.verdict import judge

GLANCE = 20
"""Replicates of figures beside the answer: held if 19 of them meet every objective."""
STRIDE = 1.25
RESOLUTION = 0.02
MOST = 64.0
"""Times the rate asked for, beyond which nobody wants to know."""


class Headroom(NamedTuple):
    """The largest rate found that holds, and the smallest that does not; None where none was found."""

    holds_per_s: float | None
    fails_per_s: float | None
    replicates: int


def headroom(replayer: Replayer, candidate: Candidate, replicates: int = GLANCE) -> Headroom:
    """By bisection to 2 %, from the rate asked for, upwards if that holds and downwards if not."""
    asked_per_s = replayer.load.rate_per_s
    if _holds(replayer, candidate, asked_per_s, replicates):
        holds, fails = asked_per_s, None
        while fails is None and holds < MOST * asked_per_s:
            rate = holds * STRIDE
            holds, fails = (rate, None) if _holds(replayer, candidate, rate, replicates) else (holds, rate)
        if fails is None:
            return Headroom(holds, None, replicates)
        return _between(replayer, candidate, holds, fails, replicates)
    fails = asked_per_s
    while fails > asked_per_s / MOST:
        rate = fails / 2
        if _holds(replayer, candidate, rate, replicates):
            return _between(replayer, candidate, rate, fails, replicates)
        fails = rate
    return Headroom(None, fails, replicates)


def _between(
    replayer: Replayer, candidate: Candidate, holds: float, fails: float, replicates: int
) -> Headroom:
    while fails / holds > 1.0 + RESOLUTION:
        rate = (holds * fails) ** 0.5
        if _holds(replayer, candidate, rate, replicates):
            holds = rate
        else:
            fails = rate
    return Headroom(holds, fails, replicates)


def _holds(replayer: Replayer, candidate: Candidate, rate_per_s: float, replicates: int) -> bool:
    load = replayer.load._replace(rate_per_s=rate_per_s)
    return judge(replayer.under(load), candidate, replicates).passes
