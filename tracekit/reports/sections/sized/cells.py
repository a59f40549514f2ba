"""Cells that several sections of a sizing share."""

from __future__ import annotations

from typing import Any

from tracekit import units
from tracekit.reports.sections.section import Cell, Document
from tracekit.reports.words import served_fleet_name


def full_name(verdict: Document) -> str:
    """A fleet with its model and router."""
    fleet = verdict["fleet"]
    return f"{served_fleet_name(fleet, ', ')}, {fleet['router']}"


def dollars_cell(value: float) -> Cell:
    """An amount that sorts by its value."""
    return Cell(units.dollars(value), value)


def interval_text(interval: Document | None, shown: Any) -> str:
    """The median and its 95 % interval; a dash where nothing is known."""
    return interval_cell(interval, shown).line


def interval_cell(interval: Document | None, shown: Any) -> Cell:
    """The same as a cell that sorts by the median."""
    if interval is None:
        return Cell("-")
    median, low, high = (shown(interval[key]) for key in ("median", "low", "high"))
    return Cell(median, interval["median"], "" if median == low == high else f"{low} to {high}")
