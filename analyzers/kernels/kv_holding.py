"""Blocks that a call holds, from its admission until they are given back or no longer kept for its session."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_copies import copy_of
from tracekit.analyzers.kernels.kv_growth import bring_up_to_date, fill, join_growers, leave_growers, reach
from tracekit.analyzers.kernels.kv_memory import KvMemory, blocks_for
from tracekit.analyzers.kernels.kv_runs import append_run, free_run, new_run, remove_run, spare_run
from tracekit.analyzers.kernels.layout import NOBODY, Record


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
