"""Horizontal stacked bars with their values inside, where there is room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.palette import light

CHARACTER = 0.0105
"""Of a whole page's axis: a part too narrow for its words holds none."""


def draw_stack(  # noqa: PLR0913
    chart: Chart,
    axes: Any,
    row: float,
    parts: Mapping[str, float],
    words: Mapping[str, str],
    shown: Callable[[float], str],
    whole: float,
    *,
    height: float = 0.62,
    character: float = CHARACTER,
) -> None:
    """One bar of `parts` (colour's name: value) at `row`; `words` name them.

    `whole` is the axis' length, of which a `character` takes a part.
    """
    left = 0.0
    for name, value in parts.items():
        if not value or value <= 0:
            continue
        bar = axes.barh(row, value, height, left, color=light(name), edgecolor=light("paper"), linewidth=0.6)
        chart.tip(bar[0], f"{words[name]}: {shown(value)}")
        if whole and value / whole >= character * (len(shown(value)) + 1):
            axes.text(
                left + value / 2,
                row,
                shown(value),
                ha="center",
                va="center",
                color=light("inside"),
                fontsize=8.5,
            )
        left += value


def write_beside(axes: Any, value: float, row: float, words: str) -> None:
    """Words to the right of a bar that ends at `value`."""
    axes.annotate(
        words,
        (value, row),
        (5, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )


def plain_rows(axes: Any, labels: list[str]) -> None:
    """Names the rows, from above, and leaves out what a bar's own words say."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
