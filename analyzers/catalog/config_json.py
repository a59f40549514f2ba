"""A model from its Hugging Face `config.json`: what the file says, and what its family leaves unsaid."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracekit.analyzers.catalog.config_reader import read_architecture
from tracekit.analyzers.catalog.config_values import Config
from tracekit.analyzers.catalog.encoders import encoder_parameters
from tracekit.analyzers.catalog.model import Model
from tracekit.analyzers.catalog.quantization import kept_parameters, precision_of
from tracekit.errors import ModelConfigInvalid

FILE = "config.json"
# Where multimodal models keep their decoder.
DECODERS = ("text_config", "llm_config", "language_config", "thinker_config")
FLOATS = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def read_model(path: Path) -> Model:
    """The model that this config.json, or the one in this folder, describes; the path is its name.

    Raises
    ------
    ModelConfigInvalid : the file cannot be read, is of an unknown family, or lacks what the family needs.
    """
    file = path / FILE if path.is_dir() else path
    whole = _load(file)
    values = _decoder(whole)
    architecture = read_architecture(Config(file, values))
    attention, experts, recurrence = architecture.attention, architecture.experts, architecture.recurrence
    encoders, quantized = encoder_parameters(whole), _quantized(file, whole, values)
    return Model(
        name=str(path),
        source=f"{file}, parameters computed" + ("" if encoders is not None else ", without its encoders"),
        date=_day(file),
        parameters=architecture.parameters + (encoders or 0),
        layers=architecture.layers,
        hidden_size=architecture.hidden_size,
        heads=attention.heads,
        kv_heads=attention.kv_heads,
        head_dim=attention.head_dim,
        vocabulary=architecture.vocabulary,
        tied_embeddings=architecture.tied_embeddings,
        max_model_len=architecture.max_model_len,
        attention_layers=attention.layers,
        window_layers=attention.window_layers,
        window_tokens=attention.window_tokens,
        latent_values=attention.latent_rank + attention.rope_dim if attention.latent_rank else 0,
        state_bytes_per_sequence=recurrence.layers * recurrence.state_bytes if recurrence else 0,
        experts=experts.count if experts else 0,
        experts_per_token=experts.per_token if experts else 0,
        moe_layers=experts.layers if experts else 0,
        expert_parameters=experts.of_one_expert(architecture.hidden_size) if experts else 0,
        encoder_parameters=encoders or 0,
        precision=precision_of(file, quantized) if quantized else _floats(file, whole, values),
        kept_parameters=kept_parameters(architecture, quantized),
    )


def _load(file: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(file.read_text("utf-8"))
    except OSError as fault:
        raise ModelConfigInvalid.unreadable(file, fault.strerror or str(fault)) from fault
    except ValueError as fault:
        raise ModelConfigInvalid.unreadable(file, f"it is no JSON: {fault}") from fault
    if not isinstance(loaded, dict):
        raise ModelConfigInvalid.unreadable(file, "it is no JSON object")
    return loaded


def _decoder(whole: dict[str, Any]) -> dict[str, Any]:
    """The decoder's own table; the embedding's tie stands outside of it in some families."""
    values = whole
    for key in DECODERS * 2:
        if isinstance(values.get(key), dict):
            outside = {name: values[name] for name in ("tie_word_embeddings", "model_type") if name in values}
            values = outside | values[key]
    return values


def _floats(file: Path, whole: dict[str, Any], values: dict[str, Any]) -> str:
    named = str(values.get("dtype") or values.get("torch_dtype") or whole.get("torch_dtype") or "bfloat16")
    if named not in FLOATS:
        raise ModelConfigInvalid.unknown(file, "torch_dtype", named, FLOATS)
    return FLOATS[named]


def _quantized(file: Path, whole: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The table of its quantization, which ModelOpt writes into a file of its own; empty without."""
    inside = whole.get("quantization_config") or values.get("quantization_config")
    beside = file.with_name("hf_quant_config.json")
    if not inside and beside.is_file():
        inside = _load(beside).get("quantization")
    return dict(inside or {})


def _day(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).date().isoformat()
