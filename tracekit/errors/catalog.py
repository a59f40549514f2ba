"""What users add to the catalog."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError


class CatalogInvalid(TracekitError):
    _WHERE = "docs/catalog.md has an example."

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The catalog file {path} cannot be used: {reason}. It is TOML; {cls._WHERE}")

    @classmethod
    def no_rows(cls, path: Path, table: str) -> Self:
        return cls(
            f"The catalog file {path} has a table [{table}] without names in it; it must be [{table}.NAME]. "
            f"{cls._WHERE}"
        )

    @classmethod
    def lacks(cls, path: Path, table: str, key: str) -> Self:
        return cls(f"A [{table}] of the catalog file {path} has no '{key}'. Add it; {cls._WHERE}")

    @classmethod
    def taken(cls, path: Path, alias: str, meant: str) -> Self:
        return cls(
            f"The catalog file {path} gives the alias '{alias}', which means {meant} already. Change that row "
            "instead, or choose another alias."
        )

    @classmethod
    def row_lacks(cls, table: str, name: str, key: str) -> Self:
        return cls(
            f"[{table}.{name}] has no '{key}'. Add it to the catalog file, or start from another row with "
            f'like = "NAME"; {cls._WHERE}'
        )

    @classmethod
    def no_price(cls, gpu: str) -> Self:
        return cls(
            f"No price of an hour of {gpu} is known. Give yours with --catalog FILE, where FILE says "
            f'[price."{gpu}"] and typical = DOLLARS.'
        )

    @classmethod
    def not_a_number(cls, table: str, name: str, key: str, value: object) -> Self:
        return cls(
            f"[{table}.{name}] has {key} = {value!r}; it must be a number above 0, whole for a model's sizes. "
            "Correct the catalog file, and leave out what is unknown."
        )


class ModelConfigInvalid(TracekitError):
    _WAY_OUT = (
        "Write the model into a catalog file (docs/catalog.md) and pass it with --catalog, or choose a model of "
        "`tracekit info --models`."
    )

    @classmethod
    def unreadable(cls, path: Path, reason: str) -> Self:
        return cls(f"The model configuration {path} cannot be used: {reason}. It must be a config.json.")

    @classmethod
    def unknown(cls, path: Path, key: str, value: object, known: Iterable[str]) -> Self:
        return cls(
            f"{path} has {key} = {value!r}, which is not known here; known are {', '.join(sorted(known))}. "
            f"{cls._WAY_OUT}"
        )

    @classmethod
    def lacks(cls, path: Path, key: str, found: Iterable[str]) -> Self:
        near = difflib.get_close_matches(key, list(found), 1, 0.7)
        meant = f" Is '{near[0]}' meant to be it?" if near else ""
        return cls(f"{path} has no '{key}', which its architecture needs.{meant} {cls._WAY_OUT}")

    @classmethod
    def not_a_size(cls, path: Path, key: str, value: object) -> Self:
        return cls(f"{path}: {key} is {value!r}; it must be a whole number of at least 1. Correct the file.")
