"""The objectives, and in how many replicates the fleet meets them."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import interval_cell


def objectives_section(document: Document) -> Section:
    """Each objective with its interval over the replicates."""
    answer = document["answer"]
    rows = [
        [
            Cell(slo["name"].replace("_", " ")),
            Cell(units.seconds(slo["limit_s"]), slo["limit_s"]),
            interval_cell(slo["value_s"], units.seconds),
            Cell(f"{answer['replicates'] - slo['missed']} of {answer['replicates']}"),
        ]
        for slo in (answer["slos"] if answer else ())
    ]
    if answer:
        kept = answer["replicates"] - answer["unstable"]
        rows.append([Cell("keeps up"), Cell("-"), Cell("-"), Cell(f"{kept} of {answer['replicates']}")])
    lead = "What the limits are and what the fleet does, by the replicates' median and the range of 95 % of them."
    return Section(
        "objectives",
        "Objectives",
        lead,
        [Table("Objectives on the fleet that is named", ("objective", "limit", "replayed", "met in"), rows)],
    )
