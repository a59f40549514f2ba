"""A user's catalog file: tables [gpu.NAME], [model.NAME], [price.GPU] and [grid.CODE] that add rows or change them."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tracekit.analyzers.catalog.gpu import PRICE_KEYS, VALUE_KEYS, WORD_KEYS
from tracekit.analyzers.catalog.grid import GRID_KEYS
from tracekit.analyzers.catalog.model import MODEL_KEYS
from tracekit.errors import CatalogInvalid, UnknownName

Rows = dict[str, dict[str, Any]]
LIKE = "like"
NOUNS = MappingProxyType({"gpus": "gpu", "models": "model", "grids": "grid"})
KEYS = MappingProxyType(
    {
        "gpu": (*VALUE_KEYS, *WORD_KEYS, "usd_per_hour", "aliases", "source", "date", LIKE),
        "model": (*MODEL_KEYS, LIKE),
        "price": PRICE_KEYS,
        "grid": GRID_KEYS,
    }
)


@cache
def read_user_file(file: Path) -> dict[str, Rows]:
    """The file's tables, checked key by key.

    Raises
    ------
    CatalogInvalid, UnknownName : it cannot be read, or has a table or key that no catalog has.
    """
    try:
        loaded = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as fault:
        raise CatalogInvalid.unreadable(file, str(fault)) from fault
    for noun, rows in loaded.items():
        if noun not in KEYS:
            raise UnknownName.among(f"table in the catalog file {file}", noun, KEYS)
        if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
            raise CatalogInvalid.no_rows(file, noun)
        for name, row in rows.items():
            for key in row:
                if key not in KEYS[noun]:
                    raise UnknownName.among(f"key of [{noun}.{name}] in {file}", key, KEYS[noun])
    return loaded


def overlay(kind: str, rows: Rows, file: Path) -> Rows:
    """One kind of rows with what the file adds and changes. Raises CatalogInvalid, UnknownName."""
    tables = read_user_file(file)
    rows = dict(rows)
    noun = NOUNS.get(kind)
    for name, changes in tables.get(noun or "", {}).items():
        key = _name_of(name, rows)
        given = _sourced(changes, file) if noun == "gpu" else _dated(changes, file)
        base = _base(noun or "", name, key, given, rows)
        given["aliases"] = [*base.get("aliases", ()), *_free(file, key, given.get("aliases", ()), rows)]
        rows[key] = base | given
    if kind == "gpus":
        for name, price in tables.get("price", {}).items():
            key = _name_of(name, rows)
            if key not in rows:
                raise UnknownName.among(f"GPU of [price.{name}] in {file}", name, rows)
            rows[key] = rows[key] | {"usd_per_hour": _price(price, file)}
    return rows


def _name_of(name: str, rows: Rows) -> str:
    known = {word.lower(): key for key, row in rows.items() for word in (key, *row.get("aliases", ()))}
    return known.get(name.lower(), name)


def _free(file: Path, key: str, aliases: list[str], rows: Rows) -> list[str]:
    """These aliases. Raises CatalogInvalid where one of them means another row already."""
    for alias in aliases:
        meant = _name_of(alias, rows)
        if meant in rows and meant != key:
            raise CatalogInvalid.taken(file, alias, meant)
    return list(aliases)


def _base(noun: str, name: str, key: str, given: dict[str, Any], rows: Rows) -> dict[str, Any]:
    """What the changes are laid over: the row of that name, or a copy of the one it is `like`."""
    like = given.pop(LIKE, None)
    if like is None:
        return rows.get(key, {})
    original = _name_of(str(like), rows)
    if original not in rows:
        raise UnknownName.among(f"{noun} that {name} is like", str(like), rows)
    return {word: value for word, value in rows[original].items() if word not in ("aliases", "precisions")}


def _sourced(row: dict[str, Any], file: Path) -> dict[str, Any]:
    """A GPU's row in the catalog's form: each plain value with the row's source and date, else the file's."""
    source, date = str(row.get("source", file)), str(row.get("date", _day(file)))
    full: dict[str, Any] = {}
    for key, value in row.items():
        if key in VALUE_KEYS and not isinstance(value, dict):
            full[key] = {"value": value, "source": source, "date": date}
        elif key == "usd_per_hour":
            full[key] = _price(value if isinstance(value, dict) else {"typical": value}, file)
        elif key not in ("source", "date"):
            full[key] = value
    return full


def _dated(row: dict[str, Any], file: Path) -> dict[str, Any]:
    return {"source": str(file), "date": _day(file)} | row


def _price(row: dict[str, Any], file: Path) -> dict[str, Any]:
    if "typical" not in row:
        raise CatalogInvalid.lacks(file, "price", "typical")
    for key in ("low", "typical", "high"):
        if isinstance(row.get(key, 0), bool) or not isinstance(row.get(key, 0), int | float):
            raise CatalogInvalid.not_a_number("price", str(file), key, row[key])
    typical = row["typical"]
    given = {"low": typical, "high": typical, "kind": "the user's", "source": str(file), "date": _day(file)}
    return given | row


def _day(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).date().isoformat()
