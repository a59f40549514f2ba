"""When sessions arrive in a replay: as recorded, scaled to a rate, or drawn anew as a Poisson process."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.kernels.layout import NOBODY, Floats, Ints, Workload
from tracekit.errors import ScenarioInvalid

LONGEST_S = 100 * 365.25 * 86400
"""Arrivals later than this would not fit int64 ns beside what follows them."""


def scaled_release(workload: Workload, rate_per_s: float) -> Workload:
    """The recorded arrivals, stretched so that sessions arrive at `rate_per_s` on average.

    Raises
    ------
    ScenarioInvalid : all sessions arrive at once, so there is no rate to scale.
    """
    count = len(workload.session_arrival_s)
    span_s = float(workload.session_arrival_s[-1])
    if count < 2 or span_s == 0:
        raise ScenarioInvalid.no_rate(count)
    factor = (count - 1) / span_s / rate_per_s
    return workload._replace(session_arrival_s=_bounded(workload.session_arrival_s * factor, rate_per_s))


def poisson_release(workload: Workload, rate_per_s: float, sessions: int, seed: int) -> tuple[Workload, Ints]:
    """`sessions` sessions drawn with replacement, arriving as a Poisson process of `rate_per_s`; and which ones.

    The first arrives at 0. The same seed gives the same draw.
    """
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(workload.session_arrival_s), sessions)
    waits_s = random.exponential(1.0, sessions - 1) / rate_per_s
    arrival_s = _bounded(np.concatenate([[0.0], np.cumsum(waits_s)]), rate_per_s)
    return draw_sessions(workload, drawn.astype(np.int64), arrival_s), drawn.astype(np.int64)


def _bounded(arrival_s: Floats, rate_per_s: float) -> Floats:
    if not arrival_s[-1] <= LONGEST_S:
        raise ScenarioInvalid.too_long(rate_per_s)
    return arrival_s


def draw_sessions(workload: Workload, drawn: Ints, arrival_s: np.ndarray) -> Workload:
    """A workload of the sessions `drawn` (indices, shape (k,)), arriving at `arrival_s` (k,), ascending."""
    first = workload.session_step_start[drawn]
    lengths = workload.session_step_start[drawn + 1] - first
    start = np.concatenate([[0], np.cumsum(lengths)])
    offset = np.repeat(start[:-1] - first, lengths)  # from an old step's index to its copy's
    steps = np.arange(start[-1]) - offset
    child_counts = np.diff(workload.child_start)[steps]
    child_start = np.concatenate([[0], np.cumsum(child_counts)])
    edges = np.arange(child_start[-1]) - np.repeat(
        child_start[:-1] - workload.child_start[steps], child_counts
    )
    prefix_parent = _drawn_parents(workload, steps, offset)
    return Workload(
        session_arrival_s=arrival_s,
        session_tail_s=workload.session_tail_s[drawn],
        session_step_start=start.astype(np.int64),
        kind=workload.kind[steps],
        session=np.repeat(np.arange(len(drawn)), lengths).astype(np.int64),
        input_tokens=workload.input_tokens[steps],
        output_tokens=workload.output_tokens[steps],
        duration_s=workload.duration_s[steps],
        lag_s=workload.lag_s[steps],
        parent_count=workload.parent_count[steps],
        child_start=child_start.astype(np.int64),
        child_index=(workload.child_index[edges] + np.repeat(offset, child_counts)).astype(np.int64),
        prefix_parent=prefix_parent,
        prefix_tokens=np.where(prefix_parent == NOBODY, 0, workload.prefix_tokens[steps]),
    )


def _drawn_parents(workload: Workload, steps: Ints, offset: Ints) -> Ints:
    """The same calls' prefix parents among the copies; NOBODY where the parent is in another session.

    So prefixes are shared within a drawn session only: neither with other sessions (a common system prompt),
    nor between two draws of one session, whose texts would be equal to the last token.
    """
    parent = workload.prefix_parent[steps]
    inside = (parent != NOBODY) & (workload.session[parent] == workload.session[steps])
    return np.where(inside, parent + offset, NOBODY).astype(np.int64)
