"""What happens next: heaps of pending events, and the times at which the replicas' steps end.

All events of an instant are drained first, in this order: ends of engine steps, replicas that are ready, ends of
tools and gaps, KV that arrives, quiet replicas that may go off, pinned KV whose time is over, edges to steps that
start inside a tool or gap, starts of steps; then by id.
"""

import numpy as np

from tracekit.analyzers.kernels.jit import kernel
from tracekit.analyzers.kernels.layout import Floats, Ints, Rows

COMPLETION, READY, END, ARRIVED, EXPIRY, LAPSE, OPENING, START = 0, 1, 2, 3, 4, 5, 6, 7
"""Kinds of event, in the order in which one instant drains them."""
KIND_SHIFT = 48
IDENT_MASK = (1 << KIND_SHIFT) - 1

ENTRY = np.dtype([("key", np.float64), ("item", np.int64)], align=True)
"""Of a heap, by key, then item. Events: time; kind << KIND_SHIFT | id.
Decodes: step count at end; rank of admission << TICKET_BITS | ticket."""


# heaps of four children a node: half as many levels, each one line of cache


@kernel
def heap_push(heap: Rows, size: int, key: float, item: int) -> None:
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 2
        above = heap[parent]
        if above["key"] < key or (above["key"] == key and above["item"] < item):
            break
        heap[hole] = above
        hole = parent
    heap[hole]["key"] = key
    heap[hole]["item"] = item


@kernel
def heap_pop(heap: Rows, size: int) -> None:
    """Remove the least of `size` entries; the caller has read it."""
    key = heap[size - 1]["key"]
    item = heap[size - 1]["item"]
    hole = 0
    child = 1
    while child < size - 1:
        least = child
        for other in range(child + 1, min(child + 4, size - 1)):
            if heap[other]["key"] < heap[least]["key"] or (
                heap[other]["key"] == heap[least]["key"] and heap[other]["item"] < heap[least]["item"]
            ):
                least = other
        below = heap[least]
        if key < below["key"] or (key == below["key"] and item < below["item"]):
            break
        heap[hole] = below
        hole = least
        child = 4 * hole + 1
    heap[hole]["key"] = key
    heap[hole]["item"] = item


@kernel
def heap_remove(heap: Rows, size: int, item: int) -> None:
    """Remove the entry of this item; O(size)."""
    hole = 0
    while heap[hole]["item"] != item:
        hole += 1
    # up to the top, as if it were less than all others
    while hole > 0:
        parent = (hole - 1) >> 2
        heap[hole] = heap[parent]
        hole = parent
    heap_pop(heap, size)


def first_ends(replicas: int) -> tuple[Floats, Ints]:
    """Return `ends` (w,), never for every replica, and `winners` (2 w,), a tournament among them; w >= replicas."""
    width = 1
    while width < replicas:
        width *= 2
    winners = np.zeros(2 * width, np.int64)
    winners[width:] = np.arange(width)
    for place in range(width - 1, 0, -1):
        winners[place] = winners[2 * place]
    return np.full(width, np.inf), winners


@kernel
def set_end(ends: Floats, winners: Ints, replica: int, time: float) -> None:
    """Let the replica's step end at this time; `winners[1]` is the replica whose step ends first, ties by id."""
    ends[replica] = time
    place = (ends.size + replica) >> 1
    while place > 0:
        left = winners[2 * place]
        right = winners[2 * place + 1]
        if ends[right] < ends[left]:
            left = right
        winners[place] = left
        place >>= 1
