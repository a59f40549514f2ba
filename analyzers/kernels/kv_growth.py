"""What running calls have filled of their path's slots since anybody looked."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_copies import add_copy
from tracekit.analyzers.kernels.kv_memory import KvMemory
from tracekit.analyzers.kernels.layout import NOBODY, Record


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
