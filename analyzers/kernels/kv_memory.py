"""The KV memory of the replicas: paged, with a prefix cache, by runs of blocks instead of block by block.

docs/background-scheduler.md says why this is vLLM's memory, block for block; tests/oracle/vllm_v1_runs.py is
the same in plain Python. Nothing here costs more because a run is long, but for copies (two blocks with one
content), which are rare and kept one by one.

A branch is a stretch of text that no call before it has; a call's path is the branches of its text. On a
replica a branch is a slot. `running` calls hold blocks; those of a decoding call are worked out from the
replica's clock of decode steps only when another call looks at its branch, so that a decode step costs O(1).

Pools that turn out too small set `overflow`; the replay is then begun again with larger ones.
"""

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.jit import called_kernel, in_place_kernel
from tracekit.analyzers.kernels.layout import NOBODY, Ints, Record, Rows

UNLAID, BEING_LAID = -2, -3

POOL = np.dtype(
    [
        ("free", np.int64),  # blocks that nobody holds
        ("empty", np.int64),  # of them, those with nothing to remember: all of these are used first
        ("queue_head", np.int64),  # the other free blocks, as runs in the order in which they are used
        ("queue_tail", np.int64),
        ("running_head", np.int64),  # calls that hold blocks, in order of admission
        ("running_tail", np.int64),
        ("clock", np.int64),  # decode steps scheduled since the last rebase
    ],
    align=True,
)

HOLDING = np.dtype(
    [
        ("branch", np.int64),  # the deepest of its path
        ("slot", np.int64),  # the same on its replica
        ("end", np.int64),  # full blocks of its whole text
        ("full", np.int64),  # blocks of its path that it holds and the cache knows; a decode's may lag behind
        ("decodes", np.int64),
        ("anchor", np.int64),  # of a decode: tokens computed, less the clock, and 1
        ("next", np.int64),  # running, in order of admission
        ("previous", np.int64),
        ("next_grower", np.int64),  # running with the same slot
        ("previous_grower", np.int64),
    ],
    align=True,
)

BRANCH = np.dtype(
    [
        ("parent", np.int64),
        ("start", np.int64),  # its first block, counted from the start of the text
        ("first_slot", np.int64),
        ("slots", np.int64),
    ],
    align=True,
)

SLOT = np.dtype(
    [
        ("replica", np.int64),
        ("parent", np.int64),
        ("start", np.int64),
        ("cached", np.int64),  # the cache knows its blocks from start to here
        ("passing", np.int64),  # running calls whose path it is on
        ("growers", np.int64),  # running calls whose path ends here
        ("runs", np.int64),  # its free blocks, shallowest first
        ("copies", np.int64),  # oldest first
    ],
    align=True,
)

RUN = np.dtype(
    [
        ("slot", np.int64),
        ("first", np.int64),
        ("end", np.int64),
        ("is_copy", np.int64),
        ("next", np.int64),  # in the queue; in the list of spare ones
        ("previous", np.int64),
        ("deeper", np.int64),  # in the slot
    ],
    align=True,
)

COPY = np.dtype(
    [
        ("index", np.int64),
        ("holder", np.int64),
        ("run", np.int64),
        ("next", np.int64),
    ],
    align=True,
)

STOCK = np.dtype(
    [("run", np.int64), ("copy", np.int64), ("overflow", np.int64), ("evicted", np.int64)], align=True
)
"""Heads of the lists of spare runs and copies; blocks evicted so far."""


class KvMemory(NamedTuple):
    """For r replicas and c calls."""

    block_size: int
    caching: int
    pools: Rows  # (r,) POOL
    holdings: Rows  # (c,) HOLDING
    branches: Rows  # BRANCH
    slots: Rows  # SLOT
    runs: Rows  # RUN
    copies: Rows  # COPY
    stock: Rows  # (1,) STOCK


@in_place_kernel
def blocks_for(memory: KvMemory, tokens: int) -> int:
    return int((tokens + memory.block_size - 1) // memory.block_size)


# --- spare records ---


@in_place_kernel
def new_run(memory: KvMemory, slot: int, first: int, end: int, is_copy: int) -> int:
    """Return a run that is in no list yet; NOBODY if there is none left."""
    stock = memory.stock[0]
    run = stock["run"]
    row = memory.runs[run]
    if row["next"] == NOBODY:
        stock["overflow"] = 1
        return NOBODY
    stock["run"] = row["next"]
    row["slot"] = slot
    row["first"] = first
    row["end"] = end
    row["is_copy"] = is_copy
    row["deeper"] = NOBODY
    return int(run)


@in_place_kernel
def spare_run(memory: KvMemory, run: int) -> None:
    memory.runs[run]["next"] = memory.stock[0]["run"]
    memory.stock[0]["run"] = run


# --- the queue of free blocks that the cache knows ---


@in_place_kernel
def append_run(memory: KvMemory, pool: Record, run: int) -> None:
    row = memory.runs[run]
    row["next"] = NOBODY
    row["previous"] = pool["queue_tail"]
    if pool["queue_tail"] == NOBODY:
        pool["queue_head"] = run
    else:
        memory.runs[pool["queue_tail"]]["next"] = run
    pool["queue_tail"] = run


@in_place_kernel
def remove_run(memory: KvMemory, pool: Record, run: int) -> None:
    row = memory.runs[run]
    if row["previous"] == NOBODY:
        pool["queue_head"] = row["next"]
    else:
        memory.runs[row["previous"]]["next"] = row["next"]
    if row["next"] == NOBODY:
        pool["queue_tail"] = row["previous"]
    else:
        memory.runs[row["next"]]["previous"] = row["previous"]


@in_place_kernel
def link_run(memory: KvMemory, run: int) -> None:
    """Put the run into its slot's list, by depth."""
    slot = memory.slots[memory.runs[run]["slot"]]
    first = memory.runs[run]["first"]
    shallower = NOBODY
    deeper = slot["runs"]
    while deeper != NOBODY and memory.runs[deeper]["first"] < first:
        shallower = deeper
        deeper = memory.runs[deeper]["deeper"]
    memory.runs[run]["deeper"] = deeper
    if shallower == NOBODY:
        slot["runs"] = run
    else:
        memory.runs[shallower]["deeper"] = run


@in_place_kernel
def unlink_run(memory: KvMemory, run: int) -> None:
    slot = memory.slots[memory.runs[run]["slot"]]
    at = slot["runs"]
    if at == run:
        slot["runs"] = memory.runs[run]["deeper"]
        return
    while at != NOBODY:
        following = memory.runs[at]["deeper"]
        if following == run:
            memory.runs[at]["deeper"] = memory.runs[run]["deeper"]
            return
        at = following


@called_kernel
def free_run(memory: KvMemory, pool: Record, slot: int, first: int, end: int) -> None:
    """Give back a slot's blocks, the deepest to be used first; lengthen the queue's last run if they follow it."""
    if first >= end:
        return
    pool["free"] += end - first
    last = pool["queue_tail"]
    if last != NOBODY:
        row = memory.runs[last]
        if row["slot"] == slot and row["first"] == end and not row["is_copy"]:
            row["first"] = first
            return
    run = new_run(memory, slot, first, end, 0)
    if run != NOBODY:
        append_run(memory, pool, run)
        link_run(memory, run)


# --- copies ---


@in_place_kernel
def add_copy(memory: KvMemory, slot: int, index: int, holder: int) -> None:
    stock = memory.stock[0]
    copy = stock["copy"]
    if memory.copies[copy]["next"] == NOBODY:
        stock["overflow"] = 1
        return
    stock["copy"] = memory.copies[copy]["next"]
    row = memory.copies[copy]
    row["index"] = index
    row["holder"] = holder
    row["run"] = NOBODY
    row["next"] = NOBODY
    last = memory.slots[slot]["copies"]
    if last == NOBODY:
        memory.slots[slot]["copies"] = copy
        return
    while memory.copies[last]["next"] != NOBODY:
        last = memory.copies[last]["next"]
    memory.copies[last]["next"] = copy


@in_place_kernel
def drop_copy(memory: KvMemory, slot: int, copy: int) -> None:
    following = memory.copies[copy]["next"]
    if memory.slots[slot]["copies"] == copy:
        memory.slots[slot]["copies"] = following
    else:
        at = memory.slots[slot]["copies"]
        while memory.copies[at]["next"] != copy:
            at = memory.copies[at]["next"]
        memory.copies[at]["next"] = following
    memory.copies[copy]["next"] = memory.stock[0]["copy"]
    memory.stock[0]["copy"] = copy


@in_place_kernel
def copy_of(memory: KvMemory, slot: int, index: int, holder: int) -> int:
    """Return the copy of this block that the call holds; NOBODY if it holds none."""
    copy = memory.slots[slot]["copies"]
    while copy != NOBODY:
        row = memory.copies[copy]
        if row["index"] == index and row["holder"] == holder:
            break
        copy = row["next"]
    return int(copy)


@called_kernel
def forget_one(memory: KvMemory, slot: int, index: int, run: int) -> None:
    """One block of several with this content is gone; if it was the one to be found, the oldest copy is that now."""
    is_copy = memory.runs[run]["is_copy"]
    copy = memory.slots[slot]["copies"]
    while copy != NOBODY:
        row = memory.copies[copy]
        if row["run"] == run if is_copy else row["index"] == index:
            break
        copy = row["next"]
    if copy == NOBODY:
        memory.slots[slot]["cached"] = index
        return
    heir = memory.copies[copy]["run"]
    if not is_copy and heir != NOBODY:
        memory.runs[heir]["is_copy"] = 0
        link_run(memory, heir)
    drop_copy(memory, slot, copy)


# --- what running calls hold ---


@in_place_kernel
def remember(memory: KvMemory, call: int, full: int) -> None:
    """Let the cache know the call's first blocks, which are full; `growers` of its slots are up to date."""
    holding = memory.holdings[call]
    known = holding["full"]
    if not memory.caching or full <= known:
        return
    slot = holding["slot"]
    end = holding["end"]
    while slot != NOBODY and end > known:
        row = memory.slots[slot]
        last = min(full, end)
        for index in range(max(known, row["start"]), min(last, row["cached"])):
            add_copy(memory, slot, index, call)
        row["cached"] = max(row["cached"], last)
        end = row["start"]
        slot = row["parent"]
    holding["full"] = full


@in_place_kernel
def bring_up_to_date(memory: KvMemory, pool: Record, slot: int) -> None:
    """Let the cache know what the decoding calls whose path ends in the slot have filled since."""
    call = memory.slots[slot]["growers"]
    while call != NOBODY:
        holding = memory.holdings[call]
        if holding["decodes"]:
            remember(memory, call, (holding["anchor"] + pool["clock"] - 1) // memory.block_size)
        call = holding["next_grower"]


@called_kernel
def fill(memory: KvMemory, replica: int, call: int, tokens: int) -> None:
    """The call's first `tokens` tokens are computed: let the cache know the full blocks."""
    full = tokens // memory.block_size
    if not memory.caching or full <= memory.holdings[call]["full"]:
        return
    slot = memory.holdings[call]["slot"]
    while slot != NOBODY:
        bring_up_to_date(memory, memory.pools[replica], slot)
        slot = memory.slots[slot]["parent"]
    remember(memory, call, full)


@in_place_kernel
def reach(memory: KvMemory, call: int, slot: int) -> int:
    """Return up to where the call holds the slot's blocks; the slot's start if it does not."""
    holding = memory.holdings[call]
    at = holding["slot"]
    end = holding["end"]
    start = memory.slots[slot]["start"]
    while at != NOBODY:
        if at == slot:
            return int(max(start, min(end, holding["full"])))
        end = memory.slots[at]["start"]
        if end <= start:
            break
        at = memory.slots[at]["parent"]
    return int(start)


# --- finding, taking, giving back ---


@called_kernel
def settle(memory: KvMemory, replica: int, call: int) -> None:
    """Find the slots of the call's path on the replica on which it is placed."""
    below = NOBODY
    branch = memory.holdings[call]["branch"]
    while branch != NOBODY:
        row = memory.branches[branch]
        place = replica % row["slots"]
        slot = row["first_slot"] + place
        while memory.slots[slot]["replica"] not in (NOBODY, replica):
            place = (place + 1) % row["slots"]
            slot = row["first_slot"] + place
        if below == NOBODY:
            memory.holdings[call]["slot"] = slot
        else:
            memory.slots[below]["parent"] = slot
        if memory.slots[slot]["replica"] == replica:
            break
        memory.slots[slot]["replica"] = replica
        memory.slots[slot]["start"] = row["start"]
        memory.slots[slot]["cached"] = row["start"]
        below = slot
        branch = row["parent"]


@called_kernel
def find(memory: KvMemory, replica: int, call: int, most: int) -> tuple[int, int]:
    """Return how many blocks, `most` at the most, the call would find, and how many of them are in the queue."""
    if not memory.caching:
        return 0, 0
    slot = memory.holdings[call]["slot"]
    end = min(memory.holdings[call]["end"], most)
    found = 0
    while slot != NOBODY:
        bring_up_to_date(memory, memory.pools[replica], slot)
        row = memory.slots[slot]
        found = min(row["cached"], end)
        if found > row["start"]:
            break
        found = 0
        end = min(end, row["start"])
        slot = row["parent"]
    queued = 0
    end = found
    while slot != NOBODY:
        row = memory.slots[slot]
        run = row["runs"]
        while run != NOBODY and memory.runs[run]["first"] < end:
            queued += min(memory.runs[run]["end"], end) - memory.runs[run]["first"]
            run = memory.runs[run]["deeper"]
        end = row["start"]
        slot = row["parent"]
    return int(found), int(queued)


@called_kernel
def hold(memory: KvMemory, replica: int, call: int, blocks: int) -> None:
    """Make the call the last of the running ones, with the first blocks, which it found."""
    pool = memory.pools[replica]
    holding = memory.holdings[call]
    holding["full"] = blocks
    holding["decodes"] = 0
    holding["next"] = NOBODY
    holding["previous"] = pool["running_tail"]
    if pool["running_tail"] == NOBODY:
        pool["running_head"] = call
    else:
        memory.holdings[pool["running_tail"]]["next"] = call
    pool["running_tail"] = call
    if not memory.caching:
        return
    slot = holding["slot"]
    growers = memory.slots[slot]["growers"]
    holding["next_grower"] = growers
    holding["previous_grower"] = NOBODY
    if growers != NOBODY:
        memory.holdings[growers]["previous_grower"] = call
    memory.slots[slot]["growers"] = call
    end = holding["end"]
    while slot != NOBODY:
        row = memory.slots[slot]
        row["passing"] += 1
        end = min(end, blocks)
        run = row["runs"]
        while run != NOBODY and memory.runs[run]["first"] < end:
            taken = memory.runs[run]
            rest = min(taken["end"], end)
            pool["free"] -= rest - taken["first"]
            taken["first"] = rest
            if rest < taken["end"]:
                break
            row["runs"] = taken["deeper"]
            remove_run(memory, pool, run)
            spare_run(memory, run)
            run = row["runs"]
        end = row["start"]
        slot = row["parent"]


@called_kernel
def take(memory: KvMemory, replica: int, blocks: int) -> None:
    """Take free blocks: those with nothing to remember, then those that were given back first."""
    pool = memory.pools[replica]
    pool["free"] -= blocks
    empty = min(blocks, pool["empty"])
    pool["empty"] -= empty
    blocks -= empty
    while blocks > 0 and pool["queue_head"] != NOBODY:
        run = pool["queue_head"]
        row = memory.runs[run]
        slot = row["slot"]
        bring_up_to_date(memory, pool, slot)
        evicted = min(blocks, row["end"] - row["first"])
        has_copies = memory.slots[slot]["copies"] != NOBODY
        if has_copies:
            evicted = 1
        row["end"] -= evicted
        is_used_up = row["end"] == row["first"]
        if is_used_up:
            remove_run(memory, pool, run)
            if not row["is_copy"]:
                unlink_run(memory, run)
        if has_copies:
            forget_one(memory, slot, row["end"], run)
        else:
            memory.slots[slot]["cached"] = row["end"]
        if is_used_up:
            spare_run(memory, run)
        memory.stock[0]["evicted"] += evicted
        blocks -= evicted


@in_place_kernel
def take_from_front(memory: KvMemory, pool: Record, blocks: int) -> bool:
    """Take free blocks if all of them are of one kind, as they mostly are; return whether it was so."""
    if blocks <= pool["empty"]:
        pool["empty"] -= blocks
        pool["free"] -= blocks
        return True
    if pool["empty"] > 0 or pool["queue_head"] == NOBODY:
        return False
    run = memory.runs[pool["queue_head"]]
    slot = memory.slots[run["slot"]]
    is_simple = slot["copies"] == NOBODY and slot["growers"] == NOBODY
    if not is_simple or blocks >= run["end"] - run["first"]:
        return False
    run["end"] -= blocks
    slot["cached"] = run["end"]
    pool["free"] -= blocks
    memory.stock[0]["evicted"] += blocks
    return True


@in_place_kernel
def held_by_others(memory: KvMemory, pool: Record, slot: int, enough: int) -> int:
    """Return up to where running calls hold the slot's blocks, or `enough` if it is that or more."""
    bring_up_to_date(memory, pool, slot)
    held = memory.slots[slot]["start"]
    if memory.slots[slot]["passing"] > 0:
        other = pool["running_head"]
        while other != NOBODY and held < enough:
            held = max(held, reach(memory, other, slot))
            other = memory.holdings[other]["next"]
    return int(min(held, enough))


@in_place_kernel
def is_held_by_others(memory: KvMemory, pool: Record, slot: int, index: int) -> bool:
    """Whether a running call holds the block itself, and no copy of it."""
    other = pool["running_head"]
    while other != NOBODY:
        holds = reach(memory, other, slot) > index
        if holds and copy_of(memory, slot, index, other) == NOBODY:
            return True
        other = memory.holdings[other]["next"]
    return False


@called_kernel
def free_one_by_one(memory: KvMemory, pool: Record, call: int, slot: int, end: int) -> None:
    start = memory.slots[slot]["start"]
    for index in range(end - 1, start - 1, -1):
        copy = copy_of(memory, slot, index, call)
        if copy != NOBODY:
            run = new_run(memory, slot, index, index + 1, 1)
            if run == NOBODY:
                return
            append_run(memory, pool, run)
            memory.copies[copy]["holder"] = NOBODY
            memory.copies[copy]["run"] = run
            pool["free"] += 1
        elif not is_held_by_others(memory, pool, slot, index):
            free_run(memory, pool, slot, index, index + 1)


@in_place_kernel
def leave_running(memory: KvMemory, pool: Record, holding: Record) -> None:
    if holding["previous"] == NOBODY:
        pool["running_head"] = holding["next"]
    else:
        memory.holdings[holding["previous"]]["next"] = holding["next"]
    if holding["next"] == NOBODY:
        pool["running_tail"] = holding["previous"]
    else:
        memory.holdings[holding["next"]]["previous"] = holding["previous"]


@in_place_kernel
def leave_growers(memory: KvMemory, holding: Record) -> None:
    slot = holding["slot"]
    if holding["previous_grower"] == NOBODY:
        memory.slots[slot]["growers"] = holding["next_grower"]
    else:
        memory.holdings[holding["previous_grower"]]["next_grower"] = holding["next_grower"]
    if holding["next_grower"] != NOBODY:
        memory.holdings[holding["next_grower"]]["previous_grower"] = holding["previous_grower"]


@called_kernel
def give_back(memory: KvMemory, replica: int, call: int, tokens: int) -> None:
    """Take back all blocks of a running call, of which `tokens` tokens are computed."""
    pool = memory.pools[replica]
    holding = memory.holdings[call]
    if holding["decodes"]:
        fill(memory, replica, call, tokens)
        holding["decodes"] = 0
    leave_running(memory, pool, holding)
    empty = blocks_for(memory, tokens) - holding["full"]
    pool["empty"] += empty
    pool["free"] += empty
    if not memory.caching:
        return
    slot = holding["slot"]
    leave_growers(memory, holding)
    end = holding["end"]
    while slot != NOBODY:
        row = memory.slots[slot]
        row["passing"] -= 1
        end = min(end, holding["full"])
        if end > row["start"]:
            held = held_by_others(memory, pool, slot, end)
            if row["copies"] != NOBODY:
                free_one_by_one(memory, pool, call, slot, end)
            else:
                free_run(memory, pool, slot, held, end)
        end = row["start"]
        slot = row["parent"]


# --- before the replay ---


@in_place_kernel
def lay_branches(
    parent: Ints, shared: Ints, blocks: Ints, leaf: Ints, laid: Ints, branches: Rows, pile: Ints
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


def prepare_memory(
    parent: Ints,
    shared_tokens: Ints,
    text_tokens: Ints,
    *,
    block_size: int,
    num_blocks: int,
    replicas: int,
    caching: bool,
    slack: int,
) -> KvMemory:
    """An empty memory for calls of `text_tokens` (c,) prompt and output tokens.

    `parent` (c,) is the call, or NOBODY, with whose text the prompt shares its first `shared_tokens` (c,).
    """
    calls = text_tokens.size
    holdings = np.zeros(calls, HOLDING)
    branches = np.zeros(calls if caching else 0, BRANCH)
    path_entries = slots = 0
    if caching:
        path_entries, slots = _lay(
            parent, shared_tokens, text_tokens, block_size, replicas, holdings, branches
        )
    runs = np.zeros(1 + min(replicas * num_blocks, path_entries + slack), RUN)
    copies = np.zeros(1 + min(replicas * num_blocks, slack), COPY)
    for spare in (runs, copies):
        spare["next"] = np.arange(1, spare.size + 1)
        spare["next"][-1] = NOBODY
    pools = np.zeros(replicas, POOL)
    pools["free"] = pools["empty"] = num_blocks
    for end in ("queue_head", "queue_tail", "running_head", "running_tail"):
        pools[end] = NOBODY
    slot_rows = np.zeros(slots, SLOT)
    for link in ("replica", "parent", "growers", "runs", "copies"):
        slot_rows[link] = NOBODY
    return KvMemory(
        block_size, int(caching), pools, holdings, branches, slot_rows, runs, copies, np.zeros(1, STOCK)
    )


def _lay(
    parent: Ints,
    shared_tokens: Ints,
    text_tokens: Ints,
    block_size: int,
    replicas: int,
    holdings: Rows,
    branches: Rows,
) -> tuple[int, int]:
    """Fill in paths and branches; return the length of all paths together, and how many slots there are."""
    blocks = text_tokens // block_size
    shared = np.where(parent == NOBODY, 0, shared_tokens // block_size)
    leaf = np.full(blocks.size, UNLAID, np.int64)
    scratch = np.zeros((2, blocks.size), np.int64)
    count = lay_branches(parent, shared, blocks, leaf, scratch[0], branches, scratch[1])
    if count < 0:
        raise ValueError("the prefixes of some calls have a cycle")
    used = branches[:count]
    passing = np.bincount(leaf, minlength=count).astype(np.int64)
    add_to_parents(used, passing)
    used["slots"] = np.minimum(passing, replicas)
    used["first_slot"] = np.cumsum(used["slots"]) - used["slots"]
    holdings["branch"] = leaf
    holdings["end"] = blocks
    return int(passing.sum()), int(used["slots"].sum())


@in_place_kernel
def add_to_parents(branches: Rows, passing: Ints) -> None:
    """Add every branch's calls to those of the branches above it; a parent comes before its children."""
    for branch in range(branches.size - 1, -1, -1):
        parent = branches[branch]["parent"]
        if parent != NOBODY:
            passing[parent] += passing[branch]
