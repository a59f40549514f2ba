"""Blocks in PyTorch on the processor: the sums of a transformer, points that run, and those that do not fit."""

import math

import pytest
import torch

from tracekit.analyzers.catalog import catalog
from tracekit.errors import MeasuringRefused
from tracekit.measuring.device import PointFailed
from tracekit.measuring.point import Point
from tracekit.measuring.shape import BlockKind, ModelShape
from tracekit.measuring.torch_block import EPSILON, ROPE_BASE, Block, StepState
from tracekit.measuring.torch_device import TorchDevice

FULL = BlockKind("full-dense", 0, False, 3.0)
EXPERTS = BlockKind("full-experts", 0, True, 2.0)
WINDOW = BlockKind("window-dense", 8, False, 2.0)
PLACE = {"device": torch.device("cpu"), "dtype": torch.float32}


def shape_of(*kinds, heads=4, kv_heads=2, feed_forward=48):
    return ModelShape("tiny", 32, heads, kv_heads, 8, feed_forward, 6, 2, 16, 100, "fp32", 1, kinds)


@pytest.fixture(autouse=True)
def _few_threads():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield


def rotated(vectors, positions):
    """Rotary embedding by complex numbers: halves of a vector are the parts of its pairs."""
    half = vectors.shape[-1] // 2
    frequency = ROPE_BASE ** (-torch.arange(half) / half)
    turn = torch.polar(torch.ones(len(positions), half), positions[:, None] * frequency)[:, None]
    turned = torch.complex(vectors[..., :half].contiguous(), vectors[..., half:].contiguous()) * turn
    return torch.cat([turned.real, turned.imag], -1)


def plain_attention(block, shape, hidden, keys, values, positions):
    """One token after the other, one head after the other, each over what came before it."""
    tokens = hidden.shape[0]
    mixed = (hidden @ block._qkv.t()).view(tokens, shape.heads + 2 * shape.kv_heads, shape.head_dim)
    query = rotated(mixed[:, : shape.heads], positions)
    key = rotated(mixed[:, shape.heads : shape.heads + shape.kv_heads], positions)
    value = mixed[:, shape.heads + shape.kv_heads :]
    out = torch.zeros(tokens, shape.heads, shape.head_dim)
    for token in range(tokens):
        for head in range(shape.heads):
            shared = head // (shape.heads // shape.kv_heads)
            past_keys, past_values = keys(token, shared), values(token, shared)
            own = range(token + 1) if keys.is_chunk else [token]
            all_keys = torch.stack([*past_keys, *(key[index, shared] for index in own)])
            all_values = torch.stack([*past_values, *(value[index, shared] for index in own)])
            weights = torch.softmax(all_keys @ query[token, head] / math.sqrt(shape.head_dim), 0)
            out[token, head] = weights @ all_values
    return out.view(tokens, -1) @ block._out.t()


def norm(hidden):
    return hidden / torch.sqrt(hidden.pow(2).mean(-1, keepdim=True) + EPSILON)


def feed_forward(block, hidden):
    gate, up = (hidden @ block._gate_up.t()).chunk(2, -1)
    return (gate / (1 + torch.exp(-gate)) * up) @ block._down.t()


class Past:
    """Keys or values before the step, of each sequence (or of the one whose chunk it is)."""

    def __init__(self, memory, count, is_chunk):
        self.memory, self.count, self.is_chunk = memory.clone(), count, is_chunk

    def __call__(self, token, head):
        sequence = 0 if self.is_chunk else token
        return list(self.memory[sequence, head, : self.count])


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize(
    "point",
    [
        Point("decode", "full-dense", 3, 5, 0),
        Point("decode", "full-dense", 1, 1, 0),
        Point("prefill", "full-dense", 1, 0, 4),
        Point("prefill", "full-dense", 1, 6, 4),
        Point("decode", "window-dense", 2, 20, 0),
    ],
)
def test_a_block_is_a_transformers(point, kv_heads):
    kind = WINDOW if point.kind == "window-dense" else FULL
    shape = shape_of(kind, kv_heads=kv_heads)
    block, state = (
        Block(torch, shape, kind, PLACE, lambda tensor: tensor),
        StepState(torch, shape, kind, point, PLACE),
    )
    hidden = torch.randn(point.tokens, shape.hidden)
    sequences = point.batch if point.phase == "decode" else 1
    keys, values = (torch.randn(sequences, kv_heads, state.kept_tokens, shape.head_dim) for _ in range(2))
    is_chunk = point.phase == "prefill"
    past = state.context if is_chunk else state.context - 1
    pasts = Past(keys, past, is_chunk), Past(values, past, is_chunk)
    positions = torch.arange(point.tokens) + past if is_chunk else torch.full((point.tokens,), past)
    told = hidden + plain_attention(block, shape, norm(hidden), *pasts, positions)
    told = told + feed_forward(block, norm(told))
    torch.testing.assert_close(block(hidden, keys, values, state), told, rtol=1e-4, atol=1e-4)


def test_experts_get_the_tokens_that_chance_sends_them():
    shape = shape_of(EXPERTS, feed_forward=0)
    point = Point("decode", "full-experts", 5, 4, 0)
    block, state = (
        Block(torch, shape, EXPERTS, PLACE, lambda tensor: tensor),
        StepState(torch, shape, EXPERTS, point, PLACE),
    )
    hidden = torch.randn(5, shape.hidden)
    told = torch.zeros_like(hidden)
    for token in range(5):
        scores, experts = torch.softmax(state.routing[token], -1).topk(2)
        for score, expert in zip(scores, experts, strict=True):
            gate, up = (hidden[token] @ block._expert_in[expert]).chunk(2)
            told[token] += score * ((gate / (1 + torch.exp(-gate)) * up) @ block._expert_out[expert])
    torch.testing.assert_close(block._experts(hidden, state), told, rtol=1e-4, atol=1e-5)


def test_every_phase_runs_on_the_processor():
    shape = shape_of(FULL, EXPERTS, WINDOW)
    device = TorchDevice("cpu", shape)
    points = [Point("head", "", 3, 0, 0)]
    for kind in shape.kinds:
        points += [Point("decode", kind.name, 2, 16, 0), Point("prefill", kind.name, 1, 0, 8)]
        points += [Point("prefill", kind.name, 1, 16, 8)]
    for point in points:
        prepared = device.prepare(point, "plain")
        assert prepared.run(2) > 0
        assert prepared.blocks == (
            1 if point.phase == "head" else len(range(math.ceil(shape.kind(point.kind).layers)))
        )
        prepared.close()
    assert device.launches == ("plain",)
    assert device.uuid is None
    assert device.facts()["model"] == "tiny"


def test_what_does_not_fit_says_so(monkeypatch):
    device = TorchDevice("cpu", shape_of(FULL))
    monkeypatch.setattr(device, "free_bytes", lambda: 1e6)
    with pytest.raises(PointFailed, match=r"out of memory: it takes .* GB, 0.0009 GB are free"):
        device.prepare(Point("decode", "full-dense", 64, 100_000, 0), "plain")


def test_an_allocation_that_fails_is_a_failed_point(monkeypatch):
    device = TorchDevice("cpu", shape_of(FULL))
    monkeypatch.setattr(device, "free_bytes", lambda: 1e30)
    with pytest.raises(PointFailed):
        device.prepare(Point("decode", "full-dense", 1_000_000, 10_000_000, 0), "plain")


@pytest.mark.parametrize("where", ["cuda:99", "tpu", "meta", "cpu:x"])
def test_devices_that_are_none(where):
    with pytest.raises(MeasuringRefused, match="cannot be used"):
        TorchDevice(where, shape_of(FULL))


def test_a_model_of_the_catalog():
    shape = ModelShape.of(catalog.model("SmolLM2-135M"))
    prepared = TorchDevice("cpu", shape).prepare(Point("decode", "full-dense", 1, 128, 0), "plain")
    assert prepared.run(1) > 0
