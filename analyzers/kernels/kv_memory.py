"""The KV memory of the replicas: paged, with a prefix cache, by runs of blocks instead of block by block.

docs/background-scheduler.md says why this is vLLM's memory, block for block; tests/oracle/vllm_v1_runs.py is
the same in plain Python. Nothing here costs more because a run is long, but for copies (two blocks with one
content), which are rare and kept one by one.

A call's path is the branches of its text (`branches`). On a replica a branch is a slot. `running` calls hold
blocks; those of a decoding call are worked out from the replica's clock of decode steps only when another call
looks at its branch, so that a decode step costs O(1).

Pools that turn out too small set `overflow`; the replay is then begun again with larger ones.
"""

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.branches import Prefixes
from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.layout import NOBODY, Ints, Record, Rows, SmallInts

POOL = np.dtype(
    [
        ("free", np.int64),  # blocks that nobody holds
        ("empty", np.int64),  # of them, those with nothing to remember: all of these are used first
        ("queue_head", np.int64),  # the other free blocks, as runs in the order in which they are used
        ("queue_tail", np.int64),
        ("running_head", np.int64),  # calls that hold blocks, in order of admission
        ("running_tail", np.int64),
        (
            "last_pinned",
            np.int64,
        ),  # calls that are over and keep their blocks come first among the running ones
        ("clock", np.int64),  # decode steps scheduled since the last rebase
        ("caching", np.int64),  # 0 or 1
    ],
    align=True,
)

HOLDING = np.dtype(
    [
        ("slot", np.int64),  # of the deepest branch of its path, on its replica
        ("end", np.int64),  # full blocks of its whole text
        ("full", np.int64),  # blocks of its path that it holds and the cache knows; a decode's may lag behind
        ("decodes", np.int64),
        ("anchor", np.int64),  # of a decode: tokens computed, less the clock, and 1
        ("next", np.int64),  # running, in order of admission
        ("previous", np.int64),
        (
            "grows_in",
            np.int64,
        ),  # while it runs, the slot of the first block of its path that it has not filled
        ("next_grower", np.int64),  # that grow in the same slot
        ("previous_grower", np.int64),
    ],
    align=True,
)
"""Of a call that is placed and not ended, by its ticket."""

SLOT = np.dtype(
    [
        ("branch", np.int32),  # NOBODY: of one call only, which shares nothing
        ("replica", np.int32),
        ("parent", np.int32),
        ("start", np.int32),
        ("cached", np.int32),  # the cache knows its blocks from start to here
        ("uses", np.int32),  # placed calls whose path ends here, and slots whose parent it is
        ("passing", np.int32),  # running calls whose path it is on
        ("growers", np.int32),  # running calls that grow in it
        ("passers", np.int32),  # of them, those that may grow beyond it: their path does not end here
        ("runs", np.int32),  # its free blocks, shallowest first
        ("copies", np.int32),  # oldest first
        ("next", np.int32),  # of the same branch on another replica; in the list of spare ones
    ],
    align=True,
)
"""A branch on a replica, from the placement of the first call whose path it is on until nothing is left of it."""

RUN = np.dtype(
    [
        ("slot", np.int32),
        ("first", np.int32),
        ("end", np.int32),
        ("is_copy", np.int32),
        ("next", np.int32),  # in the queue; in the list of spare ones
        ("previous", np.int32),
        ("deeper", np.int32),  # in the slot
    ],
    align=True,
)

COPY = np.dtype(
    [
        ("index", np.int32),
        ("holder", np.int32),
        ("run", np.int32),
        ("next", np.int32),
    ],
    align=True,
)

STOCK = np.dtype(
    [
        ("run", np.int64),  # heads of the lists of spare records, and how many were ever used
        ("used_runs", np.int64),
        ("copy", np.int64),
        ("used_copies", np.int64),
        ("slot", np.int64),
        ("used_slots", np.int64),
        ("overflow", np.int64),
        ("evicted", np.int64),  # blocks so far
    ],
    align=True,
)


class KvMemory(NamedTuple):
    """For r replicas and c calls. Records beyond those ever used at once are never touched."""

    block_size: int
    pools: Rows  # (r,) POOL
    holdings: Rows  # (c,) HOLDING
    leaves: SmallInts  # (c,) each call's deepest branch; empty if no call shares anything
    branches: Rows  # BRANCH
    slots: Rows  # SLOT
    runs: Rows  # RUN
    copies: Rows  # COPY
    stock: Rows  # (1,) STOCK


@small_kernel
def blocks_for(memory: KvMemory, tokens: int) -> int:
    return int((tokens + memory.block_size - 1) // memory.block_size)


# --- spare records ---


@kernel
def new_run(memory: KvMemory, slot: int, first: int, end: int, is_copy: int) -> int:
    """Return a run that is in no list yet; NOBODY if there is none left."""
    stock = memory.stock[0]
    run = stock["run"]
    if run != NOBODY:
        stock["run"] = memory.runs[run]["next"]
    elif stock["used_runs"] < memory.runs.size:
        run = stock["used_runs"]
        stock["used_runs"] += 1
    else:
        stock["overflow"] = 1
        return NOBODY
    row = memory.runs[run]
    row["slot"] = slot
    row["first"] = first
    row["end"] = end
    row["is_copy"] = is_copy
    row["deeper"] = NOBODY
    return int(run)


@small_kernel
def spare_run(memory: KvMemory, run: int) -> None:
    memory.runs[run]["next"] = memory.stock[0]["run"]
    memory.stock[0]["run"] = run


@kernel
def new_slot(memory: KvMemory, replica: int, branch: int, start: int) -> int:
    """Return a slot that nothing uses yet; there are enough."""
    stock = memory.stock[0]
    slot = stock["slot"]
    if slot != NOBODY:
        stock["slot"] = memory.slots[slot]["next"]
    else:
        slot = stock["used_slots"]
        stock["used_slots"] += 1
    row = memory.slots[slot]
    row["branch"] = branch
    row["replica"] = replica
    row["parent"] = NOBODY
    row["start"] = start
    row["cached"] = start
    row["uses"] = 0
    row["passing"] = 0
    row["growers"] = NOBODY
    row["passers"] = 0
    row["runs"] = NOBODY
    row["copies"] = NOBODY
    if branch != NOBODY:
        row["next"] = memory.branches[branch]["slots"]
        memory.branches[branch]["slots"] = slot
    return int(slot)


@kernel
def unlink_slot(memory: KvMemory, slot: int) -> None:
    branch = memory.slots[slot]["branch"]
    at = memory.branches[branch]["slots"]
    if at == slot:
        memory.branches[branch]["slots"] = memory.slots[slot]["next"]
        return
    while memory.slots[at]["next"] != slot:
        at = memory.slots[at]["next"]
    memory.slots[at]["next"] = memory.slots[slot]["next"]


@kernel
def drop_if_unused(memory: KvMemory, slot: int) -> None:
    """Spare the slot if no placed call and no other slot needs it and the cache knows nothing of it."""
    while slot != NOBODY:
        row = memory.slots[slot]
        if row["uses"] > 0 or row["cached"] > row["start"]:
            return
        parent = row["parent"]
        if row["branch"] != NOBODY:
            unlink_slot(memory, slot)
        row["next"] = memory.stock[0]["slot"]
        memory.stock[0]["slot"] = slot
        if parent != NOBODY:
            memory.slots[parent]["uses"] -= 1
        slot = parent


# --- the queue of free blocks that the cache knows ---


@kernel
def append_run(memory: KvMemory, pool: Record, run: int) -> None:
    row = memory.runs[run]
    row["next"] = NOBODY
    row["previous"] = pool["queue_tail"]
    if pool["queue_tail"] == NOBODY:
        pool["queue_head"] = run
    else:
        memory.runs[pool["queue_tail"]]["next"] = run
    pool["queue_tail"] = run


@kernel
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


@kernel
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


@kernel
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


@kernel
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


@kernel
def add_copy(memory: KvMemory, slot: int, index: int, holder: int) -> None:
    stock = memory.stock[0]
    copy = stock["copy"]
    if copy != NOBODY:
        stock["copy"] = memory.copies[copy]["next"]
    elif stock["used_copies"] < memory.copies.size:
        copy = stock["used_copies"]
        stock["used_copies"] += 1
    else:
        stock["overflow"] = 1
        return
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


@kernel
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


@kernel
def copy_of(memory: KvMemory, slot: int, index: int, holder: int) -> int:
    """Return the copy of this block that the call holds; NOBODY if it holds none."""
    copy = memory.slots[slot]["copies"]
    while copy != NOBODY:
        row = memory.copies[copy]
        if row["index"] == index and row["holder"] == holder:
            break
        copy = row["next"]
    return int(copy)


@kernel
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


@kernel
def join_growers(memory: KvMemory, call: int, slot: int) -> None:
    holding = memory.holdings[call]
    row = memory.slots[slot]
    row["passers"] += slot != holding["slot"]
    holding["grows_in"] = slot
    holding["next_grower"] = row["growers"]
    holding["previous_grower"] = NOBODY
    if row["growers"] != NOBODY:
        memory.holdings[row["growers"]]["previous_grower"] = call
    row["growers"] = call


@kernel
def leave_growers(memory: KvMemory, call: int) -> None:
    holding = memory.holdings[call]
    row = memory.slots[holding["grows_in"]]
    row["passers"] -= holding["grows_in"] != holding["slot"]
    if holding["previous_grower"] == NOBODY:
        row["growers"] = holding["next_grower"]
    else:
        memory.holdings[holding["previous_grower"]]["next_grower"] = holding["next_grower"]
    if holding["next_grower"] != NOBODY:
        memory.holdings[holding["next_grower"]]["previous_grower"] = holding["previous_grower"]


@kernel
def remember(memory: KvMemory, call: int, full: int) -> None:
    """Let the cache know the call's first blocks, which are full; `growers` of its slots are up to date."""
    holding = memory.holdings[call]
    known = holding["full"]
    if full <= known:
        return
    slot = holding["slot"]
    end = holding["end"]
    grows_in = slot
    while slot != NOBODY and end > known:
        if end > full:
            grows_in = slot
        row = memory.slots[slot]
        last = min(full, end)
        for index in range(max(known, row["start"]), min(last, row["cached"])):
            add_copy(memory, slot, index, call)
        row["cached"] = max(row["cached"], last)
        end = row["start"]
        slot = row["parent"]
    holding["full"] = full
    if grows_in != holding["grows_in"]:
        leave_growers(memory, call)
        join_growers(memory, call, grows_in)


@kernel
def bring_growers_up_to_date(memory: KvMemory, pool: Record, slot: int) -> None:
    call = memory.slots[slot]["growers"]
    while call != NOBODY:
        holding = memory.holdings[call]
        following = holding["next_grower"]
        if holding["decodes"]:
            remember(memory, call, (holding["anchor"] + pool["clock"] - 1) // memory.block_size)
        call = following


@kernel
def bring_up_to_date(memory: KvMemory, pool: Record, slot: int) -> None:
    """Let the cache know what decoding calls have filled of the slot since; some may have come from above it."""
    bring_growers_up_to_date(memory, pool, slot)
    above = memory.slots[slot]["parent"]
    while above != NOBODY:
        if memory.slots[above]["passers"] > 0:
            bring_growers_up_to_date(memory, pool, above)
        above = memory.slots[above]["parent"]


@kernel
def is_still(memory: KvMemory, slot: int) -> bool:
    """Whether no decode step fills or copies a block of the slot."""
    row = memory.slots[slot]
    if row["copies"] != NOBODY or row["growers"] != NOBODY:
        return False
    above = row["parent"]
    while above != NOBODY:
        if memory.slots[above]["passers"] > 0:
            return False
        above = memory.slots[above]["parent"]
    return True


@kernel
def fill(memory: KvMemory, replica: int, call: int, tokens: int) -> None:
    """The call's first `tokens` tokens are computed: let the cache know the full blocks."""
    full = tokens // memory.block_size
    if not memory.pools[replica]["caching"] or full <= memory.holdings[call]["full"]:
        return
    slot = memory.holdings[call]["slot"]
    while slot != NOBODY:
        bring_up_to_date(memory, memory.pools[replica], slot)
        slot = memory.slots[slot]["parent"]
    remember(memory, call, full)


@kernel
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


@kernel
def slot_of(memory: KvMemory, replica: int, branch: int) -> int:
    """Return the branch's slot on the replica; NOBODY if there is none."""
    slot = int(memory.branches[branch]["slots"])
    while slot != NOBODY and memory.slots[slot]["replica"] != replica:
        slot = memory.slots[slot]["next"]
    return slot


@kernel
def lay_path(memory: KvMemory, replica: int, branch: int) -> int:
    """Return the branch's slot on the replica, and make it and those above it if there is none."""
    deepest = NOBODY
    below = NOBODY
    while branch != NOBODY:
        slot = slot_of(memory, replica, branch)
        found = slot != NOBODY
        if not found:
            slot = new_slot(memory, replica, branch, memory.branches[branch]["start"])
        if below == NOBODY:
            deepest = slot
        else:
            memory.slots[below]["parent"] = slot
            memory.slots[slot]["uses"] += 1
        if found:
            break
        below = slot
        branch = memory.branches[branch]["parent"]
    return int(deepest)


@kernel
def settle(memory: KvMemory, replica: int, holder: int, call: int, text_tokens: int) -> None:
    """Find the slots of the call's path on the replica on which it is placed."""
    holding = memory.holdings[holder]
    holding["full"] = 0
    holding["decodes"] = 0
    if not memory.pools[replica]["caching"]:
        return
    holding["end"] = text_tokens // memory.block_size
    if memory.leaves.size > 0:
        slot = lay_path(memory, replica, memory.leaves[call])
    else:
        slot = new_slot(memory, replica, NOBODY, 0)
    memory.slots[slot]["uses"] += 1
    holding["slot"] = slot


@kernel
def leave(memory: KvMemory, replica: int, holder: int) -> None:
    """Let go of the path: the call has ended, or goes to another replica."""
    if memory.pools[replica]["caching"]:
        slot = memory.holdings[holder]["slot"]
        memory.slots[slot]["uses"] -= 1
        drop_if_unused(memory, slot)


@kernel
def foresee(memory: KvMemory, found: Ints, call: int, blocks: int) -> None:
    """Write how many of its first `blocks` blocks a call that is not placed would find on each replica: (r,).

    One walk up its path and over the slots of each branch, however many replicas there are.
    """
    found[:] = 0
    if memory.leaves.size == 0:
        return
    branch = int(memory.leaves[call])
    end = blocks
    while branch != NOBODY:
        start = memory.branches[branch]["start"]
        slot = int(memory.branches[branch]["slots"])
        while slot != NOBODY:
            row = memory.slots[slot]
            replica = row["replica"]
            if found[replica] == 0:
                bring_up_to_date(memory, memory.pools[replica], slot)
                if min(row["cached"], end) > start:
                    found[replica] = min(row["cached"], end)
            slot = int(row["next"])
        end = min(end, start)
        branch = int(memory.branches[branch]["parent"])


@kernel
def find(memory: KvMemory, replica: int, call: int, most: int) -> tuple[int, int]:
    """Return how many blocks, `most` at the most, the call would find, and how many of them are in the queue."""
    if not memory.pools[replica]["caching"]:
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


@kernel
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
    if not pool["caching"]:
        return
    slot = holding["slot"]
    end = holding["end"]
    grows_in = slot
    while slot != NOBODY:
        if end > blocks:
            grows_in = slot
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
    join_growers(memory, call, grows_in)


@kernel
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
            drop_if_unused(memory, slot)
        memory.stock[0]["evicted"] += evicted
        blocks -= evicted


@kernel
def take_from_front(memory: KvMemory, pool: Record, blocks: int) -> bool:
    """Take free blocks if all of them are of one kind, as they mostly are; return whether it was so."""
    if blocks <= pool["empty"]:
        pool["empty"] -= blocks
        pool["free"] -= blocks
        return True
    if pool["empty"] > 0 or pool["queue_head"] == NOBODY:
        return False
    run = memory.runs[pool["queue_head"]]
    if blocks >= run["end"] - run["first"] or not is_still(memory, run["slot"]):
        return False
    run["end"] -= blocks
    memory.slots[run["slot"]]["cached"] = run["end"]
    pool["free"] -= blocks
    memory.stock[0]["evicted"] += blocks
    return True


@kernel
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


@kernel
def is_held_by_others(memory: KvMemory, pool: Record, slot: int, index: int) -> bool:
    """Whether a running call holds the block itself, and no copy of it."""
    other = pool["running_head"]
    while other != NOBODY:
        holds = reach(memory, other, slot) > index
        if holds and copy_of(memory, slot, index, other) == NOBODY:
            return True
        other = memory.holdings[other]["next"]
    return False


@kernel
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


@kernel
def leave_running(memory: KvMemory, pool: Record, holding: Record) -> None:
    if holding["previous"] == NOBODY:
        pool["running_head"] = holding["next"]
    else:
        memory.holdings[holding["previous"]]["next"] = holding["next"]
    if holding["next"] == NOBODY:
        pool["running_tail"] = holding["previous"]
    else:
        memory.holdings[holding["next"]]["previous"] = holding["previous"]


@kernel
def stop(memory: KvMemory, replica: int, call: int, tokens: int) -> None:
    """Let a running call, of which `tokens` tokens are computed, hold no more than the blocks that the cache knows."""
    pool = memory.pools[replica]
    holding = memory.holdings[call]
    if holding["decodes"]:
        fill(memory, replica, call, tokens)
        holding["decodes"] = 0
    empty = blocks_for(memory, tokens) - holding["full"]
    pool["empty"] += empty
    pool["free"] += empty
    if pool["caching"]:
        leave_growers(memory, call)


@kernel
def release(memory: KvMemory, replica: int, call: int) -> None:
    """Take back all blocks of a call that has stopped."""
    pool = memory.pools[replica]
    holding = memory.holdings[call]
    leave_running(memory, pool, holding)
    if not pool["caching"]:
        return
    slot = holding["slot"]
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


@kernel
def give_back(memory: KvMemory, replica: int, call: int, tokens: int) -> None:
    """Take back all blocks of a running call, of which `tokens` tokens are computed."""
    stop(memory, replica, call, tokens)
    release(memory, replica, call)


@kernel
def pin(memory: KvMemory, replica: int, call: int) -> None:
    """Let a call that has stopped keep its blocks: it comes after those pinned before, and before all that run."""
    pool = memory.pools[replica]
    holding = memory.holdings[call]
    leave_running(memory, pool, holding)
    before = pool["last_pinned"]
    after = pool["running_head"]
    if before != NOBODY:
        after = memory.holdings[before]["next"]
        memory.holdings[before]["next"] = call
    else:
        pool["running_head"] = call
    if after != NOBODY:
        memory.holdings[after]["previous"] = call
    else:
        pool["running_tail"] = call
    holding["previous"] = before
    holding["next"] = after
    pool["last_pinned"] = call


@kernel
def unpin(memory: KvMemory, replica: int, call: int) -> None:
    """Take back the blocks of a pinned call."""
    pool = memory.pools[replica]
    if pool["last_pinned"] == call:
        pool["last_pinned"] = memory.holdings[call]["previous"]
    release(memory, replica, call)


# --- looking ahead ---


@kernel
def is_growing(memory: KvMemory, replica: int, holder: int) -> bool:
    """Whether a running call may yet fill blocks of the path of this waiting one."""
    if not memory.pools[replica]["caching"]:
        return False
    slot = memory.holdings[holder]["slot"]
    while slot != NOBODY:
        if memory.slots[slot]["growers"] != NOBODY:
            return True
        slot = memory.slots[slot]["parent"]
    return False


@kernel
def simple_stock(memory: KvMemory, replica: int) -> int:
    """Return a number of free blocks of which any part may be taken at once as if one by one."""
    pool = memory.pools[replica]
    blocks = pool["empty"]
    run = pool["queue_head"]
    for _ in range(4):
        if run == NOBODY:
            break
        row = memory.runs[run]
        if not is_still(memory, row["slot"]):
            break
        blocks += row["end"] - row["first"]
        run = row["next"]
    return int(blocks)


@kernel
def forget_free(memory: KvMemory, replica: int) -> None:
    """Let the cache forget every block that nobody holds."""
    pool = memory.pools[replica]
    empty = pool["empty"]
    queued = pool["free"] - empty
    evicted = memory.stock[0]["evicted"]
    pool["empty"] = 0
    take(memory, replica, queued)
    memory.stock[0]["evicted"] = evicted
    pool["empty"] = empty + queued
    pool["free"] = empty + queued


# --- before the replay ---


def prepare_memory(
    known: Prefixes, *, block_size: int, num_blocks: Ints, caching: Ints, slack: int
) -> KvMemory:
    """An empty memory for replicas of `num_blocks` (r,), with a prefix cache where `caching` (r,) is 1."""
    most_slots = known.most_slots if caching.any() else 0
    whole = int(min(num_blocks.astype(np.float64).sum(), 2.0**62))
    pools = np.zeros(num_blocks.size, POOL)
    pools["free"] = pools["empty"] = num_blocks
    pools["caching"] = caching
    for end in ("queue_head", "queue_tail", "running_head", "running_tail", "last_pinned"):
        pools[end] = NOBODY
    stock = np.zeros(1, STOCK)
    for head in ("run", "copy", "slot"):
        stock[head] = NOBODY
    return KvMemory(
        block_size=block_size,
        pools=pools,
        holdings=np.zeros(known.calls, HOLDING),
        leaves=known.leaves,
        branches=known.branches,
        slots=np.zeros(most_slots, SLOT),
        runs=np.zeros(min(whole, most_slots + slack), RUN),
        copies=np.zeros(min(whole, slack), COPY),
        stock=stock,
    )
