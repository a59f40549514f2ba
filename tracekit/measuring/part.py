"""What one GPU of a tensor-parallel group holds of a layer, as Megatron and vLLM divide it.

Query heads, KV heads and feed-forward columns are cut (QKV, gate and up by their outputs, output and down by their
inputs), so that one sum over the group ends each half of a layer. KV heads that are fewer than the GPUs are copied. The
router is whole everywhere, and experts are whole, each on one GPU, as the hardware model spreads them.
"""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """Of the whole model's rows, those of GPU `rank` of `tp`; columns and words past the model's last are padding."""

    heads: range
    kv_heads: range
    feed_forward: range
    experts: range
    vocabulary: range


def cut(total: int, tp: int, rank: int, multiple: int = 1) -> range:
    """Equal widths, each a multiple of so many; they cover `total` and may pass it."""
    width = -(-total // (tp * multiple)) * multiple
    return range(rank * width, (rank + 1) * width)


def kv_heads_of(kv_heads: int, tp: int, rank: int) -> range:
    """An equal part, or the one head that this GPU's queries ask where there are fewer than GPUs."""
    if kv_heads >= tp:
        return cut(kv_heads, tp, rank)
    head = rank * kv_heads // tp
    return range(head, head + 1)


def experts_of(experts: int, tp: int, rank: int) -> range:
    """Whole experts; the first GPUs have one more where they do not divide."""
    each, more = divmod(experts, tp)
    first = rank * each + min(rank, more)
    return range(first, first + each + (rank < more))
