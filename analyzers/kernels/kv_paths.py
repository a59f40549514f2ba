"""Where a call's text lies on a replica, and how much of it the cache knows there."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_growth import bring_up_to_date
from tracekit.analyzers.kernels.kv_memory import KvMemory
from tracekit.analyzers.kernels.kv_slots import drop_if_unused, new_slot
from tracekit.analyzers.kernels.layout import NOBODY, Ints


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
