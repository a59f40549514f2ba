"""A workload's edges one by one, to be taken out and put in, and back into the workload's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import Floats, Ints, Workload


class Edges(NamedTuple):
    """Which step starts after which, each of shape (m,).

    An inner edge opens when a call has emitted `token` tokens (0: when it is queued), or after `fraction` of a tool
    or gap; any other at its parent's end.
    """

    parent: Ints
    child: Ints
    is_inner: Flags
    token: Ints
    fraction: Floats

    @classmethod
    def of(cls, workload: Workload) -> Self:
        """All edges, by parent."""
        count = len(workload.child_index)
        is_inner, token, fraction = np.zeros(count, np.bool_), np.zeros(count, np.int64), np.zeros(count)
        is_inner[workload.inner_edge] = True
        token[workload.inner_edge] = workload.inner_token
        fraction[workload.inner_edge] = workload.inner_fraction
        parent = np.repeat(np.arange(len(workload.kind)), np.diff(workload.child_start))
        return cls(parent, workload.child_index.astype(np.int64), is_inner, token, fraction)

    @classmethod
    def between(cls, parent: Ints, child: Ints) -> Self:
        """Edges that open at their parent's end."""
        count = len(parent)
        return cls(parent, child, np.zeros(count, np.bool_), np.zeros(count, np.int64), np.zeros(count))

    def where(self, wanted: Flags | Ints) -> Self:
        """Those that are wanted, by flag or by place."""
        return type(self)(
            self.parent[wanted],
            self.child[wanted],
            self.is_inner[wanted],
            self.token[wanted],
            self.fraction[wanted],
        )

    def and_those(self, others: Edges) -> Self:
        """Both together."""
        return type(self)(
            np.concatenate([self.parent, others.parent]),
            np.concatenate([self.child, others.child]),
            np.concatenate([self.is_inner, others.is_inner]),
            np.concatenate([self.token, others.token]),
            np.concatenate([self.fraction, others.fraction]),
        )

    def to_children(self, child: Ints) -> Self:
        """The same openings for other children."""
        return self._replace(child=child)

    def distinct(self) -> Self:
        """By parent and child, without repetitions."""
        if not len(self.parent):
            return self
        pair = self.parent * (int(self.child.max()) + 1) + self.child
        order = np.argsort(
            pair, kind="stable"
        )  # mostly in order already, which lexsort would make nothing of
        is_repeat = np.diff(pair[order]) == 0
        if not is_repeat.any():
            return self.where(order)
        among = np.flatnonzero(np.append(is_repeat, False) | np.append(False, is_repeat))
        some = order[among]
        order[among] = some[
            np.lexsort((self.fraction[some], self.token[some], self.is_inner[some], pair[some]))
        ]
        in_order = self.where(order)
        is_new = np.zeros(len(order), np.bool_)
        is_new[0] = True
        for column in in_order:
            is_new[1:] |= column[1:] != column[:-1]
        return in_order.where(is_new)


def with_edges(workload: Workload, edges: Edges) -> Workload:
    """The workload's steps with these edges and no others."""
    told = edges.distinct()
    count = len(workload.kind)
    inner = np.flatnonzero(told.is_inner)
    columns: dict[str, np.ndarray] = {
        "parent_count": np.bincount(told.child, minlength=count),
        "child_start": np.searchsorted(told.parent, np.arange(count + 1)),
        "child_index": told.child,
        "inner_edge": inner,
        "inner_token": told.token[inner],
        "inner_fraction": told.fraction[inner],
    }
    return with_columns(workload, columns)


def with_columns(workload: Workload, columns: Mapping[str, np.ndarray]) -> Workload:
    """The workload with other columns, in the types that the kernel is compiled for."""
    told: dict[str, Any] = {
        name: column.astype(getattr(workload, name).dtype, copy=False) for name, column in columns.items()
    }
    return workload._replace(**told)
