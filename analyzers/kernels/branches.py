"""The texts of all calls as a tree of branches, laid out before the replay.

A call's path is the branches of its text, from the root. First every call's new text is a stretch of its own. Then
branches are made of stretches: each goes on in the text in which the most calls go on (heavy paths: Sleator and
Tarjan, A Data Structure for Dynamic Trees, J. Comput. Syst. Sci. 26 (1983)). To leave a branch at least halves the
calls that are left, so a path among c calls is at most 1 + log2(c) branches, however long a session is.
"""

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.jit import entry_kernel, kernel, small_kernel
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


LIFT = np.dtype([("depth", np.int32), ("above", np.int32), ("least", np.int32)], align=True)
"""Of a stretch or a call: how many are above it, and one of them, itself if there is none; of a call also the fewest
tokens that any on the way there shares with its parent."""

PIECE = np.dtype([("branch", np.int32), ("start", np.int32)], align=True)


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


class Texts(NamedTuple):
    """Of c calls, with room for the stretches of their texts."""

    parent: SmallInts  # (c,) the call with whose text a text begins, or NOBODY
    shared: Ints  # (c,) blocks of the parent's text
    blocks: Ints  # (c,) of the whole text
    leaf: SmallInts  # (c,) each call's deepest stretch
    stretches: Rows  # (c,) BRANCH
    lifts: Rows  # (c,) LIFT
    passing: Ints  # (c,) calls whose text each stretch is part of
    laid: Ints  # (c,) where each stretch ends so far
    pile: Ints  # (c,) room to work


@kernel
def hang(lifts: Rows, stretch: int, parent: int) -> None:
    """Let the stretch know one far above it: to climb n costs O(log n).

    Myers, An applicative random-access stack, Inf. Process. Lett. 17 (1983).
    """
    row = lifts[stretch]
    if parent == NOBODY:
        row["depth"] = 0
        row["above"] = stretch
        return
    one = lifts[parent]["above"]
    two = lifts[one]["above"]
    row["depth"] = lifts[parent]["depth"] + 1
    row["above"] = parent
    if lifts[parent]["depth"] - lifts[one]["depth"] == lifts[one]["depth"] - lifts[two]["depth"]:
        row["above"] = two


@entry_kernel
def lift_calls(parent: SmallInts, shared: SmallInts, order: Ints, lifts: Rows) -> int:
    """Fill `lifts` (c,) of calls; `shared` (c,) tokens with their parents, `order` (c,) parents first; return c."""
    for place in range(order.size):
        call = order[place]
        above = parent[call]
        hang(lifts, call, above)
        least = shared[call]
        if above != NOBODY and lifts[call]["above"] != above:
            least = min(least, lifts[above]["least"], lifts[lifts[above]["above"]]["least"])
        lifts[call]["least"] = least
    return int(order.size)


def lifts_of(parent: SmallInts, shared: SmallInts) -> Rows:
    """How calls with these parents, or NOBODY, share tokens with those far above, (c,) LIFT."""
    lifts = np.zeros(parent.size, LIFT)
    lift_calls(parent, shared, np.argsort(depths(parent), kind="stable"), lifts)
    return lifts


@kernel
def climb(stretches: Rows, lifts: Rows, stretch: int, block: int) -> int:
    """Return the deepest of the stretch and those above it that begins before the block, which is not the first."""
    while stretches[stretch]["start"] >= block:
        above = lifts[stretch]["above"]
        if stretches[above]["start"] < block:
            above = stretches[stretch]["parent"]
        stretch = above
    return int(stretch)


@kernel
def lay_stretches(texts: Texts) -> int:
    """Fill `leaf`, `stretches` and `laid`; return how many stretches there are, -1 for a cycle."""
    parent, shared, blocks = texts.parent, texts.shared, texts.blocks
    leaf, stretches, laid, pile = texts.leaf, texts.stretches, texts.laid, texts.pile
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
                above = climb(stretches, texts.lifts, leaf[parent[call]], shared[call])
                if blocks[call] == shared[call] or laid[above] == shared[call]:
                    leaf[call] = above
                    laid[above] = max(laid[above], blocks[call])
                    continue
            stretches[count]["parent"] = above
            stretches[count]["start"] = shared[call]
            hang(texts.lifts, count, above)
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


@kernel
def count_passing(leaf: SmallInts, branches: Rows, passing: Ints, count: int) -> None:
    """Count the calls whose path each of `count` branches is on."""
    passing[:count] = 0
    for call in range(leaf.size):
        passing[leaf[call]] += 1
    add_to_parents(branches, passing, count)


@entry_kernel
def lay_out(texts: Texts) -> int:
    """Lay the stretches and count the calls on each; return how many stretches there are, -1 for a cycle."""
    count = lay_stretches(texts)
    if count >= 0:
        count_passing(texts.leaf, texts.stretches, texts.passing, count)
    return count


class Tree(NamedTuple):
    """Of c calls and n stretches, with room for the branches that these are joined to."""

    blocks: Ints  # (c,) of a call's whole text
    leaf: SmallInts  # (c,) each call's deepest stretch; afterwards its deepest branch
    stretches: Rows  # (n,) BRANCH
    passing: Ints  # (n,) calls whose text each stretch is part of; afterwards whose path each branch is on
    children: Ints  # (n,) the stretches by parent, then by where they leave it
    child_start: Ints  # (n + 1,) slice of each stretch's children
    branch: SmallInts  # (n,) on which branch each stretch begins
    pieces: Rows  # (2 n,) PIECE, the parts of each stretch that lie on one branch
    piece_start: Ints  # (n + 1,) slice of each stretch's pieces
    branches: Rows  # (n,) BRANCH


@small_kernel
def add_branch(tree: Tree, count: int, parent: int, start: int) -> None:
    tree.branches[count]["parent"] = parent
    tree.branches[count]["start"] = start
    tree.branches[count]["slots"] = NOBODY


@small_kernel
def add_piece(tree: Tree, stretch: int, branch: int, start: int) -> None:
    piece = tree.piece_start[stretch + 1]
    tree.pieces[piece]["branch"] = branch
    tree.pieces[piece]["start"] = start
    tree.piece_start[stretch + 1] += 1


@kernel
def most_passed(tree: Tree, place: int, end: int) -> int:
    """Return which of the children at these places the most calls pass."""
    chosen = int(tree.children[place])
    for other in range(place + 1, end):
        if tree.passing[tree.children[other]] > tree.passing[chosen]:
            chosen = int(tree.children[other])
    return chosen


@kernel
def join_stretch(tree: Tree, stretch: int, count: int) -> int:
    """Cut the stretch wherever more calls leave it than go on, and say on which branch each child begins.

    `count` branches are there before; return how many there are afterwards.
    """
    branch = int(tree.branch[stretch])
    tree.piece_start[stretch + 1] = tree.piece_start[stretch]
    add_piece(tree, stretch, branch, tree.stretches[stretch]["start"])
    rest = tree.passing[stretch]
    place = tree.child_start[stretch]
    while place < tree.child_start[stretch + 1]:
        start = tree.stretches[tree.children[place]]["start"]
        end = place
        while end < tree.child_start[stretch + 1] and tree.stretches[tree.children[end]]["start"] == start:
            rest -= tree.passing[tree.children[end]]
            end += 1
        heir = most_passed(tree, place, end)
        if tree.passing[heir] <= rest:
            heir = stretch
        for other in range(place, end):
            child = tree.children[other]
            tree.branch[child] = branch
            if child != heir:
                tree.branch[child] = count
                add_branch(tree, count, branch, start)
                count += 1
        if heir != stretch:
            add_branch(tree, count, branch, start)
            add_piece(tree, stretch, count, start)
            branch = count
            count += 1
        place = end
    return count


@kernel
def branch_at(tree: Tree, stretch: int, block: int) -> int:
    """Return the branch that the stretch's block before this one lies on."""
    lowest = tree.piece_start[stretch]
    highest = tree.piece_start[stretch + 1] - 1
    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        if tree.pieces[middle]["start"] < block:
            lowest = middle
        else:
            highest = middle - 1
    return int(tree.pieces[lowest]["branch"])


@entry_kernel
def join_stretches(tree: Tree) -> int:
    """Make branches of the stretches, each going on where the most calls go on; return how many there are."""
    count = 0
    for stretch in range(tree.stretches.size):
        if tree.stretches[stretch]["parent"] == NOBODY:
            tree.branch[stretch] = count
            add_branch(tree, count, NOBODY, 0)
            count += 1
        count = join_stretch(tree, stretch, count)
    for call in range(tree.leaf.size):
        tree.leaf[call] = branch_at(tree, tree.leaf[call], tree.blocks[call])
    count_passing(tree.leaf, tree.branches, tree.passing, count)
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
        stretches=np.zeros(calls, BRANCH),
        lifts=np.zeros(calls, LIFT),
        passing=np.zeros(calls, np.int64),
        laid=np.zeros(calls, np.int64),
        pile=np.zeros(calls, np.int64),
    )


def tree_of(texts: Texts, count: int) -> Tree:
    """The first `count` stretches, as they hang together."""
    stretches = texts.stretches[:count].copy()
    children = np.lexsort((stretches["start"], stretches["parent"]))
    first = np.searchsorted(stretches["parent"][children], np.arange(count + 1))
    return Tree(
        blocks=texts.blocks,
        leaf=texts.leaf,
        stretches=stretches,
        passing=texts.passing[:count].copy(),
        children=children.astype(np.int64),
        child_start=first.astype(np.int64),
        branch=np.zeros(count, np.int32),
        pieces=np.zeros(2 * count, PIECE),
        piece_start=np.zeros(count + 1, np.int64),
        branches=np.zeros(count, BRANCH),
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
    tree = tree_of(texts, count)
    join_stretches(tree)
    most_slots = int(np.minimum(visits * tree.passing, replicas).sum())
    return Prefixes(text.size, tree.leaf, tree.branches, most_slots)
