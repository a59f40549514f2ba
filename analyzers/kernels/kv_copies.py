"""Blocks with the content of another one, which two calls filled at the same time: rare, and kept one by one."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_memory import KvMemory
from tracekit.analyzers.kernels.kv_runs import link_run
from tracekit.analyzers.kernels.layout import NOBODY


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
