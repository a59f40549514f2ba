"""Free blocks, taken for what is computed next."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_copies import forget_one
from tracekit.analyzers.kernels.kv_growth import bring_up_to_date, is_still
from tracekit.analyzers.kernels.kv_memory import KvMemory
from tracekit.analyzers.kernels.kv_runs import remove_run, spare_run, unlink_run
from tracekit.analyzers.kernels.kv_slots import drop_if_unused
from tracekit.analyzers.kernels.layout import NOBODY, Record


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
