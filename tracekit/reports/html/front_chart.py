"""The chart of a sweep: every point by the first objective and each of the others, the front in colour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tracekit.reports.html.inline_svg import Chart, drawing
from tracekit.reports.html.key import add_key
from tracekit.reports.html.palette import light
from tracekit.reports.sweep import front_of, point_words, shown_value
from tracekit.units import J_PER_WH

Document = dict[str, Any]
PANELS_IN_A_ROW = 2
FAR_APART = 30
"""Times the smallest value, beyond which an axis is logarithmic."""
KEY = {"series_1": "Pareto front", "gap": "other points"}
_SCALES = {"J": 1 / J_PER_WH}
MOST_DOTS = 2_000
"""Points off the front that are drawn; the tables and files have all."""


def front_chart(document: Document) -> Chart | None:
    """A panel for each objective beside the first; None where no point is known. Made within `drawing`."""
    objectives = document["objectives"]
    first, others = objectives[0], objectives[1:] or objectives[:1]
    rows = -(-len(others) // PANELS_IN_A_ROW)
    columns = min(PANELS_IN_A_ROW, len(others))
    if not front_of(document):
        return None
    chart = Chart(
        "front", "Points of the sweep by their objectives. Data in the tables.", 9.2, 0.4 + 3.4 * rows
    )
    grid = list(chart.figure.subplots(rows, columns, squeeze=False).flat)
    for axes, other in zip(grid, others, strict=False):
        _panel(chart, axes, document, first, other)
    for axes in grid[len(others) :]:
        axes.set_visible(False)
    add_key(chart.figure, KEY)
    return chart


def write_front_plot(path: Path, document: Document) -> None:
    """Writes the chart as a picture, atomically; the suffix decides the format."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    with drawing():
        chart = front_chart(document)
        assert chart is not None  # the command refused a sweep without any
        try:
            chart.figure.savefig(partial, facecolor="white", dpi=150)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _panel(chart: Chart, axes: Any, document: Document, first: Document, other: Document) -> None:
    known = [point for point in document["points"] if _at(point, first, other) is not None]
    rest = [point for point in known if not point["on_front"]][:MOST_DOTS]
    for points, colour, size in ((rest, "gap", 5), (front_of(document), "series_1", 7)):
        for point in points:
            at = _at(point, first, other)
            assert at is not None
            (dot,) = axes.plot(*at, "o", color=light(colour), markersize=size, markeredgewidth=0)
            chart.tip(dot, _tip(document, point))
    for name, axis, objective in (("x", axes.xaxis, first), ("y", axes.yaxis, other)):
        _scale(axes, name, [_shown(point, objective) for point in known])
        axis.set_major_formatter(FuncFormatter(_words(objective)))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(first["words"])
    axes.set_title(other["words"])
    axes.grid(visible=True)


def _scale(axes: Any, name: str, values: list[float | None]) -> None:
    """Logarithmic where the values are far apart, with few enough ticks for their words."""
    known = [value for value in values if value is not None]
    axis = getattr(axes, f"{name}axis")
    if min(known) > 0 and max(known) > FAR_APART * min(known):
        getattr(axes, f"set_{name}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=5))
    else:
        axis.set_major_locator(MaxNLocator(4 if name == "x" else 6))


def _words(objective: Document) -> Callable[[float, int | None], str]:
    return lambda value, _place: shown_value(objective, value / _SCALES.get(objective["unit"], 1.0))


def _at(point: Document, first: Document, other: Document) -> tuple[float, float] | None:
    x, y = _shown(point, first), _shown(point, other)
    return None if x is None or y is None else (x, y)


def _shown(point: Document, objective: Document) -> float | None:
    """The value as it is drawn, so that round words stand at the ticks."""
    value = (point["figures"] or {}).get(objective["column"])
    return None if value is None else value * _SCALES.get(objective["unit"], 1.0)


def _tip(document: Document, point: Document) -> str:
    values = "; ".join(
        f"{one['words']} {shown_value(one, point['figures'][one['column']])}"
        for one in document["objectives"]
    )
    return f"{point_words(document, point)}: {values}"
