"""Prefix identity without the hashes: which earlier call's prompt a prompt shares the most leading blocks with.

A radix tree over block ids: an edge is a run of blocks that one call brought first. A prompt walks down the runs
it shares and leaves its rest as a new run, so each block is compared once and stored once.
"""

from __future__ import annotations

from array import array
from typing import Any, NamedTuple

from tracekit.interchange.bad_rows import BadRow


class Shared(NamedTuple):
    """The longest prefix that an earlier call brought: that call (None: none) and its length in blocks."""

    call: int | None
    blocks: int


class _Run:
    """Blocks that follow one another, the call that brought them first, and what follows."""

    __slots__ = ("blocks", "call", "next")

    def __init__(self, blocks: array[int], call: int) -> None:
        self.blocks = blocks
        self.call = call
        self.next: dict[int, _Run] = {}


class PrefixTree:
    """All prompts of one scope of hash ids."""

    def __init__(self) -> None:
        self._first: dict[int, _Run] = {}

    def add(self, blocks: array[int], call: int) -> Shared:
        """What `blocks` shares with the prompts before it; `call` owns the blocks that are new."""
        runs, owner, at = self._first, None, 0
        while at < len(blocks) and (run := runs.get(blocks[at])) is not None:
            owner = run.call
            common = _common(run.blocks, blocks[at : at + len(run.blocks)])
            at += common
            if common < len(run.blocks):
                _split(run, common)
                runs = run.next
                break
            runs = run.next
        if at < len(blocks):
            runs[blocks[at]] = _Run(blocks[at:], call)
        return Shared(owner, at)


def block_ids(value: Any) -> array[int]:
    """A row's hash ids.

    Raises
    ------
    BadRow : they are no list of whole numbers from 0 below 2^64.
    """
    fault = BadRow("hash_ids is no list of whole numbers from 0 below 2^64", value)
    if not isinstance(value, list):
        raise fault
    try:
        return array("Q", value)
    except (TypeError, OverflowError):
        raise fault from None


def _common(left: array[int], right: array[int]) -> int:
    """Leading elements that agree, by halving: whole slices are compared in C."""
    length = min(len(left), len(right))
    if left[:length] == right[:length]:
        return length
    low, high = 0, length
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _split(run: _Run, at: int) -> None:
    rest = _Run(run.blocks[at:], run.call)
    rest.next = run.next
    run.blocks = run.blocks[:at]
    run.next = {rest.blocks[0]: rest}
