"""Rows of a comparison: a workflow each, with figures and how many times the baseline's they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Table
from tracekit.reports.words import fleet_name, shown_name

MakeCells = Callable[[Document], list[Cell]]


def times(value: float | None) -> Cell:
    """How many times the baseline: 3.2x."""
    return Cell("-" if value is None else f"{value:.3g}x", value)


def seconds(value_s: float | None) -> Cell:
    """A duration."""
    return Cell(units.seconds(value_s), value_s)


def watt_hours(value: float | None) -> Cell:
    """Watt-hours; the column says so."""
    return Cell(units.ratio(value), value)


def workflow_name(workflow: Document) -> str:
    """As it is shown: one line, cut."""
    return shown_name(workflow["name"]) or "unnamed"


def fleets(document: Document) -> list[str]:
    """The fleets that every workflow was replayed on, by name."""
    return [fleet_name(replay["fleet"]) for replay in document["workflows"][0]["replays"]]


def replay_tables(
    document: Document, caption: str, columns: tuple[str, ...], cells: MakeCells
) -> Iterator[Table]:
    """A table for each fleet; `cells` makes a workflow's from its replay there."""
    for place, fleet in enumerate(fleets(document)):
        rows = [
            [Cell(workflow_name(workflow)), *cells(workflow["replays"][place])]
            for workflow in document["workflows"]
        ]
        yield Table(f"{caption} on {fleet}", ("workflow", *columns), rows)
