"""What each what-if would save."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import interval_cell


def savings_section(document: Document) -> Section:
    """What-ifs by what they would save."""
    found = document["savings"]
    rows = [
        [
            Cell(one["name"] + (" (upper bound)" if one["labels"] else "")),
            Cell("-" if one["needed_replicas"] is None else units.count(one["needed_replicas"])),
            _saving(one["usd_per_year"], "$"),
            _saving(one["session_hours_per_year"]),
            _saving(one["kwh_per_year"]),
            _saving(one["kg_per_year"]),
        ]
        for one in (found["rows"] if found else ())
    ]
    lead = found["lead"] if found else ""
    columns = ("what if", "replicas", "$ a year", "session-hours a year", "kWh a year", "kg CO2e a year")
    warnings = dict.fromkeys(words for one in (found["rows"] if found else ()) for words in one["warnings"])
    return Section(
        "savings",
        "What would save",
        lead,
        [
            Table("Savings", columns, rows),
            Table("What these leave out", ("note",), [[Cell(words)] for words in warnings]),
        ],
    )


def _saving(interval: Document | None, sign: str = "") -> Cell:
    """A saved amount in whole numbers."""
    if interval is None:
        return Cell("holds at no size")

    def shown(value: float) -> str:
        whole = round(value)
        return f"{'-' if whole < 0 else ''}{sign}{abs(whole):,}"

    return interval_cell(interval, shown)
