"""One value beside the published one, and how such rows are written down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A value of ours and the paper's.

    `points`: they are shares in percent, and differ by points instead of a ratio.
    """

    name: str
    ours: float
    published: float
    unit: str = ""
    points: bool = False

    @property
    def difference(self) -> float:
        """In points, or as a share of the published value."""
        return self.ours - self.published if self.points else self.ours / self.published - 1.0

    @property
    def told(self) -> str:
        """The ratio, or the points between them."""
        return f"{self.difference:+.1f} points" if self.points else f"{self.ours / self.published:.2f}"

    def cells(self) -> list[str]:
        """Of a table: name, ours, published, ratio."""
        unit = f" {self.unit}" if self.unit else ""
        return [self.name, f"{number(self.ours)}{unit}", f"{number(self.published)}{unit}", self.told]


def within(rows: Iterable[Row], limit: float) -> int:
    """How many rows differ by no more."""
    return sum(abs(row.difference) <= limit for row in rows)


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"


def percent(share: float) -> str:
    """A share of 1 with its sign."""
    return f"{share * 100:+.0f} %"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def took(*sources: str) -> str:
    """The line under a table that says what the comparison took from the paper."""
    return f"Taken from the paper: {'; '.join(sources)}."
