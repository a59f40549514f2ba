"""Free blocks that the cache knows, as runs: each in the queue of its replica and in the list of its slot."""

from tracekit.analyzers.kernels.jit import kernel, small_kernel
from tracekit.analyzers.kernels.kv_memory import KvMemory
from tracekit.analyzers.kernels.layout import NOBODY, Record


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
