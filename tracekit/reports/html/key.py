"""The key of a chart: coloured patches under it, in rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.patches import Patch

from tracekit.reports.html.palette import light

ROW_INCHES = 0.21


def key_inches(entries: Mapping[str, str], columns: int) -> float:
    """How high the key is."""
    return ROW_INCHES * -(-len(entries) // columns)


def add_key(figure: Any, entries: Mapping[str, str], columns: int = 5) -> None:
    """Puts a key of `entries` (colour's name: words) under the figure."""
    handles = [Patch(facecolor=light(name), edgecolor="none", label=words) for name, words in entries.items()]
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=min(columns, len(handles)))
