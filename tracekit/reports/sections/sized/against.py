"""A new recording beside what was foreseen."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import interval_cell

SHAPE = {
    "sessions": "sessions recorded",
    "calls": "calls a session",
    "input_tokens": "input tokens a session",
    "output_tokens": "output tokens a session",
    "tool_s": "tool seconds a session",
}


def against_section(document: Document) -> Section:
    """The new recording beside what was foreseen."""
    found = document["against"]
    if found is None:
        return Section("against", "Forecast and recording", "", [])
    rows = [
        [
            Cell(row["name"].replace("_", " ")),
            Cell(units.seconds(row["limit_s"]), row["limit_s"]),
            interval_cell(row["foreseen_s"], units.seconds),
            Cell(units.seconds(row["recorded_s"]), row["recorded_s"]),
            Cell({None: "unknown", True: "outside", False: "as foreseen"}[row["is_outside"]]),
        ]
        for row in found["slos"]
    ]
    shape = [
        [
            Cell(words),
            Cell(f"{pair['foreseen']:.4g}", pair["foreseen"]),
            Cell(f"{pair['now']:.4g}", pair["now"]),
        ]
        for words, pair in (
            ("sessions a second", found["rate_per_s"]),
            *((SHAPE[name], pair) for name, pair in found["shape"].items()),
        )
    ]
    return Section(
        "against",
        "Forecast and recording",
        f"{found['words']} The rule: {found['rule']}.",
        [
            Table(
                "Objectives, foreseen and recorded", ("objective", "limit", "foreseen", "recorded", ""), rows
            ),
            Table("Load and sessions, then and now", ("", "then", "now"), shape),
        ],
    )
