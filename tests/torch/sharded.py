"""Blocks and a head divided among processes: `python -m tests.torch.sharded RANK RANKS FOLDER` writes a rank's results.

Each rank draws the whole weights, keeps its part of them, and runs it with the others by gloo.
"""

import sys
from pathlib import Path

import torch

from tracekit.measuring.collective import Alone, TorchCollective
from tracekit.measuring.point import Point
from tracekit.measuring.shape import BlockKind, ModelShape
from tracekit.measuring.torch_block import Block, StepState

FULL = BlockKind("full-dense", 0, False, 3.0)
EXPERTS = BlockKind("full-experts", 0, True, 2.0)
WINDOW = BlockKind("window-dense", 8, False, 2.0)
PLACE = {"device": torch.device("cpu"), "dtype": torch.float32}
WORDS = torch.tensor([0, 3, 49, 50, 51, 98, 99])
SHAPES = {
    "dense": ModelShape("dense", 32, 8, 4, 8, 48, 0, 0, 0, 100, "fp32", 1, (FULL, WINDOW)),
    "copied-kv": ModelShape("copied-kv", 32, 8, 1, 8, 48, 0, 0, 0, 100, "fp32", 1, (FULL,)),
    "experts": ModelShape("experts", 32, 4, 4, 8, 0, 7, 2, 16, 100, "fp32", 1, (EXPERTS,)),
    "shared-experts": ModelShape("shared-experts", 32, 4, 4, 8, 32, 6, 3, 16, 100, "fp32", 1, (EXPERTS,)),
}
CASES = {
    f"{name} {point.words}": (name, point)
    for name, point in [
        ("dense", Point("decode", "full-dense", 3, 5, 0)),
        ("dense", Point("decode", "window-dense", 2, 20, 0)),
        ("dense", Point("prefill", "full-dense", 1, 0, 4)),
        ("dense", Point("prefill", "full-dense", 1, 6, 4)),
        ("copied-kv", Point("decode", "full-dense", 3, 5, 0)),
        ("copied-kv", Point("prefill", "full-dense", 1, 6, 4)),
        ("experts", Point("decode", "full-experts", 1, 4, 0)),
        ("experts", Point("decode", "full-experts", 9, 4, 0)),
        ("shared-experts", Point("prefill", "full-experts", 1, 6, 12)),
    ]
}


def whole_and_inputs(name, point):
    """The whole block, its input, keys, values and where its tokens go: the same in every process."""
    shape = SHAPES[name]
    torch.manual_seed(7)
    kind = shape.kind(point.kind)
    block = Block(torch, shape, kind, PLACE, Alone().sum)
    state = StepState(torch, shape, kind, point, PLACE)
    sequences = point.batch if point.phase == "decode" else 1
    hidden = torch.randn(point.tokens, shape.hidden)
    memory = [
        torch.randn(sequences, shape.kv_heads, state.kept_tokens, shape.head_dim)
        for _keys_or_values in range(2)
    ]
    return block, hidden, memory, state


def head_weights():
    """Embedding and output matrix of 100 words."""
    torch.manual_seed(8)
    return torch.randn(100, 32), torch.randn(100, 32)


def columns(weight, rows, width):
    """A matrix's columns that belong to rows of so many columns each."""
    return weight[:, rows.start * width : rows.stop * width]


def given(whole, block, shape, part):
    """`block` with its part of the whole's weights, cut by hand."""
    width, heads, kv_heads = shape.head_dim, shape.heads, shape.kv_heads
    query, key, value = whole._qkv.split([heads * width, kv_heads * width, kv_heads * width])
    own = [
        weight[rows.start * width : rows.stop * width]
        for weight, rows in ((query, part.heads), (key, part.kv_heads), (value, part.kv_heads))
    ]
    block._qkv = torch.cat(own)
    block._out = columns(whole._out, part.heads, width)
    if whole._gate_up is not None:
        gate, up = whole._gate_up.chunk(2)
        rows = slice(part.feed_forward.start, part.feed_forward.stop)
        block._gate_up = torch.cat([gate[rows], up[rows]])
        block._down = whole._down[:, rows]
    if block._has_experts:
        experts = slice(part.experts.start, part.experts.stop)
        block._router = whole._router
        block._expert_in, block._expert_out = whole._expert_in[experts], whole._expert_out[experts]
    return block


def of_rank(case, rank, ranks, collective):
    """What the case comes to on this rank, which should be what it comes to on one GPU."""
    name, point = CASES[case]
    shape = SHAPES[name]
    whole, hidden, memory, state = whole_and_inputs(name, point)
    part = shape.part(ranks, rank)
    block = Block(torch, shape.shard(ranks, rank), shape.kind(point.kind), PLACE, collective.sum)
    own = [tensor[:, part.kv_heads.start : part.kv_heads.stop].contiguous() for tensor in memory]
    return given(whole, block, shape, part)(hidden, *own, state)


def main(rank, ranks, folder):
    torch.set_num_threads(1)
    with torch.inference_mode():
        collective = TorchCollective(torch, PLACE["device"], rank, ranks, folder / "meeting", 60.0)
        told = {case: of_rank(case, rank, ranks, collective) for case in CASES}
        shape = SHAPES["dense"].shard(ranks, rank)
        told["head"] = head_of_rank(shape, collective)
        collective.close()
    torch.save(told, folder / f"rank-{rank}.pt")


def head_of_rank(shape, collective):
    """Logits of the words, by the device's own embedding."""
    from tracekit.measuring.torch_device import TorchDevice

    device = TorchDevice("cpu", shape, lambda torch, place: collective)
    rows = slice(shape.first_word, shape.first_word + shape.vocabulary)
    table, matrix = (weight[rows] for weight in head_weights())
    return collective.gather(device._embedded(table, WORDS) @ matrix.t())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
