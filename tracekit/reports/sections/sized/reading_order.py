"""All sections of a sizing, in the order in which they are read."""

from __future__ import annotations

from tracekit.reports.sections.contents import Contents, with_rows
from tracekit.reports.sections.section import Document, Section
from tracekit.reports.sections.sized.against import against_section
from tracekit.reports.sections.sized.considered import (
    assumptions_section,
    considered_section,
    reproduce_section,
)
from tracekit.reports.sections.sized.daily import daily_section
from tracekit.reports.sections.sized.energy import energy_section, idle_section
from tracekit.reports.sections.sized.front import front_section, sensitivity_section
from tracekit.reports.sections.sized.limits import limits_section
from tracekit.reports.sections.sized.money import cost_section
from tracekit.reports.sections.sized.objectives import objectives_section
from tracekit.reports.sections.sized.savings import savings_section
from tracekit.reports.sections.sized.summary import sizing_summary

MAKERS = (
    against_section,
    objectives_section,
    limits_section,
    cost_section,
    energy_section,
    idle_section,
    daily_section,
    savings_section,
    front_section,
    sensitivity_section,
    considered_section,
    reproduce_section,
    assumptions_section,
)


def sizing_sections(document: Document) -> list[Section]:
    """All sections; a table without rows is left out."""
    return with_rows([maker(document) for maker in MAKERS])


def sizing_contents(document: Document) -> Contents:
    """All that is read of a sizing."""
    summary = sizing_summary(document)
    return Contents(
        title=f"Sizing for {document['trace']}",
        headline=document["headline"],
        labels={"assumed": "; ".join(document["assumed"])} if document["assumed"] else {},
        summaries=[summary] if summary.rows else [],
        sections=sizing_sections(document),
        command=document.get("command") or "",
        schema_version=document["schema_version"],
    )
