"""The texts of all calls as a tree of branches, laid out before the replay.

A branch is a stretch of text that no call before it has; a call's path is the branches of its text.
"""

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.jit import entry_kernel, kernel
from tracekit.analyzers.kernels.layout import NOBODY, Ints, Rows, SmallInts

UNLAID, BEING_LAID = -2, -3

BRANCH = np.dtype(
    [
        ("parent", np.int32),
        ("start", np.int32),  # its first block, counted from the start of the text
        ("slots", np.int32),  # head of the list of its slots
    ],
    align=True,
)


def depths(parent: Ints | SmallInts) -> SmallInts:
    """How many ancestors each of n has by its parent or NOBODY, (n,); by doubling, as a chain may be n long.

    Raises ValueError for a cycle.
    """
    depth: SmallInts = (parent != NOBODY).astype(np.int32)
    ancestor = parent
    while (ancestor != NOBODY).any() and depth.max() <= depth.size:
        above = ancestor != NOBODY
        depth = depth + np.where(above, depth[ancestor], 0).astype(np.int32)
        ancestor = np.where(above, ancestor[ancestor], NOBODY)
    if (ancestor != NOBODY).any():
        raise ValueError("the prefixes of some calls have a cycle")
    return depth


@kernel
def lay_branches(
    parent: SmallInts, shared: Ints, blocks: Ints, leaf: SmallInts, laid: Ints, branches: Rows, pile: Ints
) -> int:
    """Fill `leaf` (c,), each call's deepest branch, and `branches`; return how many there are, -1 for a cycle.

    `shared` (c,) blocks are those of the parent's text, `blocks` (c,) those of the whole text. `laid` (c,) is
    where each branch ends so far, `pile` (c,) room to work.
    """
    count = 0
    for first in range(leaf.size):
        height = 0
        call = first
        while leaf[call] == UNLAID:
            leaf[call] = BEING_LAID
            pile[height] = call
            height += 1
            if shared[call] > 0:
                call = parent[call]
        if height > 0 and shared[pile[height - 1]] > 0 and leaf[call] == BEING_LAID:
            return -1
        while height > 0:
            height -= 1
            call = pile[height]
            leaf[call] = count
            above = NOBODY
            if shared[call] > 0:
                above = leaf[parent[call]]
                while branches[above]["start"] >= shared[call]:
                    above = branches[above]["parent"]
                if blocks[call] == shared[call] or laid[above] == shared[call]:
                    leaf[call] = above
                    laid[above] = max(laid[above], blocks[call])
                    continue
            branches[count]["parent"] = above
            branches[count]["start"] = shared[call]
            laid[count] = blocks[call]
            count += 1
    return count


@kernel
def add_to_parents(branches: Rows, passing: Ints, count: int) -> None:
    """Add every branch's calls to those of the branches above it; a parent comes before its children."""
    for branch in range(count - 1, -1, -1):
        parent = branches[branch]["parent"]
        if parent != NOBODY:
            passing[parent] += passing[branch]


class Texts(NamedTuple):
    """Of c calls, with room for their branches."""

    parent: SmallInts  # (c,) the call with whose text a text begins, or NOBODY
    shared: Ints  # (c,) blocks of the parent's text
    blocks: Ints  # (c,) of the whole text
    leaf: SmallInts  # (c,) each call's deepest branch
    branches: Rows  # (c,) BRANCH
    passing: Ints  # (c,) calls whose path each branch is on
    laid: Ints  # (c,)
    pile: Ints  # (c,)


@entry_kernel
def lay_out(texts: Texts) -> int:
    """Lay the branches and count the calls on each; return how many branches there are, -1 for a cycle."""
    count = lay_branches(
        texts.parent, texts.shared, texts.blocks, texts.leaf, texts.laid, texts.branches, texts.pile
    )
    if count >= 0:
        for call in range(texts.leaf.size):
            texts.passing[texts.leaf[call]] += 1
        add_to_parents(texts.branches, texts.passing, count)
    return count


class Prefixes(NamedTuple):
    """What calls have in common, before the replay."""

    calls: int
    leaves: SmallInts  # (c,) each call's deepest branch; empty if no call shares anything
    branches: Rows  # BRANCH
    most_slots: int  # that there can be at once


def no_prefixes(calls: int, visits: int) -> Prefixes:
    """Nothing is shared, and every call goes to `visits` replicas at the most."""
    return Prefixes(calls, np.zeros(0, np.int32), np.zeros(0, BRANCH), visits * calls)


def texts_of(parent: SmallInts, shared: SmallInts, text: Ints, block_size: int) -> Texts:
    calls = text.size
    return Texts(
        parent=parent.astype(np.int32),
        shared=np.where(parent == NOBODY, 0, shared // block_size).astype(np.int64),
        blocks=(text // block_size).astype(np.int64),
        leaf=np.full(calls, UNLAID, np.int32),
        branches=np.zeros(calls, BRANCH),
        passing=np.zeros(calls, np.int64),
        laid=np.zeros(calls, np.int64),
        pile=np.zeros(calls, np.int64),
    )


def prefixes(
    parent: SmallInts, shared: SmallInts, text: Ints, block_size: int, replicas: int, visits: int
) -> Prefixes:
    """Lay out the texts of calls, `text` (c,) tokens of prompt and output.

    `parent` (c,) is the call, or NOBODY, with whose text the prompt shares its first `shared` (c,) tokens. Every
    call goes to `visits` of the replicas at the most.
    """
    texts = texts_of(parent, shared, text, block_size)
    count = lay_out(texts)
    if count < 0:
        raise ValueError("the prefixes of some calls have a cycle")
    used = texts.branches[:count].copy()
    used["slots"] = NOBODY
    most_slots = int(np.minimum(visits * texts.passing[:count], replicas).sum())
    return Prefixes(text.size, texts.leaf, used, most_slots)
