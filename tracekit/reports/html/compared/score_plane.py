"""The charts of what a score costs: mean score over a session's time or energy, a dot a workflow and fleet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tracekit.reports.html.compared.workflow_panel import WIDTH, drawn_workflows, fleet_colours
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.palette import light, series
from tracekit.reports.sections.compared.rows import fleets, workflow_name
from tracekit.reports.words import shown_name

Document = dict[str, Any]


def score_plane(
    document: Document,
    title: str,
    value_of: Callable[[Document], float | None],
    shown: Callable[[float | None], str],
) -> Chart | None:
    """Names stand at the first fleet's dots; None where no workflow has a score."""
    scored = [workflow for workflow in drawn_workflows(document) if workflow["score"] is not None]
    if not scored:
        return None
    chart = Chart(
        title.replace(" ", "-"), f"{title}. Data in the summary.", WIDTH, 2.6, colours=fleet_colours(document)
    )
    axes = chart.figure.subplots()
    axes.set_title(title)
    for place, name in enumerate(fleets(document)):
        for workflow in scored:
            value, score = value_of(workflow["replays"][place]), workflow["score"]["mean"]
            if not value:
                continue
            (dot,) = axes.plot([value], [score], marker="o", markersize=6, color=light(series(place + 1)))
            chart.tip(dot, f"{workflow_name(workflow)} on {name}: score {score:.3g}, {shown(value)}")
            if place == 0:
                _write_name(axes, value, score, workflow)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: shown(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.18, y=0.2)
    axes.grid(visible=True)
    return chart


def _write_name(axes: Any, value: float, score: float, workflow: Document) -> None:
    axes.annotate(
        shown_name(workflow_name(workflow), 16),
        (value, score),
        (0, 7),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
    )
