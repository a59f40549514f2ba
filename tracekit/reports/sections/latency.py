"""Distributions of latencies as percentiles."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.columns import columns_of
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.words import LATENCIES


def latency_section(document: Document) -> Section:
    """A table of percentiles for the recording and for each replay."""
    columns = ("", "n", "mean", "p50", "p90", "p95", "p99")
    tables = []
    for name, part in columns_of(document):
        rows = [
            [
                Cell(words),
                Cell(units.count(spread["n"]), spread["n"]),
                *(
                    Cell(units.seconds(spread[key]), spread[key])
                    for key in ("mean", "p50", "p90", "p95", "p99")
                ),
            ]
            for key, words in LATENCIES.items()
            if (spread := part.get(key)) is not None
        ]
        tables.append(Table(f"Latency, {name}", columns, rows))
    return Section(
        "latency",
        "Latency",
        "How many percent of calls, or sessions, took no longer than this.",
        tables,
    )
