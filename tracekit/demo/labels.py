"""What the demo really is, so that no trace of it is mistaken for a GPU measurement."""

from __future__ import annotations

from typing import Final, NamedTuple


class Model(NamedTuple):
    """What the engine serves; `is_sampled` if it chooses its words itself."""

    identifier: str
    labels: dict[str, str]
    is_sampled: bool = False

    def owner(self) -> str:
        """The labels as one line, for the `owned_by` of a /v1/models answer."""
        return ", ".join(f"{key}: {value}" for key, value in self.labels.items())


_ENGINE: Final = "llama.cpp (CPU, 1 thread)"
RANDOM: Final = Model(
    "tracekit-demo-random-7m", {"engine": _ENGINE, "weights": "random", "content": "scripted"}
)
SMOLLM2: Final = Model(
    "SmolLM2-135M-Instruct",
    {
        "engine": _ENGINE,
        "weights": "SmolLM2-135M-Instruct, 4 bits",
        "content": "thoughts and answers sampled, tool calls scripted",
    },
    is_sampled=True,
)
MODELS: Final = {"random": RANDOM, "smollm2": SMOLLM2}
LABELS: Final = RANDOM.labels
MODEL_ID: Final = RANDOM.identifier
