"""What the demo really is, so that no trace of it is mistaken for a GPU measurement."""

from __future__ import annotations

from typing import Final

LABELS: Final[dict[str, str]] = {
    "engine": "llama.cpp (CPU, 1 thread)",
    "weights": "random",
    "content": "scripted",
}

MODEL_ID: Final = "tracekit-demo-random-7m"


def owner() -> str:
    """The labels as one line, for the `owned_by` of a /v1/models answer."""
    return ", ".join(f"{key}: {value}" for key, value in LABELS.items())
