"""All sections of a document of `analyze` or `replay`, in the order in which they are read."""

from __future__ import annotations

from tracekit.reports.sections.assumptions import assumptions_section
from tracekit.reports.sections.contents import Contents, with_rows
from tracekit.reports.sections.energy import energy_section
from tracekit.reports.sections.latency import latency_section
from tracekit.reports.sections.savings import savings_section
from tracekit.reports.sections.section import Document
from tracekit.reports.sections.session_time import time_section
from tracekit.reports.sections.slowest import slowest_section
from tracekit.reports.sections.summary import summary_table
from tracekit.reports.sections.timeline import timeline_section
from tracekit.reports.sections.tokens import tokens_section

_MAKERS = (
    timeline_section,
    time_section,
    energy_section,
    tokens_section,
    latency_section,
    savings_section,
    slowest_section,
    assumptions_section,
)


def analysis_contents(document: Document) -> Contents:
    """All that is read of a recording and its replays; a table without rows is left out."""
    return Contents(
        title=document["trace"],
        headline=document.get("headline") or "",
        labels=document["labels"],
        summaries=[summary_table(document)],
        sections=with_rows([maker(document) for maker in _MAKERS]),
        command=document.get("command") or "",
        schema_version=document["schema_version"],
    )
