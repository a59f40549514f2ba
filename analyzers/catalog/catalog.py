"""GPUs, models, engine profiles and grids by name, from the catalog's tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tracekit.analyzers.catalog.engine import Engine, ErrorBand
from tracekit.analyzers.catalog.gpu import Gpu, Price
from tracekit.analyzers.catalog.grid import Grid
from tracekit.analyzers.catalog.model import Model
from tracekit.analyzers.catalog.tables import find, loosely, row_of, spellings, table, use
from tracekit.analyzers.hardware.constants import PowerConstants, StepConstants
from tracekit.errors import UnknownName

__all__ = ["Engine", "ErrorBand", "Gpu", "Grid", "Model", "Price", "use"]

DEFAULT_ENGINE = "vllm-0.11"
DEFAULT_GRID = "WOR"
ENGINE_TABLES = ("step", "power", "itl_error", "power_error")
"""Of an engine's row; one that is like another takes what it lacks from there."""


def gpu(name: str) -> Gpu:
    """The GPU of that name or alias. Raises UnknownName with the nearest names, CatalogInvalid."""
    return Gpu.from_row(*row_of("gpus", "GPU", name))


def find_gpu(name: str | None) -> Gpu | None:
    """The GPU of that name or alias, with or without its vendor's; None: what is not known never maps silently."""
    if name is None:
        return None
    found = find("gpus", name) or loosely("gpus", name)
    return None if found is None else Gpu.from_row(*found)


def model(name: str) -> Model:
    """The model of that name, alias, or path of a config.json or its folder; each also as NAME@PRECISION.

    Raises
    ------
    UnknownName, CatalogInvalid, ModelConfigInvalid : with the nearest names; or what the file lacks.
    """
    found = find_model(name)
    if found is not None:
        return found
    path, _, precision = name.partition("@")
    if path.endswith(".json") or (Path(path) / "config.json").is_file():
        from tracekit.analyzers.catalog.config_json import read_model  # noqa: PLC0415  (seldom needed, slow to load)

        read = read_model(Path(path))
        return read.at(precision) if precision else read
    return Model.from_row(*row_of("models", "model", name))


def find_model(name: str | None) -> Model | None:
    """The model of that name, alias or NAME@PRECISION, or None: what is not known never maps silently."""
    if name is None:
        return None
    spelling, _, precision = name.partition("@")
    found = find("models", spelling)
    if found is None:
        return None
    key, row = found
    known = Model.from_row(key, row)
    if precision:
        return known.at(precision.lower())
    for checkpoint, each in row.get("precisions", {}).items():
        if checkpoint.lower() == spelling.lower():
            return _checkpoint(known, checkpoint, each)
    return known


def _checkpoint(known: Model, name: str, given: str | dict[str, Any]) -> Model:
    """The published checkpoint; one that keeps parts at sixteen bits is a model of its own name."""
    if isinstance(given, str):
        return known.at(given)
    return replace(known.at(given["precision"], given["kept_parameters"]), name=name)


def engine(name: str = DEFAULT_ENGINE) -> Engine:
    """The engine profile of that name or alias. Raises UnknownName."""
    rows = table("engines")
    known = {word.lower(): key for key, row in rows.items() for word in spellings(key, row)}
    if name.lower() not in known:
        raise UnknownName.among("engine", name, rows, known)
    key = known[name.lower()]
    row = {field: value for field, value in rows[key].items() if field not in ("aliases", "date")}
    base = {
        field: value
        for field, value in rows.get(row.pop("like", ""), {}).items()
        if field not in ("aliases", "date")
    }
    merged = base | row | {part: base.get(part, {}) | row.get(part, {}) for part in ENGINE_TABLES}
    return Engine(
        **merged
        | {
            "name": key,
            "step": StepConstants(**merged["step"]),
            "power": PowerConstants(**merged["power"]),
            "itl_error": _bands(merged["itl_error"]),
            "power_error": _bands(merged["power_error"]),
        }
    )


def _bands(by_kind: Mapping[str, Mapping[str, Any]]) -> dict[str, ErrorBand]:
    return {kind: ErrorBand(**band) for kind, band in by_kind.items()}


def grid(code: str = DEFAULT_GRID) -> Grid:
    """The grid of that ISO 3166 code, US state (US-CA) or name (WOR: the world). Raises UnknownName."""
    return Grid.from_row(*row_of("grids", "grid", code))


def names(kind: str) -> list[str]:
    """The names in one catalog: gpus, models, engines or grids."""
    return list(table(kind))
