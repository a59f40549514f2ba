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
from tracekit.analyzers.kernels.jit import small_kernel
from tracekit.analyzers.kernels.layout import NOBODY, Ints, Rows, SmallInts

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
