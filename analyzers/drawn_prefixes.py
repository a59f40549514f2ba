"""What the prompts of sessions that were drawn with replacement share: as much as those of the recorded ones did.

A copy's text is the recorded one's as far as it was *common*, that is, as some call of another recorded session
began with it too, and its own beyond. So

- copies of two sessions share what the two shared, whichever copies they are and whichever was recorded first;
- two copies of one session share what that session had in common with others, and no more: they stand for two
  tasks, which begin with the same system prompt and then go their own ways. The first copy keeps the recorded
  text, the others begin as it does. This holds for the session that was recorded as the first to bring the
  system prompt as well: its prompt names no earlier call, but later ones name it;
- where the session that others shared with was not drawn, the call that shares most with it stands in for it.

Only prompts are common: a copy's answers are its own.
"""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.kernels.layout import NOBODY, Ints, SmallInts, Workload
from tracekit.analyzers.prefix_forest import PrefixForest


def drawn_prefixes(workload: Workload, step: Ints, first_copy: Ints, own_parent: Ints) -> tuple[Ints, Ints]:
    """The prefix parents of drawn steps, and the tokens shared with them, both (k,).

    Parameters
    ----------
    workload : the recorded sessions, n steps.
    step : (k,) the recorded step of each drawn one.
    first_copy : (n,) the first drawn copy of each recorded step; NOBODY if there is none.
    own_parent : (k,) the same copy's step for each one's recorded prefix parent; NOBODY if it has none there.
    """
    forest = PrefixForest.of(workload)
    common = np.minimum(forest.common_tokens(), workload.input_tokens)[step]
    own_tokens = np.where(own_parent == NOBODY, 0, workload.prefix_tokens[step])
    is_first = first_copy[step] == np.arange(len(step))
    follows_own = np.where(is_first, own_parent != NOBODY, own_tokens >= common)
    parent = np.where(follows_own, own_parent, np.where(is_first, NOBODY, first_copy[step]))
    tokens = np.where(follows_own, own_tokens, np.where(is_first, 0, common))
    crossing = np.flatnonzero(is_first & forest.crosses[step])
    found, shared = _nearest_drawn(forest, step[crossing], first_copy != NOBODY)
    parent[crossing] = np.where(found == NOBODY, NOBODY, first_copy[found])
    tokens[crossing] = shared
    return parent, tokens


def _nearest_drawn(forest: PrefixForest, calls: Ints, is_drawn: Flags) -> tuple[Ints, SmallInts]:
    """The recorded calls, of sessions that were drawn, whose text `calls` begin with, and for how many tokens."""
    parent, tokens = forest.parent[calls], forest.tokens[calls]
    lost = np.flatnonzero(~is_drawn[parent])
    if len(lost):
        stand_ins = _StandIns(forest, is_drawn)
        for place in lost:
            parent[place], tokens[place] = stand_ins.nearest(int(calls[place]))
    return parent, tokens


class _StandIns:
    """For calls of sessions that were not drawn: the drawn call that shares most with each."""

    def __init__(self, forest: PrefixForest, is_drawn: Flags) -> None:
        self._parent, self._tokens = forest.parent.tolist(), forest.tokens.tolist()
        self._is_drawn = is_drawn.tolist()
        self._call = [NOBODY] * len(self._parent)
        self._held = [0] * len(self._parent)
        for child in reversed(forest.parents_first.tolist()):
            self._offer(child)

    def _offer(self, child: int) -> None:
        """Let the child, or who stands in for it, stand in for its parent if it shares more than others."""
        call, held = child, self._tokens[child]
        if not self._is_drawn[child]:
            call, held = self._call[child], min(held, self._held[child])
        parent = self._parent[child]
        if not self._is_drawn[parent] and held > self._held[parent]:
            self._call[parent], self._held[parent] = call, held

    def nearest(self, call: int) -> tuple[int, int]:
        """The nearest drawn ancestor of a drawn call, or who stands in for a nearer one; NOBODY, 0 if none."""
        at, tokens = self._parent[call], self._tokens[call]
        while at != NOBODY and not self._is_drawn[at]:
            if self._call[at] != call:
                return self._call[at], tokens
            tokens = min(tokens, self._tokens[at])
            at = self._parent[at]
        return (at, tokens) if at != NOBODY else (NOBODY, 0)
