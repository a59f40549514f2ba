"""What the GPUs of one set of routes were asked for, segment by segment: who was in flight, how far, or why none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np

from tracekit.analyzers.kernels.layout import NOBODY, Ints
from tracekit.analyzers.metering.steps import Steps
from tracekit.analyzers.metering.waiting import Waiting


class Phase(IntEnum):
    """What the calls in flight are doing, as their client sees it."""

    PREFILL = 0
    DECODE = 1
    MIXED = 2
    UNPHASED = 3
    IDLE = 4
    OUTSIDE = 5


IN_FLIGHT = (Phase.PREFILL, Phase.DECODE, Phase.MIXED, Phase.UNPHASED)


@dataclass(frozen=True, eq=False)
class Pool:
    """Routes that are served together, as one virtual replica.

    Time from the first event to the last is cut at E edges. A call is one or two spans: from request to first
    token (prefill), from there to its end (decode); or one that is unphased, where its first token is not known.
    """

    steps: Steps
    edges_ns: Ints  # (E,)
    call: Ints  # (n,) of each span, an index into steps.calls
    phase: Ints  # (n,)
    first: Ints  # (n,) edge
    last: Ints  # (n,) edge
    in_flight: Ints  # (E - 1,)
    segment_phase: Ints  # (E - 1,)
    waiting: Waiting

    @classmethod
    def of(cls, steps: Steps, routes: frozenset[int]) -> Self:
        """What went to those routes."""
        calls, tools = steps.calls, steps.tools
        here = np.flatnonzero(np.isin(calls.route, list(routes)))
        start_ns, end_ns, token_ns = (
            part[here] for part in (calls.start_ns, calls.end_ns, calls.first_token_ns)
        )
        has_token, window_ns = token_ns >= 0, np.array([steps.begin_ns, steps.end_ns])
        edges_ns = np.unique(
            np.concatenate(
                [calls.start_ns, calls.end_ns, token_ns[has_token], tools.start_ns, tools.end_ns, window_ns]
            )
        )
        call = np.concatenate([here[has_token], here[has_token], here[~has_token]])
        phase = np.repeat(
            [Phase.PREFILL, Phase.DECODE, Phase.UNPHASED],
            [has_token.sum(), has_token.sum(), (~has_token).sum()],
        )
        first = np.searchsorted(
            edges_ns, np.concatenate([start_ns[has_token], token_ns[has_token], start_ns[~has_token]])
        )
        last = np.searchsorted(
            edges_ns, np.concatenate([token_ns[has_token], end_ns[has_token], end_ns[~has_token]])
        )
        edges = len(edges_ns)
        prefilling, decoding, unphased = (
            count_open(first[phase == kind], last[phase == kind], edges)
            for kind in (Phase.PREFILL, Phase.DECODE, Phase.UNPHASED)
        )
        in_flight = prefilling + decoding + unphased
        segment_phase = np.select(
            [in_flight == 0, unphased > 0, (prefilling > 0) & (decoding > 0), prefilling > 0],
            [Phase.IDLE, Phase.UNPHASED, Phase.MIXED, Phase.PREFILL],
            Phase.DECODE,
        ).astype(np.int64)
        is_here = np.zeros(len(calls.route), np.bool_)
        is_here[here] = True
        waiting = Waiting.of(steps, is_here, edges_ns, in_flight == 0)
        return cls(steps, edges_ns, call, phase, first, last, in_flight, segment_phase, waiting)


def count_open(first: Ints, last: Ints, edges: int) -> Ints:
    """How many of the spans from edge `first` to edge `last` each segment lies in, (edges - 1,)."""
    change = np.bincount(first, minlength=edges) - np.bincount(last, minlength=edges)
    return np.asarray(np.cumsum(change)[:-1], np.int64)


def sessions_of(pool: Pool) -> Ints:
    """The sessions that called here, as indices into the steps' sessions."""
    found = np.unique(pool.steps.calls.session[pool.call])
    return np.asarray(found[found != NOBODY], np.int64)
