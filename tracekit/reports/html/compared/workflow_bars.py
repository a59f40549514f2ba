"""A small chart of one measure: a bar for each workflow and fleet, its value written beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tracekit.reports.html.compared.workflow_panel import WorkflowPanel, drawn_workflows, fleet_colours
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.palette import light, series
from tracekit.reports.html.stack import write_beside
from tracekit.reports.sections.compared.rows import fleets, workflow_name

Document = dict[str, Any]


class Measure(NamedTuple):
    """What a replay says of a workflow, and how it is written."""

    key: str
    title: str
    value: Callable[[Document], float | None]
    shown: Callable[[float | None], str]


def workflow_bars(document: Document, measure: Measure) -> Chart | None:
    """None where no replay knows it."""
    workflows, names = drawn_workflows(document), fleets(document)
    values = [measure.value(replay) for workflow in workflows for replay in workflow["replays"]]
    largest = max((value for value in values if value is not None), default=None)
    if largest is None:
        return None
    label = f"{measure.title}, by workflow and fleet. Data in the tables."
    panel = WorkflowPanel(measure.key, measure.title, label, workflows, fleet_colours(document), len(names))
    for row, workflow in enumerate(workflows):
        for mark, (name, replay) in enumerate(zip(names, workflow["replays"], strict=True)):
            said = f"{workflow_name(workflow)} on {name}"
            _draw(panel, measure, (row, mark), measure.value(replay), said)
    panel.axes.set_xlim(0, 1.38 * largest if largest else 1)
    panel.without_axis()
    return panel.chart


def _draw(
    panel: WorkflowPanel, measure: Measure, place: tuple[int, int], value: float | None, said: str
) -> None:
    at = panel.height_of(*place)
    if value is None:
        write_beside(panel.axes, 0.0, at, "unknown")
        return
    (bar,) = panel.axes.barh(at, value, panel.thickness, color=light(series(place[1] + 1)), edgecolor="none")
    panel.chart.tip(bar, f"{said}: {measure.title} {measure.shown(value)}")
    write_beside(panel.axes, value, at, measure.shown(value))
