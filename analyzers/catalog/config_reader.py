"""The decoder that a config.json describes."""

from __future__ import annotations

from typing import Any

from tracekit.analyzers.catalog.architecture import Architecture, Experts, FeedForward
from tracekit.analyzers.catalog.config_attention import read_attention
from tracekit.analyzers.catalog.config_values import Config
from tracekit.analyzers.catalog.families import Family
from tracekit.analyzers.catalog.recurrence import delta_net, mamba2
from tracekit.errors import ModelConfigInvalid


def read_architecture(config: Config) -> Architecture:
    """The decoder. Raises ModelConfigInvalid."""
    family = config.family
    layers = _layers(config)
    hidden = config.whole("hidden_size", "n_embd", "d_model")
    attention = read_attention(config, family, layers, hidden)
    experts = _experts(config, family, layers)
    recurrence = mamba2(config) or delta_net(config)
    tied = config.get("tie_word_embeddings")
    dense = _dense(config, family, layers, experts, hidden)
    longest = config.whole(
        "max_position_embeddings", "n_positions", "seq_length", "max_sequence_length", "n_ctx"
    )
    return Architecture(
        layers=layers,
        hidden_size=hidden,
        vocabulary=config.whole("vocab_size"),
        tied_embeddings=family.tied if tied is None else bool(tied),
        max_model_len=longest,
        attention=attention,
        feed_forward=dense,
        experts=experts,
        recurrence=recurrence,
        norms=(layers if config.pattern else family.norms * layers) + 1,
        positions=longest + family.positions if family.positions else 0,
    )


def _layers(config: Config) -> int:
    if config.get("model_type") == "nemotron_h" and not config.pattern:
        raise ModelConfigInvalid.lacks(config.file, "hybrid_override_pattern", config.values)
    return len(config.pattern) or config.whole("num_hidden_layers", "n_layer", "num_layers", "n_layers")


def _experts(config: Config, family: Family, layers: int) -> Experts | None:
    count = config.whole_or(0, "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    if not count:
        return None
    size = config.whole("moe_intermediate_size", "intermediate_size")
    shared = config.whole_or(
        0,
        "moe_shared_expert_intermediate_size",
        "shared_expert_intermediate_size",
        "shared_intermediate_size",
    )
    if not shared:
        shared = size * config.whole_or(0, "n_shared_experts", "num_shared_experts")
    if str(config.get("model_type")).startswith("llama4"):
        shared = size
    return Experts(
        layers=_moe_layers(config, layers),
        count=count,
        per_token=config.whole(
            "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk"
        ),
        size=size,
        shared_size=shared,
        gated=_gated(config, family),
        bias=family.bias,
        shared_gate=config.get("shared_expert_intermediate_size") is not None,
        latent_size=config.whole_or(0, "moe_latent_size"),
    )


def _moe_layers(config: Config, layers: int) -> int:
    pattern = config.pattern
    if pattern:
        return pattern.count("E")
    step = config.whole_or(1, "interleave_moe_layer_step", "decoder_sparse_step", "moe_layer_freq")
    only_dense = config.whole_or(0, "first_k_dense_replace") + len(config.get("mlp_only_layers") or ())
    return (layers - only_dense) // step


def _gated(config: Config, family: Family) -> bool:
    return family.gated and config.get("mlp_hidden_act") != "relu2"


def _dense(
    config: Config, family: Family, layers: int, experts: Experts | None, hidden: int
) -> tuple[FeedForward, ...]:
    blocks, pattern = config.get("block_configs"), config.pattern
    if blocks:
        return tuple(FeedForward(1, size) for size in _block_sizes(blocks, hidden))
    dense = layers - (experts.layers if experts else 0)
    if pattern:
        dense = pattern.count("-")
    if not dense:
        return ()
    size = config.get("intermediate_size_mlp") or config.get("intermediate_size", "ffn_dim", "n_inner")
    if size is None and config.get("model_type") in ("bloom", "falcon"):
        size = config.whole_or(4 * hidden, "ffn_hidden_size")
    if size is None:
        raise ModelConfigInvalid.lacks(config.file, "intermediate_size", config.values)
    biased = family.bias or bool(config.get("mlp_bias"))
    return (FeedForward(dense, int(size), _gated(config, family), biased),)


def _block_sizes(blocks: list[dict[str, Any]], hidden: int) -> list[int]:
    """Feed-forward sizes of searched architectures (nemotron-nas): multiples of the hidden size, up to full 256."""
    multiples = [block["ffn"].get("ffn_mult") for block in blocks]
    return [-(-int(2 * multiple * hidden / 3) // 256) * 256 for multiple in multiples if multiple]
