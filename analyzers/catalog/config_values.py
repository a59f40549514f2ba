"""The values of a config.json, whose keys differ between families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tracekit.analyzers.catalog.families import FAMILIES, Family
from tracekit.errors import ModelConfigInvalid

LETTERS = MappingProxyType({"mamba": "M", "attention": "*", "mlp": "-", "moe": "E"})


@dataclass(frozen=True)
class Config:
    """The decoder's table of one config.json, whose keys differ between families."""

    file: Path
    values: Mapping[str, Any]

    def get(self, *keys: str) -> Any:
        """The first of these that is there and not null, else None."""
        return next((self.values[key] for key in keys if self.values.get(key) is not None), None)

    def whole(self, *keys: str) -> int:
        """The first of these as a whole number of at least 1. Raises ModelConfigInvalid."""
        value = self.get(*keys)
        if value is None:
            raise ModelConfigInvalid.lacks(self.file, keys[0], self.values)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ModelConfigInvalid.not_a_size(self.file, keys[0], value)
        return value

    def whole_or(self, default: int, *keys: str) -> int:
        """The same, or the default where none of them is there, or where it is 0."""
        return self.whole(*keys) if self.get(*keys) else default

    @property
    def pattern(self) -> str:
        """A hybrid's layers, a letter each (Nemotron-H): M Mamba, * attention, - dense, E experts; else empty."""
        named = self.get("layers_block_type") if self.get("model_type") == "nemotron_h" else None
        if named:
            return "".join(self._letter(kind) for kind in named)
        return str(self.get("hybrid_override_pattern") or "")

    def _letter(self, kind: str) -> str:
        if kind not in LETTERS:
            raise ModelConfigInvalid.unknown(self.file, "layers_block_type", kind, LETTERS)
        return LETTERS[kind]

    @property
    def family(self) -> Family:
        """Raises ModelConfigInvalid where `model_type` is unknown."""
        name = self.get("model_type")
        if name not in FAMILIES:
            raise ModelConfigInvalid.unknown(self.file, "model_type", name, FAMILIES)
        return FAMILIES[name]
