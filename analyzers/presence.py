"""How much of something is there over time: intervals as a mean number in each of a few bins."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.kernels.layout import Floats

BINS = 160
"""Enough for a chart as wide as a page; a million intervals become as many numbers."""


def bin_edges(horizon_s: float, bins: int = BINS) -> Floats:
    """The edges of equal bins from 0 to `horizon_s`, shape (bins + 1,)."""
    return np.linspace(0.0, max(horizon_s, 1e-9), bins + 1)


def mean_presence(start_s: Floats, end_s: Floats, edges_s: Floats) -> Floats:
    """The mean number of intervals open in each bin, shape (bins,).

    Parameters
    ----------
    start_s, end_s : shape (n,), in any order; none ends before it starts.
    edges_s : shape (bins + 1,), ascending.
    """
    opened_s, closed_s = _seconds_since(start_s, edges_s), _seconds_since(end_s, edges_s)
    lengths_s = np.diff(edges_s)
    return np.maximum(np.diff(opened_s - closed_s) / lengths_s, 0.0)


def _seconds_since(instants_s: Floats, edges_s: Floats) -> Floats:
    """At each edge, the seconds that have passed since each earlier instant, summed."""
    ordered = np.sort(instants_s)
    passed = np.searchsorted(ordered, edges_s, side="right")
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    return np.asarray(passed * edges_s - sums[passed], dtype=np.float64)
