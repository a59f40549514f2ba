"""One small chart of workflows: a name, under it a mark for each fleet. It is as wide as a phone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.palette import light, series
from tracekit.reports.sections.compared.rows import fleets, workflow_name
from tracekit.reports.words import shown_name

Document = dict[str, Any]
RECORDED = "recorded"
MARKS = 60
"""Drawn at most in a chart, one below the other; the tables have all."""
WIDTH = 3.07
_NAME_INCHES = 0.25
_MARK_INCHES = 0.19
_GAP_INCHES = 0.09


def drawn_workflows(document: Document) -> list[Document]:
    """As many as there is room for, in their order."""
    workflows: list[Document] = document["workflows"]
    return workflows[: max(1, MARKS // max(1, len(fleets(document))))]


def fleet_colours(document: Document, *, recorded: bool = False) -> dict[str, str]:
    """The key of a chart: words by their colour's name, a colour that comes again under its first words."""
    names = dict(enumerate([RECORDED, *fleets(document)]))
    told: dict[str, str] = {}
    for place, name in names.items():
        if place or recorded:
            known = told.get(series(place))
            told[series(place)] = shown_name(name) if known is None else f"{known}, {shown_name(name)}"
    return told


class WorkflowPanel:
    """The chart under way: `axes` run from 0 at the top, an inch an inch; made within `drawing`."""

    def __init__(
        self,
        key: str,
        title: str,
        label: str,
        workflows: Sequence[Document],
        colours: dict[str, str],
        marks: int,
    ) -> None:
        self._row_inches = _NAME_INCHES + _MARK_INCHES * marks + _GAP_INCHES
        height = self._row_inches * len(workflows)
        self.chart = Chart(key, label, WIDTH, height + 0.5, colours=colours)
        self.axes = self.chart.figure.subplots()
        self.axes.set_title(title)
        self.axes.set_ylim(height, 0)
        self.axes.set_yticks([])
        self.axes.spines["left"].set_visible(False)
        for row, workflow in enumerate(workflows):
            self._write_name(row, workflow)

    def _write_name(self, row: int, workflow: Document) -> None:
        self.axes.annotate(
            shown_name(workflow_name(workflow), 34),
            (0, row * self._row_inches + _NAME_INCHES / 2 + 0.03),
            xycoords=("axes fraction", "data"),
            va="center",
            color=light("ink"),
        )

    def height_of(self, row: int, mark: int) -> float:
        """Where the middle of a workflow's mark lies."""
        return row * self._row_inches + _NAME_INCHES + _MARK_INCHES * (mark + 0.5)

    @property
    def thickness(self) -> float:
        """Of a bar."""
        return _MARK_INCHES * 0.92

    def without_axis(self) -> None:
        """For marks that say their values themselves."""
        self.axes.set_xticks([])
        self.axes.spines["bottom"].set_visible(False)
