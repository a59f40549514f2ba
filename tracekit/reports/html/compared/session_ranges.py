"""The chart of session times: for each workflow, recorded and on each fleet, a line from p50 to p95 and the mean."""

from __future__ import annotations

from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tracekit import units
from tracekit.reports.html.compared.workflow_panel import (
    RECORDED,
    WorkflowPanel,
    drawn_workflows,
    fleet_colours,
)
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.palette import light, series
from tracekit.reports.sections.compared.rows import fleets, workflow_name

Document = dict[str, Any]
_LEAST_S = 1e-6


def session_ranges(document: Document) -> Chart | None:
    """Recorded first, then the fleets; None where no session has an end."""
    workflows, names = drawn_workflows(document), [RECORDED, *fleets(document)]
    parts = [[workflow["recorded"], *workflow["replays"]] for workflow in workflows]
    if not any(part["session_s"] for row in parts for part in row):
        return None
    label = "Session times by workflow: p50, mean and p95. Data in the tables."
    title, colours = "p50 to p95, mean (log scale)", fleet_colours(document, recorded=True)
    panel = WorkflowPanel("ranges", title, label, workflows, colours, len(names))
    panel.axes.set_xscale("log")
    for row, (workflow, of_workflow) in enumerate(zip(workflows, parts, strict=True)):
        for mark, (name, part) in enumerate(zip(names, of_workflow, strict=True)):
            if part["session_s"] is not None:
                _draw(panel, (row, mark), part["session_s"], f"{workflow_name(workflow)}, {name}")
    panel.axes.xaxis.set_major_locator(LogLocator(subs=(1.0,), numticks=5))
    panel.axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: units.seconds(value)))
    panel.axes.xaxis.set_minor_formatter(NullFormatter())
    panel.axes.grid(visible=True, axis="x")
    return panel.chart


def _draw(panel: WorkflowPanel, place: tuple[int, int], spread: Document, said: str) -> None:
    colour, at = light(series(place[1])), panel.height_of(*place)
    low_s, mean_s, high_s = (max(spread[key], _LEAST_S) for key in ("p50", "mean", "p95"))
    (line,) = panel.axes.plot([low_s, high_s], [at, at], color=colour, linewidth=3, alpha=0.45)
    (dot,) = panel.axes.plot([mean_s], [at], color=colour, marker="o", markersize=4.5)
    words = ", ".join(f"{key} {units.seconds(spread[key])}" for key in ("mean", "p50", "p95"))
    for mark in (line, dot):
        panel.chart.tip(mark, f"{said}: {words}")
