"""Whose text each prompt begins with, as a forest of calls: its order, and what sessions have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.branches import depths
from tracekit.analyzers.kernels.layout import NOBODY, Ints, SmallInts, Workload


@dataclass(frozen=True, eq=False)
class PrefixForest:
    """The n steps' prefix parents (n,), NOBODY where nothing is shared, and the tokens shared with them (n,).

    `crosses` (n,) says where the parent is in another session.
    """

    parent: Ints
    tokens: SmallInts
    crosses: Flags

    @classmethod
    def of(cls, workload: Workload) -> Self:
        """The forest of a workload's prefixes."""
        parent = np.where(workload.prefix_tokens > 0, workload.prefix_parent, NOBODY)
        crosses = (parent != NOBODY) & (workload.session[parent] != workload.session)
        return cls(parent, workload.prefix_tokens, crosses)

    @cached_property
    def parents_first(self) -> Ints:
        """The steps that have a parent, each after its own parent."""
        linked = np.flatnonzero(self.parent != NOBODY)
        return linked[np.argsort(depths(self.parent)[linked], kind="stable")]

    def common_tokens(self) -> Ints:
        """Of each step's text, the tokens that some call of another session begins with as well: shape (n,).

        A call's child in another session shows it, up through the parents as far as they share it, and down again
        to all who begin as they do.
        """
        if not self.crosses.any():
            return np.zeros_like(self.tokens)
        parent, tokens, crosses = self.parent.tolist(), self.tokens.tolist(), self.crosses.tolist()
        common, order = [0] * len(parent), self.parents_first.tolist()
        for child in reversed(order):
            shown = tokens[child] if crosses[child] else min(tokens[child], common[child])
            common[parent[child]] = max(common[parent[child]], shown)
        for child in order:
            known = tokens[child] if crosses[child] else min(tokens[child], common[parent[child]])
            common[child] = max(common[child], known)
        return np.array(common, self.tokens.dtype)
