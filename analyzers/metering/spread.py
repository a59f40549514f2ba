"""Amounts that belong to stretches of time, handed to what was going on in them, in time linear in both.

Time is cut at E edges into E - 1 segments. A span reaches from edge to edge and has in every segment k of it
the weight `shared[group, k] + own * each[k]`: its part of what is split equally within its group, and its own
part of the rest. Sums over spans are differences of prefix sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Floats, Ints


class Spans(NamedTuple):
    """n spans, each of shape (n,): from edge `first` to edge `last`."""

    first: Ints
    last: Ints
    group: Ints
    own: Floats

    def at(self, index: Ints) -> Spans:
        """Those of that index."""
        return Spans(self.first[index], self.last[index], self.group[index], self.own[index])


class Weights(NamedTuple):
    """What the segments give to spans."""

    shared: Floats  # (groups, segments)
    each: Floats  # (segments,)


class Edges(NamedTuple):
    """What is uncertain at the E edges: halves of ranges just before and after, and where measuring breaks off."""

    half_before: Floats
    half_after: Floats
    is_break: Flags

    @property
    def half(self) -> Floats:
        return np.maximum(self.half_before, self.half_after)


def spread(spans: Spans, weights: Weights, amounts: Floats) -> Floats:
    """Each span's part of the amounts (segments,)."""
    return _summed(spans, weights, amounts, amounts)


def uncertainty_within(spans: Spans, weights: Weights, is_known: Flags, edges: Edges) -> Floats:
    """What each span's weight changes by at the edges inside it, times how uncertain joules are there."""
    shared = weights.shared * is_known
    each = weights.each * is_known
    moved_shared, moved_each = _changes(shared, edges), _changes(each, edges)
    inner = spans._replace(first=np.minimum(spans.first + 1, spans.last))
    return _summed(
        inner, Weights(moved_shared, moved_each), np.ones(len(moved_each)), np.ones(len(moved_each))
    )


class Ends(NamedTuple):
    """Both ends of spans: whose, at which edge, by how much the owner's weight rises there, and what it may meet."""

    owner: Ints
    edge: Ints
    change: Floats
    side: Ints  # 0; at a break 1 for ends, which no beginning continues there


def ends_of(owner: Ints, spans: Spans, weights: Weights, is_known: Flags, edges: Edges) -> Ends:
    """The ends of spans that take any time; `owner` (n,)."""
    long = np.flatnonzero(spans.last > spans.first)
    who, spans = owner[long], spans.at(long)
    return Ends(
        np.concatenate([who, who]),
        np.concatenate([spans.first, spans.last]),
        np.concatenate(
            [
                _weight(spans, weights, is_known, spans.first),
                -_weight(spans, weights, is_known, spans.last - 1),
            ]
        ),
        np.concatenate([np.zeros(len(long), np.int64), edges.is_break[spans.last].astype(np.int64)]),
    )


def uncertainty_at_ends(parts: Sequence[Ends], owners: int, edges: Edges) -> Floats:
    """What each owner's weight changes by at the ends of its spans, times how uncertain joules are there.

    Spans of one owner that touch count as one.
    """
    owner = np.concatenate([part.owner for part in parts])
    edge = np.concatenate([part.edge for part in parts])
    side = np.concatenate([part.side for part in parts])
    if not len(owner):
        return np.zeros(owners)
    key = (owner * (int(edge.max()) + 1) + edge) * 2 + side
    order = np.argsort(key)
    owner, edge = owner[order], edge[order]
    change = np.concatenate([part.change for part in parts])[order]
    first = np.flatnonzero(np.append(True, np.diff(key[order]) != 0))
    moved = np.abs(np.add.reduceat(change, first)) * edges.half[edge[first]]
    return np.asarray(np.bincount(owner[first], moved, minlength=owners), np.float64)


def uncertainty_of_segments(weight: Floats, edges: Edges) -> float:
    """The same for one weight (segments,) over all time."""
    inner = float(_changes(weight, edges)[1:-1].sum())
    return inner + float(weight[0] * edges.half_after[0] + weight[-1] * edges.half_before[-1])


def _changes(weight: Floats, edges: Edges) -> Floats:
    """By how much a weight, (..., segments), changes at each edge, in joules of uncertainty; (..., edges)."""
    before = np.concatenate([np.zeros((*weight.shape[:-1], 1)), weight], axis=-1)
    after = np.concatenate([weight, np.zeros((*weight.shape[:-1], 1))], axis=-1)
    apart = before * edges.half_before + after * edges.half_after
    return np.asarray(np.where(edges.is_break, apart, np.abs(after - before) * edges.half), np.float64)


def _weight(spans: Spans, weights: Weights, is_known: Flags, segment: Ints) -> Floats:
    shared = weights.shared[spans.group, segment]
    return np.asarray((shared + spans.own * weights.each[segment]) * is_known[segment], np.float64)


def _summed(spans: Spans, weights: Weights, of_shared: Floats, of_each: Floats) -> Floats:
    total = np.zeros(len(spans.first))
    for group in range(len(weights.shared)):
        here = np.flatnonzero(spans.group == group)
        sums = _sums(weights.shared[group] * of_shared)
        total[here] = sums[spans.last[here]] - sums[spans.first[here]]
    sums = _sums(weights.each * of_each)
    return total + spans.own * (sums[spans.last] - sums[spans.first])


def _sums(values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values)])
