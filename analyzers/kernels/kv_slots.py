"""Branches on replicas: slots that appear with the first call on their path and go with the last block."""

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.kv_memory import KvMemory
from tracekit.analyzers.kernels.layout import NOBODY


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
