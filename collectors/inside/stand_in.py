"""A stand-in `tracekit` for interpreters that have none: just `tool`, `session` and `mark`."""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery's, without what that imports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


class StandInFinder:
    """Asked last, so a real tracekit always wins."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The stand-in's spec if `tracekit` itself is wanted and nobody else had it."""
        return ModuleSpec(name, self) if name == "tracekit" else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The usual empty module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module with the three marks."""
        from . import marks

        for name in ("mark", "session", "tool"):
            setattr(module, name, getattr(marks, name))
        module.__dict__["__all__"] = ["mark", "session", "tool"]


def install() -> None:
    """Offer the stand-in."""
    sys.meta_path.append(StandInFinder())
