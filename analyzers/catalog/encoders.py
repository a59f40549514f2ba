"""Parameters of vision towers that a config.json describes in full."""

from __future__ import annotations

from typing import Any


def encoder_parameters(config: dict[str, Any]) -> int | None:
    """Of all encoders of a multimodal model; 0 without encoders, None where the file does not say enough."""
    vision = config.get("vision_config")
    if not vision and not any(key in config for key in ("audio_config", "thinker_config")):
        return 0
    family = str(config.get("model_type", ""))
    if isinstance(vision, dict) and family.startswith(("qwen3_vl", "qwen3_5")) and "depth" in vision:
        return _qwen_vision(vision)
    if isinstance(vision, dict) and family == "llama4" and "vision_output_dim" in vision:
        return _llama4_vision(vision, int(config["text_config"]["hidden_size"]))
    return None


def _blocks(hidden: int, size: int, layers: int) -> int:
    """Plain transformer layers with biases and two layer norms."""
    return layers * (4 * hidden * hidden + 2 * hidden * size + 9 * hidden + size)


def _qwen_vision(vision: dict[str, Any]) -> int:
    """Patches, learned positions, blocks, and mergers: one at the end and one for each deepstack level."""
    hidden, out = int(vision["hidden_size"]), int(vision["out_hidden_size"])
    patch = int(vision["in_channels"]) * int(vision["temporal_patch_size"]) * int(vision["patch_size"]) ** 2
    merged = hidden * int(vision["spatial_merge_size"]) ** 2
    mergers = 1 + len(vision.get("deepstack_visual_indexes", ()))
    blocks = _blocks(hidden, int(vision["intermediate_size"]), int(vision["depth"]))
    positions = int(vision["num_position_embeddings"]) * hidden
    return patch * hidden + positions + blocks + mergers * (merged * merged + merged * out)


def _llama4_vision(vision: dict[str, Any], text_hidden: int) -> int:
    """Patches, positions, blocks, the pixel shuffle's two layers, and the projector."""
    hidden, patch = int(vision["hidden_size"]), int(vision["patch_size"])
    positions = (int(vision["image_size"]) // patch) ** 2 + 1
    blocks = _blocks(hidden, int(vision["intermediate_size"]), int(vision["num_hidden_layers"]))
    shuffled = int(vision["intermediate_size"]) * int(vision["projector_input_dim"])
    shuffled += int(vision["projector_input_dim"]) * int(vision["projector_output_dim"])
    return (
        3 * patch * patch * hidden
        + positions * hidden
        + blocks
        + shuffled
        + int(vision["vision_output_dim"]) * text_hidden
    )
