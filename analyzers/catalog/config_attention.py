"""The attention that a config.json describes: heads, latents, windows, and the layers that have it."""

from __future__ import annotations

from tracekit.analyzers.catalog.architecture import Attention
from tracekit.analyzers.catalog.config_values import Config
from tracekit.analyzers.catalog.families import Family
from tracekit.errors import ModelConfigInvalid

WINDOWED = ("sliding_attention", "chunked_attention")
ATTENDING = ("full_attention", "deepseek_sparse_attention", *WINDOWED)
KINDS = (*ATTENDING, "linear_attention")


def read_attention(config: Config, family: Family, layers: int, hidden: int) -> Attention:
    """The layers that keep keys and values. Raises ModelConfigInvalid."""
    heads = config.whole("num_attention_heads", "n_head", "num_heads")
    kinds = config.get("layer_types")
    kinds = list(kinds) if kinds else ["full_attention"] * layers
    for kind in set(kinds) - set(KINDS):
        raise ModelConfigInvalid.unknown(config.file, "layer_types", kind, KINDS)
    window_layers, window_tokens = _windows(config, family, layers, kinds)
    latent = config.whole_or(0, "kv_lora_rank")
    rope = config.whole_or(0, "qk_rope_head_dim") if latent else 0
    head_dim = config.whole_or(hidden // heads, "head_dim", "attention_head_dim")
    if latent:
        head_dim = config.whole("qk_nope_head_dim") + rope
    biased = family.bias or bool(config.get("attention_bias"))
    return Attention(
        layers=_attending(config, kinds),
        heads=heads,
        kv_heads=_kv_heads(config, family, heads),
        head_dim=head_dim,
        window_layers=window_layers,
        window_tokens=window_tokens,
        latent_rank=latent,
        query_rank=config.whole_or(0, "q_lora_rank") if latent else 0,
        rope_dim=rope,
        value_dim=config.whole_or(head_dim, "v_head_dim"),
        gated=bool(config.get("attn_output_gate")) or config.get("model_type") == "qwen3_next",
        input_bias=family.input_bias or biased,
        output_bias=biased and config.get("model_type") != "glm4_moe",
        normed_heads=family.normed_heads,
    )


def _kv_heads(config: Config, family: Family, heads: int) -> int:
    blocks = config.get("block_configs")
    if blocks:
        groups = {block["attention"].get("n_heads_in_group") for block in blocks} - {None}
        return heads // int(max(groups))
    if family.single_kv and not config.get("new_decoder_architecture"):
        return 1 if config.get("multi_query") in (None, True) else heads
    return config.whole_or(heads, "num_key_value_heads", "num_kv_heads", "multi_query_group_num")


def _attending(config: Config, kinds: list[str]) -> int:
    """How many layers keep keys and values."""
    pattern, blocks = config.pattern, config.get("block_configs")
    if pattern:
        return pattern.count("*")
    if blocks:
        return sum(block["attention"].get("n_heads_in_group") is not None for block in blocks)
    every = config.get("full_attention_interval")
    if every and "linear_attention" not in kinds:
        return len(kinds) // int(every)
    return sum(kind in ATTENDING for kind in kinds)


def _windows(config: Config, family: Family, layers: int, kinds: list[str]) -> tuple[int, int]:
    """Layers that see only a window, and its tokens."""
    chunk = config.whole_or(0, "attention_chunk_size")
    if chunk:
        every = config.whole_or(4, "no_rope_layer_interval")
        return layers - layers // every, chunk
    tokens = config.whole_or(0, "sliding_window")
    if not tokens or config.get("use_sliding_window") is False:
        return 0, 0
    windowed = sum(kind in WINDOWED for kind in kinds)
    if not config.get("layer_types"):
        every = config.whole_or(
            6 if config.get("model_type") in ("gemma3", "gemma3_text") else 0, "sliding_window_pattern"
        )
        windowed = layers - layers // every if every else layers
        if family.windows_alternate:
            windowed = layers - layers // 2
    return (windowed, tokens) if tokens < config.whole("max_position_embeddings") else (0, 0)
