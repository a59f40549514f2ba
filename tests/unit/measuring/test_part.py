"""Parts of a group: together the whole model, each with the KV heads that its queries ask."""

from dataclasses import replace

import numpy as np
import pytest

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.load import Steps, load_of
from tracekit.analyzers.hardware.replica import Replica
from tracekit.errors import MeasuringRefused
from tracekit.measuring.point import Point, work_of
from tracekit.measuring.shape import ModelShape

LLAMA = ModelShape.of(catalog.model("Llama-3.1-8B"))
MOE = ModelShape.of(catalog.model("Qwen3-30B-A3B"))


def covered(ranges):
    return sorted(row for rows in ranges for row in rows)


@pytest.mark.parametrize("tp", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("whole", [LLAMA, MOE], ids=["dense", "experts"])
def test_every_row_is_on_one_gpu(whole, tp):
    parts = [whole.part(tp, rank) for rank in range(tp)]
    assert covered(part.heads for part in parts) == list(range(whole.heads))
    assert covered(part.experts for part in parts) == list(range(whole.experts))
    for name in ("feed_forward", "vocabulary"):
        total = getattr(whole, name)
        rows = covered(getattr(part, name) for part in parts)
        assert rows[:total] == list(range(total))
        assert len({len(getattr(part, name)) for part in parts}) == 1
        assert len(rows) < total + 16 * tp


@pytest.mark.parametrize("tp", [1, 2, 4, 8, 16, 32])
def test_queries_find_their_keys_on_their_gpu(tp):
    asked = LLAMA.heads // LLAMA.kv_heads
    for rank in range(tp):
        part = LLAMA.part(tp, rank)
        assert {head // asked for head in part.heads} == set(part.kv_heads)
    everywhere = covered(LLAMA.part(tp, rank).kv_heads for rank in range(tp))
    copies = max(1, tp // LLAMA.kv_heads)
    assert everywhere == [head for head in range(LLAMA.kv_heads) for _copy in range(copies)]


def test_widths_that_do_not_divide_are_padded_alike_to_whole_rows():
    odd = replace(LLAMA, feed_forward=1000, vocabulary=101)
    assert [odd.part(3, rank).feed_forward for rank in range(3)] == [
        range(0, 336), range(336, 672), range(672, 1008)
    ]  # fmt: skip
    assert [len(odd.part(2, rank).vocabulary) for rank in range(2)] == [51, 51]
    assert odd.shard(2, 1).first_word == 51
    none = replace(LLAMA, feed_forward=0)
    assert none.shard(4, 3).feed_forward == 0


def test_experts_that_do_not_divide_are_one_more_on_the_first_gpus():
    odd = replace(MOE, experts=10)
    shards = [odd.shard(4, rank) for rank in range(4)]
    assert [list(shard.own_experts) for shard in shards] == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
    assert {shard.experts for shard in shards} == {10}
    assert {shard.expert_width for shard in shards} == {MOE.expert_width}


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_a_shard_has_its_part_of_the_bytes(tp):
    [kind] = LLAMA.kinds
    shard = LLAMA.shard(tp)
    assert shard.block_bytes(kind) == LLAMA.block_bytes(kind) / tp
    assert shard.head_bytes == LLAMA.head_bytes / tp
    assert shard.kv_token_bytes == LLAMA.kv_token_bytes / tp
    assert LLAMA.shard(16).kv_token_bytes == LLAMA.kv_token_bytes / 8
    [kind] = MOE.kinds
    router = MOE.value_bytes * MOE.experts * MOE.hidden
    attention = MOE.value_bytes * MOE.hidden * MOE.head_dim * 2
    copied = attention * (max(1, MOE.kv_heads // tp) - MOE.kv_heads / tp)
    wanted = (MOE.block_bytes(kind) - router) / tp + router + copied
    assert MOE.shard(tp).block_bytes(kind) == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["Llama-3.1-8B", "Qwen3-30B-A3B"])
def test_a_shard_reads_what_the_hardware_model_says_of_one_gpu(name):
    """Weights without experts, KV of a token, and experts, as `load.py` divides them."""
    model = catalog.model(name)
    shape, tp = ModelShape.of(model, 4), 4
    nothing = Steps(*(np.zeros(1) for _ in Steps._fields))
    load = load_of([Replica(catalog.gpu("H100"), model, catalog.engine(), tp)], nothing)
    assert shape.kv_token_bytes == pytest.approx(load.kv_layer_bytes[0] / load.kv_shards[0])
    assert len(shape.own_experts) == model.experts / tp
    assert shape.value_bytes * shape.expert_parameters == pytest.approx(load.expert_bytes[0], rel=0.001)
    routers = (
        model.moe_layers * model.experts * model.hidden_size / tp
    )  # a GPU has them whole, but they are small
    dense = shape.value_bytes * (model.layers * shape.token_parameters + routers)
    assert dense + shape.head_bytes / 2 == pytest.approx(load.always_bytes[0] / tp, rel=0.001)


def test_work_of_a_part():
    point = Point("decode", "full-dense", 8, 1024, 0)
    whole, half = work_of(point, LLAMA), work_of(point, LLAMA.shard(2))
    assert half.flops == pytest.approx(whole.flops / 2)
    assert half.moved_bytes == pytest.approx(whole.moved_bytes / 2)
    point = Point("decode", "full-experts", 8, 1024, 0)
    whole, half = work_of(point, MOE), work_of(point, MOE.shard(2))
    assert half.flops == pytest.approx(whole.flops / 2)
    assert half.moved_bytes == pytest.approx(whole.moved_bytes / 2, rel=0.01)


def test_a_part_goes_to_another_process_and_back():
    shard = MOE.shard(4, 2)
    assert ModelShape.from_json(shard.to_json()) == shard


@pytest.mark.parametrize(
    ("name", "tp", "says"),
    [
        ("Llama-3.1-8B", 3, "32 heads on 8 KV heads and 3 GPUs"),
        ("SmolLM2-135M", 2, "9 heads on 3 KV heads and 2 GPUs"),
        ("Mixtral-8x7B", 16, "8 experts on 16 GPUs"),
    ],
)
def test_groups_that_a_model_does_not_divide_among(name, tp, says):
    with pytest.raises(MeasuringRefused, match=says):
        ModelShape.of(catalog.model(name), tp)
