"""Families of decoders by the `model_type` of their config.json, and what those files leave unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Family:
    """Shapes, biases and defaults of one family.

    gated : the feed-forward has three matrices
    tied : the embedding is the output layer too, unless the file says otherwise
    input_bias, bias : of the attention's inputs; of everything
    norms : vectors of the hidden size per layer
    normed_heads : queries and keys are normalized
    positions : learned positions beyond the longest context
    windows_alternate : every second layer sees only the window
    single_kv : one key and value head, unless the file says otherwise
    """

    gated: bool = True
    tied: bool = False
    input_bias: bool = False
    bias: bool = False
    norms: int = 2
    normed_heads: bool = False
    positions: int = 0
    windows_alternate: bool = False
    single_kv: bool = False


_LLAMA_LIKE = """
    llama llama4 llama4_text mistral mistral3 mixtral ministral phi3 phimoe granite granitemoe yi internlm2 internlm3
    smollm3 chameleon minimax_m2 nemotron_h nemotron-nas deepseek deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2
    glm4_moe glm_moe_dsa olmoe
"""
_QWEN3_LIKE = """
    qwen3 qwen3_moe qwen3_vl qwen3_vl_text qwen3_vl_moe qwen3_vl_moe_text qwen3_omni_moe_text qwen3_next
    qwen3_5 qwen3_5_text qwen3_5_moe qwen3_5_moe_text olmo2 olmo3
"""
_QWEN2_LIKE = "qwen2 qwen2_moe qwen2_vl qwen2_5_vl qwen2_5_vl_text"
_GEMMA3 = Family(tied=True, norms=4, normed_heads=True)
# Layer norms have a bias of their own, so they count twice.
_PLAIN = Family(gated=False, tied=True, input_bias=True, bias=True, norms=4)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    dict.fromkeys(_LLAMA_LIKE.split(), Family())
    | dict.fromkeys(_QWEN3_LIKE.split(), Family(normed_heads=True))
    | dict.fromkeys(_QWEN2_LIKE.split(), Family(input_bias=True))
    | {
        "gemma": Family(tied=True),
        "gemma2": Family(tied=True, norms=4, windows_alternate=True),
        "gemma3": _GEMMA3,
        "gemma3_text": _GEMMA3,
        "gpt_oss": Family(bias=True),
        "cohere": Family(tied=True, norms=1),
        "cohere2": Family(tied=True, norms=1),
        "glm4": Family(norms=4, input_bias=True),
        "olmo": Family(norms=0),
        "starcoder2": _PLAIN,
        "opt": Family(gated=False, tied=True, input_bias=True, bias=True, norms=4, positions=2),
        "bloom": _PLAIN,
        "falcon": Family(gated=False, tied=True, single_kv=True),
        "nemotron": Family(gated=False),
        "phi": Family(gated=False, input_bias=True, bias=True),
    }
)
