"""All sections of a document of `compare`, in the order in which they are read."""

from __future__ import annotations

from tracekit.reports.sections.assumptions import assumptions_section
from tracekit.reports.sections.compared.cost import cost_section
from tracekit.reports.sections.compared.energy import energy_section
from tracekit.reports.sections.compared.latency import latency_section
from tracekit.reports.sections.compared.rows import workflow_name
from tracekit.reports.sections.compared.summary import summary_tables
from tracekit.reports.sections.compared.workflows import workflows_section
from tracekit.reports.sections.contents import Contents, with_rows
from tracekit.reports.sections.section import Document, Section

_LONGEST_TITLE = 8
"""Workflows that the title names."""


def comparison_contents(document: Document) -> Contents:
    """All that is read of a comparison; a table without rows is left out."""
    found = [
        latency_section(document),
        energy_section(document),
        cost_section(document),
        workflows_section(document),
        _assumptions(document),
    ]
    return Contents(
        title=_title(document["workflows"]),
        headline=document["headline"],
        labels={},
        summaries=summary_tables(document),
        sections=with_rows(found),
        command=document.get("command") or "",
        schema_version=document["schema_version"],
    )


def _title(workflows: list[Document]) -> str:
    names = [workflow_name(workflow) for workflow in workflows[:_LONGEST_TITLE]]
    more = len(workflows) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "") + " compared"


def _assumptions(document: Document) -> Section:
    """Fleets are the same for all workflows, so their error is told once."""
    return assumptions_section(
        {
            "replays": document["workflows"][0]["replays"],
            "sources": document["sources"],
            "assumptions": document["assumptions"],
        }
    )
