"""The document as Markdown for a pull request: the answer, one summary table, the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tracekit.reports.sections.contents import Contents
from tracekit.reports.sections.section import Section, Table
from tracekit.reports.words import shown_name

LIMIT = 65_536
"""Characters that GitHub takes in a comment."""
ROWS = 30
LONGEST_CELL = 400
_LEFT_OUT = "\n_Left out for length: {}. The HTML report has everything._\n"
_MARKS = re.compile(r"([\\`*_{}\[\]#|~$])")


class _Part(NamedTuple):
    """What is either in the report as a whole, or named as left out."""

    title: str
    text: str


def markdown_report(contents: Contents, limit: int = LIMIT) -> str:
    """The report, at most `limit` characters long; what no longer fits is named instead."""
    text = _head(contents)
    end = _command(contents.command)
    parts = [
        *_summaries(contents.summaries),
        *(_details(section) for section in contents.sections if section.tables),
    ]
    reserve = len(end) + len(_LEFT_OUT) + sum(len(part.title) + 2 for part in parts)
    left_out: list[str] = []
    for part in parts:
        if len(text) + len(part.text) + reserve > limit:
            left_out.append(part.title)
        else:
            text += part.text
    if left_out:
        text += _LEFT_OUT.format(", ".join(left_out))
    return text + end


def _head(contents: Contents) -> str:
    answer = f"**{escaped(contents.headline)}**\n\n" if contents.headline else ""
    labels = escaped("; ".join(f"{name}: {text}" for name, text in contents.labels.items()))
    told = f"{labels}\n\n" if labels else ""
    return f"## tracekit\n\n{answer}{told}"


def _summaries(summaries: list[Table]) -> list[_Part]:
    """The only one speaks for itself; several say what they are of."""
    if len(summaries) == 1:
        return [_Part("Summary", markdown_table(summaries[0]))]
    return [
        _Part(table.caption, f"\n**{escaped(table.caption)}**\n\n{markdown_table(table)}")
        for table in summaries
    ]


def _details(section: Section) -> _Part:
    tables = "\n".join(f"**{escaped(table.caption)}**\n\n{markdown_table(table)}" for table in section.tables)
    title = f"<details><summary>{escaped(section.title)}</summary>"
    return _Part(section.title, f"\n{title}\n\n{escaped(section.lead)}\n\n{tables}\n</details>\n")


def markdown_table(table: Table) -> str:
    """A table whose cells are text and nothing else."""
    lines = [
        _line(table.columns),
        "|" + "|".join([":--", *["--:"] * (len(table.columns) - 1)]) + "|",
        *(_line(cell.line for cell in row) for row in table.rows[:ROWS]),
    ]
    more = len(table.rows) - ROWS
    return "\n".join(lines) + "\n" + (f"\n{more} more rows\n" if more > 0 else "")


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(text: str) -> str:
    """The text as text: nothing in it is markup, a link or a mention."""
    shown = shown_name(text, LONGEST_CELL)
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", shown).replace("@", "@\u200b").replace("://", ":\u200b//")


def _command(command: str) -> str:
    if not command:
        return ""
    fence = "`" * (max(map(len, re.findall(r"`+", command)), default=0) + 3)
    return f"\n{fence}\n{shown_name(command, 2000)}\n{fence}\n"
