"""A titled section of tables: what HTML and Markdown both show, a chart drawn above it or not."""

from __future__ import annotations

from typing import Any, NamedTuple

Document = dict[str, Any]


class Cell(NamedTuple):
    """A value as people read it, what it may lie between, and as it sorts; None sorts last."""

    text: str
    value: float | None = None
    between: str = ""

    @property
    def line(self) -> str:
        """All of it, where there is one way to print a letter."""
        return f"{self.text} ({self.between})" if self.between else self.text


class Table(NamedTuple):
    """Rows under columns, the first of which says what a row is."""

    caption: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]


class Section(NamedTuple):
    """One question of the reader's: `lead` answers it in a sentence or two."""

    key: str
    title: str
    lead: str
    tables: list[Table]
