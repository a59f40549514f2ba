"""One electricity grid's carbon intensity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tracekit.errors import CatalogInvalid

GRID_KEYS = ("name", "low", "high", "source", "date", "aliases")


@dataclass(frozen=True)
class Grid:
    """Carbon intensity of one grid, gCO2e/kWh, as the range between its sources."""

    code: str
    name: str
    low: float
    high: float
    source: str
    date: str

    @classmethod
    def from_row(cls, code: str, row: Mapping[str, Any]) -> Self:
        """The grid of a catalog row. Raises CatalogInvalid."""
        for key in ("low", "high", "source", "date"):
            if key not in row:
                raise CatalogInvalid.row_lacks("grid", code, key)
        for key in ("low", "high"):
            if isinstance(row[key], bool) or not isinstance(row[key], int | float) or row[key] <= 0:
                raise CatalogInvalid.not_a_number("grid", code, key, row[key])
        values = {key: row[key] for key in ("low", "high", "source", "date")}
        return cls(code=code, name=str(row.get("name", code)), **values)
