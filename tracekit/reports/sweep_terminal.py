"""A document of `sweep` on a terminal: the headline, the front, what cannot be, the notes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from tracekit.reports.document import Document
from tracekit.reports.sections.section import Table
from tracekit.reports.sections.sweep import front_table, points_table
from tracekit.reports.sweep import point_words
from tracekit.reports.tables import plain_table
from tracekit.reports.terminal import wide_console

FEW = 16
"""Points up to which all of them are shown, and not just the front."""
MOST = 50


def print_sweep(document: Document, console: Console | None = None) -> None:
    """The whole document."""
    console = console or wide_console()
    console.print(Text(document["headline"], style="bold"), soft_wrap=True)
    replayed = [point for point in document["points"] if point["error"] is None]
    refused = [point for point in document["points"] if point["error"] is not None]
    _print_table(console, front_table(document))
    if len(replayed) <= FEW:
        _print_table(console, points_table(document, "All points", replayed))
    for point in refused[:FEW]:
        console.print(
            Text(f"cannot be: {point_words(document, point)}: {point['error']}", style="yellow"),
            soft_wrap=True,
        )
    if len(refused) > FEW:
        console.print(Text(f"and {len(refused) - FEW} more combinations that cannot be", style="yellow"))
    for note in document["assumptions"]:
        console.print(Text(f"- {note}"), soft_wrap=True)
    for what, source in document["sources"].items():
        console.print(Text(f"- {what}: {source}"), soft_wrap=True)


def _print_table(console: Console, table: Table) -> None:
    shown = plain_table(table.caption, *table.columns)
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in table.rows[:MOST]:
        shown.add_row(*(Text(cell.line) for cell in row))
    console.print(shown)
    if len(table.rows) > MOST:
        console.print(f"{len(table.rows) - MOST} more rows; -o writes all of them", highlight=False)
