"""What a config.json says of quantized weights: their precision, and what stays at sixteen bits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tracekit.analyzers.catalog.architecture import Architecture, FeedForward
from tracekit.errors import ModelConfigInvalid

# Compressed-tensors, AWQ and GPTQ say bits; the others name their format.
METHODS = MappingProxyType(
    {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4", "modelopt_fp4": "nvfp4", "nvfp4": "nvfp4"}
)
BY_BITS = ("awq", "gptq", "auto-round")
# The names under which methods list the modules that they leave alone.
SPARED = ("modules_to_not_convert", "ignore", "exclude_modules")
# Its checkpoints quantize routed experts and nothing else.
EXPERTS_ONLY = "mxfp4"

Quantized = Mapping[str, Any]


def precision_of(file: Path, quantized: Quantized) -> str:
    """The precision of the weights. Raises ModelConfigInvalid where the method is unknown."""
    method = str(quantized.get("quant_algo") or quantized.get("quant_method", "")).lower()
    named = METHODS.get(method) or _by_bits(method, quantized)
    if named is None:
        raise ModelConfigInvalid.unknown(
            file, "quantization_config.quant_method", method, (*METHODS, *BY_BITS)
        )
    return named


def _by_bits(method: str, quantized: Quantized) -> str | None:
    if method in BY_BITS:
        return {4: "int4", 8: "int8"}.get(int(quantized.get("bits", 4)))
    if method.startswith("w4a16") or quantized.get("load_in_4bit"):
        return "int4"
    if quantized.get("load_in_8bit"):
        return "int8"
    groups = quantized.get("config_groups") or {}
    weights: Quantized = next((group["weights"] for group in groups.values() if group.get("weights")), {})
    return {(8, "float"): "fp8", (8, "int"): "int8", (4, "float"): "nvfp4", (4, "int"): "int4"}.get(
        (int(weights.get("num_bits", 0)), str(weights.get("type")))
    )


def kept_parameters(architecture: Architecture, quantized: Quantized) -> int:
    """Parameters beside embeddings that stay at sixteen bits: attention and shared experts that are spared."""
    hidden, experts = architecture.hidden_size, architecture.experts
    if experts is not None and METHODS.get(str(quantized.get("quant_method"))) == EXPERTS_ONLY:
        routed = experts.layers * experts.count * experts.of_one_expert(hidden)
        tables = architecture.vocabulary * hidden * (1 if architecture.tied_embeddings else 2)
        return architecture.parameters - routed - tables
    spared = [str(name) for key in SPARED for name in quantized.get(key) or ()]
    kept = _spared_layers(spared, "self_attn", architecture.attention.layers)
    total = kept * architecture.attention.parameters(hidden)
    if experts is not None and experts.shared_size:
        shared = FeedForward(1, experts.shared_size, experts.gated).parameters(hidden)
        total += _spared_layers(spared, "shared_expert", experts.layers) * shared
    return total


def _spared_layers(spared: list[str], part: str, layers: int) -> int:
    """In how many layers a part is named: in all by a pattern, else in those that are listed."""
    naming = [name for name in spared if part in name]
    if any("*" in name or name == part for name in naming):
        return layers
    return len({found[1] for name in naming if (found := re.search(r"layers\.(\d+)\.", name))})
