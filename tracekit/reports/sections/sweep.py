"""The sections of a sweep: its front, every point, those that cannot be, and what is assumed."""

from __future__ import annotations

from tracekit.reports.sections.contents import Contents
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sweep import front_of, point_words, shown_value

MOST_ROWS = 1_000


def sweep_contents(document: Document) -> Contents:
    """All that is read of a sweep."""
    return Contents(
        title=f"Sweep of {document['trace']}",
        headline=document["headline"],
        labels=document.get("labels") or {},
        summaries=[front_table(document)],
        sections=sweep_sections(document),
        command=document.get("command") or "",
        schema_version=document["schema_version"],
    )


def sweep_sections(document: Document) -> list[Section]:
    """All of them, those without a table left out."""
    refused = [point for point in document["points"] if point["error"] is not None]
    sections = [
        Section(
            "points",
            "All points",
            "Every point by its objectives; points of the front are coloured, and CSV or Parquet has every figure.",
            [points_table(document, "Points", _replayed(document)[:MOST_ROWS])],
        ),
        Section(
            "impossible",
            "Combinations that cannot be",
            "They have no figures.",
            [
                Table(
                    "Combinations that cannot be",
                    ("combination", "why"),
                    [
                        [Cell(point_words(document, point)), Cell(point["error"])]
                        for point in refused[:MOST_ROWS]
                    ],
                )
            ],
        ),
        Section(
            "assumptions",
            "Assumptions and sources",
            "Replayed numbers are modelled.",
            [
                Table(
                    "Where numbers come from",
                    ("numbers", "source"),
                    [[Cell(name), Cell(source)] for name, source in document["sources"].items()],
                ),
                Table(
                    "Taken for granted", ("assumption",), [[Cell(note)] for note in document["assumptions"]]
                ),
            ],
        ),
    ]
    kept = [
        section._replace(tables=[table for table in section.tables if table.rows]) for section in sections
    ]
    return [section for section in kept if section.tables]


def front_table(document: Document) -> Table:
    """The points of the front, the best by the first objective first."""
    return points_table(document, "Pareto front", front_of(document))


def points_table(document: Document, caption: str, points: list[Document]) -> Table:
    """Points by their objectives, with intervals where there are seeds."""
    objectives = document["objectives"]
    rows = [
        [Cell(point_words(document, point)), *(_cell(point, objective) for objective in objectives)]
        for point in points
    ]
    return Table(caption, ("scenario", *(_head(objective) for objective in objectives)), rows)


def _head(objective: Document) -> str:
    return f"{objective['words']} (more is better)" if objective["maximised"] else objective["words"]


def _cell(point: Document, objective: Document) -> Cell:
    value = point["figures"][objective["column"]]
    interval = point["intervals"].get(objective["column"])
    words = shown_value(objective, value)
    if interval is not None:
        words += f" ({' to '.join(shown_value(objective, end) for end in interval)})"
    return Cell(words, value)


def _replayed(document: Document) -> list[Document]:
    return [point for point in document["points"] if point["error"] is None]
