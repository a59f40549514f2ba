"""Layers whose state has a fixed size: Mamba-2, and gated delta nets."""

from __future__ import annotations

from tracekit.analyzers.catalog.architecture import Recurrence
from tracekit.analyzers.catalog.config_values import Config

# Engines keep the running state in float32 and the convolution's last inputs in sixteen bits.
STATE_BYTES = 4
CONVOLUTION_BYTES = 2


def mamba2(config: Config) -> Recurrence | None:
    """Nemotron-H: its layers marked M (Dao and Gu, arXiv 2405.21060)."""
    pattern = config.pattern
    if not pattern:
        return None
    heads, dim = config.whole("mamba_num_heads"), config.whole("mamba_head_dim")
    state, kernel = config.whole("ssm_state_size"), config.whole("conv_kernel")
    inner, hidden = heads * dim, config.whole("hidden_size")
    convolved = inner + 2 * config.whole("n_groups") * state
    into = hidden * (inner + convolved + heads)
    small = convolved * (kernel + 1) + 3 * heads + inner
    return Recurrence(
        layers=pattern.count("M"),
        parameters=into + small + inner * hidden,
        state_bytes=heads * dim * state * STATE_BYTES + convolved * (kernel - 1) * CONVOLUTION_BYTES,
    )


def delta_net(config: Config) -> Recurrence | None:
    """Qwen3-Next and Qwen3.5: their linear-attention layers (Yang et al., arXiv 2412.06464)."""
    if not config.get("linear_num_value_heads"):
        return None
    key_dim, value_dim = config.whole("linear_key_head_dim"), config.whole("linear_value_head_dim")
    keys = config.whole("linear_num_key_heads") * key_dim
    value_heads = config.whole("linear_num_value_heads")
    values, hidden = value_heads * value_dim, config.whole("hidden_size")
    kernel = config.whole("linear_conv_kernel_dim")
    convolved = 2 * keys + values
    into = hidden * (convolved + values + 2 * value_heads)
    small = convolved * kernel + 2 * value_heads + value_dim
    kinds, layers = config.get("layer_types"), config.whole("num_hidden_layers")
    full = kinds.count("full_attention") if kinds else layers // config.whole_or(4, "full_attention_interval")
    return Recurrence(
        layers=layers - full,
        parameters=into + small + values * hidden,
        state_bytes=value_heads * key_dim * value_dim * STATE_BYTES
        + convolved * (kernel - 1) * CONVOLUTION_BYTES,
    )
