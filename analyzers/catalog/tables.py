"""The catalog's tables: the TOML files beside this module, extended by files of the user's."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tracekit.analyzers.catalog.user_file import overlay, read_user_file
from tracekit.errors import UnknownName

Rows = dict[str, dict[str, Any]]
VARIABLE = "TRACEKIT_CATALOG"

_chosen: list[Path] = []


def use(file: Path | None) -> None:
    """Extend the catalog by this file, over that of $TRACEKIT_CATALOG; None: by that variable's file alone.

    Raises
    ------
    CatalogInvalid, UnknownName : a file cannot be read, or has a table or key that no catalog has.
    """
    _chosen[:] = [file] if file is not None else []
    for each in _files():
        read_user_file(each)


def chosen_files() -> tuple[Path, ...]:
    """The files that `use` was told of."""
    return tuple(_chosen)


def table(kind: str) -> Rows:
    """One kind of rows by name: gpus, models, engines or grids."""
    return _extended(kind, _files())


def find(kind: str, spelling: str) -> tuple[str, dict[str, Any]] | None:
    """The name and row behind a name, alias or quantized checkpoint, whatever its case; None if there is none."""
    files = _files()
    rows = _extended(kind, files) if files else _mentioning(kind, spelling.lower())
    for key, row in rows.items():
        if spelling.lower() in (word.lower() for word in spellings(key, row)):
            return key, row
    return None


def loosely(kind: str, spelling: str) -> tuple[str, dict[str, Any]] | None:
    """The one row that the name leads to without its vendor and punctuation; None if there is none or several."""
    alike = {
        key: row
        for key, row in table(kind).items()
        if _bare(spelling) in (_bare(word) for word in spellings(key, row))
    }
    return next(iter(alike.items())) if len(alike) == 1 else None


def _bare(spelling: str) -> str:
    return re.sub(r"nvidia|amd|tesla|geforce|instinct|[^a-z0-9.]", "", spelling.lower())


def row_of(kind: str, noun: str, spelling: str) -> tuple[str, dict[str, Any]]:
    """The same as `find`, or `loosely`. Raises UnknownName, with the nearest names."""
    found = find(kind, spelling) or loosely(kind, spelling)
    if found is None:
        rows = table(kind)
        also = [word for key, row in rows.items() for word in spellings(key, row)]
        raise UnknownName.among(noun, spelling, rows, also)
    return found


def spellings(key: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    """All that lead to a row: its key, a grid's name, aliases, and published checkpoints of other precisions."""
    named = (row["name"],) if "name" in row else ()
    return (key, *named, *row.get("aliases", ()), *row.get("precisions", ()))


def _files() -> tuple[Path, ...]:
    """The user's files, the strongest last."""
    named = os.environ.get(VARIABLE)
    return (*((Path(named),) if named else ()), *_chosen)


@cache
def _extended(kind: str, files: tuple[Path, ...]) -> Rows:
    rows: Rows = tomllib.loads(_text(kind))
    for file in files:
        rows = overlay(kind, rows, file)
    return rows


@cache
def _mentioning(kind: str, word: str) -> Rows:
    """The rows whose text has the word between quotes or brackets: parsing them all takes longer than a replay."""
    quoted = re.compile(rf"[\"\[]{re.escape(word)}[\"\]]", re.IGNORECASE)
    return tomllib.loads("".join(row for row in _row_texts(kind) if quoted.search(row)))


@cache
def _row_texts(kind: str) -> list[str]:
    return re.split(r"^(?=\[)", _text(kind), flags=re.MULTILINE)


@cache
def _text(kind: str) -> str:
    return (Path(__file__).parent / f"{kind}.toml").read_text("utf-8")
