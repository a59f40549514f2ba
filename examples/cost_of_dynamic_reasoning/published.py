"""The paper's values that traces and replays may take: inputs.json. What they are judged by, only the page knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INPUTS = HERE / "inputs.json"


@dataclass(frozen=True)
class Table:
    """One table of published values: where it stands, how it was read (`mark`), its unit."""

    where: str
    mark: str
    unit: str
    values: Any
    note: str = ""

    @property
    def source(self) -> str:
        """Where from, and how."""
        return f"{self.where}, {self.mark}"


Tables = Mapping[str, Table]


@cache
def tables(file: Path) -> Tables:
    """The tables of inputs.json or targets.json, by name."""
    return {name: Table(**table) for name, table in json.loads(file.read_text("utf-8"))["tables"].items()}


def taken(name: str) -> Any:
    """The values of one table of inputs.json."""
    return tables(INPUTS)[name].values
