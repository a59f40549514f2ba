"""What a report holds, whatever made it: HTML and Markdown know documents by this alone."""

from __future__ import annotations

from typing import NamedTuple

from tracekit.reports.sections.section import Document, Section, Table


class Contents(NamedTuple):
    """A report before it has a format; `headline` is the answer in a sentence or two, or empty."""

    title: str
    headline: str
    labels: Document
    summaries: list[Table]
    sections: list[Section]
    command: str
    schema_version: int


def with_rows(found: list[Section]) -> list[Section]:
    """The sections without tables that have no rows."""
    return [section._replace(tables=[table for table in section.tables if table.rows]) for section in found]
