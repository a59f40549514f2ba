"""The document as Markdown for a pull request: the answer, one summary table, the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tracekit.reports.sections import Section, Table, sections, summary_table
from tracekit.reports.words import shown_name

Document = dict[str, Any]
LIMIT = 65_536
"""Characters that GitHub takes in a comment."""
ROWS = 30
LONGEST_CELL = 400
_LEFT_OUT = "\n_Left out for length: {}. The HTML report has everything._\n"
_MARKS = re.compile(r"([\\`*_{}\[\]#|~$])")


def markdown_report(document: Document, limit: int = LIMIT) -> str:
    """The report, at most `limit` characters long; sections that no longer fit are named instead."""
    text = _head(document)
    end = _command(document)
    found = [section for section in sections(document) if section.tables]
    left_out: list[str] = []
    for section in found:
        part = _details(section)
        reserve = len(end) + len(_LEFT_OUT) + sum(len(other.title) + 2 for other in found)
        if len(text) + len(part) + reserve > limit:
            left_out.append(section.title)
        else:
            text += part
    if left_out:
        text += _LEFT_OUT.format(", ".join(left_out))
    return text + end


def _head(document: Document) -> str:
    headline = document.get("headline")
    answer = f"**{_escaped(headline)}**\n\n" if headline else ""
    labels = _escaped("; ".join(f"{name}: {text}" for name, text in document["labels"].items()))
    told = f"{labels}\n\n" if labels else ""
    return f"## tracekit\n\n{answer}{told}{_table(summary_table(document))}"


def _details(section: Section) -> str:
    tables = "\n".join(f"**{_escaped(table.caption)}**\n\n{_table(table)}" for table in section.tables)
    title = f"<details><summary>{_escaped(section.title)}</summary>"
    return f"\n{title}\n\n{_escaped(section.lead)}\n\n{tables}\n</details>\n"


def _table(table: Table) -> str:
    lines = [
        _line(table.columns),
        "|" + "|".join([":--", *["--:"] * (len(table.columns) - 1)]) + "|",
        *(_line(cell.text for cell in row) for row in table.rows[:ROWS]),
    ]
    more = len(table.rows) - ROWS
    return "\n".join(lines) + "\n" + (f"\n{more} more rows\n" if more > 0 else "")


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    """The text as text: nothing in it is markup, a link or a mention."""
    shown = shown_name(text, LONGEST_CELL)
    shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", shown).replace("@", "@\u200b").replace("://", ":\u200b//")


def _command(document: Document) -> str:
    command = document.get("command")
    if not command:
        return ""
    fence = "`" * (max(map(len, re.findall(r"`+", command)), default=0) + 3)
    return f"\n{fence}\n{shown_name(command, 2000)}\n{fence}\n"
