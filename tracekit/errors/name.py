"""Names that nobody knows, with the nearest ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

from tracekit.errors.message import TracekitError

MANY = 40
"""Names beyond which an error does not list them all."""
LISTED_BY = {"GPU": "--gpus", "model": "--models", "grid": "--grids"}
"""The option of `tracekit info` that lists them."""


class UnknownName(TracekitError):
    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str], aliases: Iterable[str] = ()) -> Self:
        spellings = {spelling.lower(): spelling for spelling in [*aliases, *known]}
        begun = sorted(word for word in spellings if word.startswith(name.lower()))
        near = (begun or difflib.get_close_matches(name.lower(), spellings, 3, 0.5))[:3]
        if near:
            return cls(
                f"Unknown {kind} '{name}'. Did you mean {' or '.join(spellings[word] for word in near)}?"
            )
        known = sorted(known)
        if len(known) > MANY and kind in LISTED_BY:
            return cls(
                f"Unknown {kind} '{name}'. `tracekit info {LISTED_BY[kind]}` lists the {len(known)} that are known."
            )
        if len(known) > MANY:
            return cls(f"Unknown {kind} '{name}'; {len(known)} are known: {', '.join(known[:MANY])}, ...")
        return cls(f"Unknown {kind} '{name}'. Known are: {', '.join(known)}.")
