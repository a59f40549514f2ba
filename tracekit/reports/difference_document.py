"""What two documents differ in, as a document, a table on a terminal and Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from tracekit.reports.budget import Verdict
from tracekit.reports.difference import Change, Difference
from tracekit.reports.document import SCHEMA_VERSION, Document
from tracekit.reports.markdown import escaped, markdown_table
from tracekit.reports.metric import unit_of
from tracekit.reports.number_table import number_table
from tracekit.reports.sections.section import Cell, Table
from tracekit.reports.words import shown_name

LONGEST = 160
"""Of a setting that is shown in a table."""


def difference_document(
    names: tuple[str, str],
    documents: tuple[Document, Document],
    told: Difference,
    verdicts: Sequence[Verdict],
) -> Document:
    """All of it as JSON; null is unknown, `relative` is of A, null from 0."""
    a, b = documents
    shared = {
        name: text
        for name, text in (a.get("sources") or {}).items()
        if (b.get("sources") or {}).get(name) == text
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "a": names[0],
        "b": names[1],
        "trace": a.get("trace") if a.get("trace") == b.get("trace") else None,
        "inputs": [row._asdict() for row in told.inputs],
        "parts": [
            {"name": part.name, "numbers": [_number(change) for change in part.changes.values()]}
            for part in told.parts
        ],
        "budgets": [_budget(verdict) for verdict in verdicts],
        "assumptions": [note for note in a.get("assumptions") or [] if note in (b.get("assumptions") or [])],
        "sources": shared,
    }


def _number(change: Change) -> Document:
    relative = change.relative
    return {
        "name": change.name,
        "path": change.path,
        "a": change.a,
        "b": change.b,
        "change": change.difference,
        "relative": None if relative is None or math.isinf(relative) else relative,
    }


def _budget(verdict: Verdict) -> Document:
    budget = verdict.budget
    return {
        "text": budget.text,
        "part": verdict.part,
        "value": None if math.isinf(verdict.value) else verdict.value,
        "limit": budget.limit,
        "broken": verdict.is_broken,
    }


def print_difference(
    names: tuple[str, str], told: Difference, verdicts: Sequence[Verdict], console: Console
) -> None:
    """Tables of what went in differently and of the numbers that changed, then the budgets."""
    for line in _lines(names, told, verdicts):
        if isinstance(line, str):
            console.print(Text(line), soft_wrap=True)
            continue
        table = number_table(line.caption, *line.columns)
        for row in line.rows:
            table.add_row(*(Text(cell.line) for cell in row))
        console.print(table)


def markdown_difference(names: tuple[str, str], told: Difference, verdicts: Sequence[Verdict]) -> str:
    """The same for a pull request."""
    lines = _lines(names, told, verdicts)
    parts = [
        "## tracekit diff",
        *(
            escaped(line)
            if isinstance(line, str)
            else f"**{escaped(line.caption)}**\n\n{markdown_table(line)}".rstrip()
            for line in lines
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _lines(names: tuple[str, str], told: Difference, verdicts: Sequence[Verdict]) -> Iterator[str | Table]:
    yield f"A: {names[0]}"
    yield f"B: {names[1]}"
    if told.inputs:
        rows = [[Cell(row.what), Cell(_setting(row.a)), Cell(_setting(row.b))] for row in told.inputs]
        yield Table(
            "What differs beside numbers"
            if told.parts and not told.parts[0].name
            else "What went in differently",
            ("", "A", "B"),
            rows,
        )
    for part in told.parts:
        changed = [change for change in part.changes.values() if change.differs]
        same = sum(change.is_known for change in part.changes.values()) - len(changed)
        if changed:
            title = f"Numbers that changed: {part.name}" if part.name else "Numbers that changed"
            yield Table(title, ("", "A", "B", "change", "relative"), [_row(change) for change in changed])
        yield f"{same:,} {'other ' if changed else ''}numbers are the same{f' ({part.name})' if part.name else ''}."
    yield from (_verdict_words(verdict) for verdict in verdicts)


def _setting(value: str | None) -> str:
    return "-" if value is None else shown_name(value, LONGEST)


def _row(change: Change) -> list[Cell]:
    unit = unit_of(change.path)
    return [
        Cell(change.name),
        Cell(_known(change.a, unit.shown), change.a),
        Cell(_known(change.b, unit.shown), change.b),
        Cell(_signed(change, unit.shown), change.difference),
        Cell(relative_words(change.relative), change.relative),
    ]


def _known(value: float | None, shown: Callable[[float | None], str]) -> str:
    return "unknown" if value is None else shown(value)


def _signed(change: Change, shown: Callable[[float | None], str]) -> str:
    if change.difference is None:
        return "-"
    return f"{'+' if change.difference > 0 else ''}{shown(change.difference)}"


def relative_words(relative: float | None) -> str:
    """A relative change: +12.3 %; from 0 it has no size."""
    if relative is None:
        return "-"
    return "from 0" if math.isinf(relative) else f"{relative:+.1%}".replace("%", " %")


def _verdict_words(verdict: Verdict) -> str:
    budget = verdict.budget
    unit = unit_of(budget.path)
    value = relative_words(verdict.value) if budget.is_relative else unit.shown(verdict.value)
    if budget.is_change and not budget.is_relative and verdict.value > 0:
        value = f"+{value}"
    where = f" ({verdict.part})" if verdict.part else ""
    return f"{'BROKEN' if verdict.is_broken else 'kept'}: {budget.text}: it is {value}{where}"
