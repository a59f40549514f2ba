"""A sizing on a terminal: the answer first, then what it rests on."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from tracekit.reports.number_table import number_table
from tracekit.reports.sections.section import Table
from tracekit.reports.sections.sized.reading_order import sizing_sections
from tracekit.reports.sections.sized.summary import sizing_summary
from tracekit.reports.terminal import wide_console

Document = dict[str, Any]
ROWS = 15
LEFT_OUT = ("reproduce",)
"""The last line says it."""
LEADS = ("smaller", "against", "daily")
"""Sections whose sentence says what their tables do not: headroom, whether to resize, what elasticity saves."""


def print_sizing(document: Document, console: Console | None = None) -> None:
    """The whole document."""
    console = console or wide_console()
    for name in document["assumed"]:
        console.print(
            Text(f"assumed: {name} (nothing in the trace or on the command line says so)"), soft_wrap=True
        )
    if document["interrupted"]:
        console.print(Text("Interrupted: the best fleet known until then."))
    console.print(Text(document["headline"], style="bold"), soft_wrap=True)
    console.print()
    _print_table(sizing_summary(document), console)
    for section in sizing_sections(document):
        if section.key in LEADS and section.lead:
            console.print(Text(section.lead), soft_wrap=True)
            console.print()
        for table in section.tables if section.key not in LEFT_OUT else ():
            _print_table(table, console)
    console.print(Text(f"{document['replays']:,} replays. Again: {document['command']}"), soft_wrap=True)


def _print_table(table: Table, console: Console) -> None:
    if not table.rows:
        return
    if len(table.columns) == 1:
        for row in table.rows:
            console.print(Text(f"- {row[0].text}"), soft_wrap=True)
        return
    shown = number_table(table.caption, *table.columns)
    for row in table.rows[:ROWS]:
        shown.add_row(*(Text(cell.line) for cell in row))
    console.print(shown)
    if len(table.rows) > ROWS:
        console.print(Text(f"{len(table.rows) - ROWS} more in the reports (-o)"))
