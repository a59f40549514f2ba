"""What the fleet costs."""

from __future__ import annotations

from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import dollars_cell


def cost_section(document: Document) -> Section:
    """Cost a session, a month and a year."""
    answer = document["answer"]
    if not answer:
        return Section("cost", "Cost", "", [])
    cost = answer["cost_usd"]
    span = cost["per_hour_range"]
    rows = [
        [
            Cell(words),
            dollars_cell(cost[key]),
            *(dollars_cell(cost[key] * span[end] / cost["per_hour"]) for end in ("low", "high")),
        ]
        for key, words in (
            ("per_session", "a session"),
            ("per_hour", "an hour"),
            ("per_month", "a month"),
            ("per_year", "a year"),
        )
    ]
    return Section(
        "cost",
        "Cost",
        "Billed GPU time at the catalog's typical price, and at the ends of the range of offers.",
        [Table("Cost", ("", "typical", "lowest offer", "highest offer"), rows)],
    )
