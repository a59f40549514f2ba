"""Rows of a source that make no sense: counted by reason, the first of each named by its place, none dropped unsaid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tracekit.errors import RowRefused


class BadRow(ValueError):
    """Why a row cannot be used; `shown` is the value at fault, kept out of `reason` so that reasons add up."""

    def __init__(self, reason: str, shown: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.shown = shown

    def __str__(self) -> str:
        return self.reason if self.shown is None else f"{self.reason} (it is {_short(self.shown)})"


class BadRows:
    """The bad rows of an import; `strict` makes the first of them fatal."""

    def __init__(self, *, strict: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self._strict = strict
        self._first: dict[str, str] = {}

    def add(self, path: Path, place: str, fault: BadRow) -> None:
        """Counts one.

        Raises
        ------
        RowRefused : strict.
        """
        if self._strict:
            raise RowRefused.at(path, place, str(fault))
        self.counts[fault.reason] += 1
        self._first.setdefault(fault.reason, f"{path.name}, {place}: {fault}")

    @property
    def total(self) -> int:
        return self.counts.total()

    def lines(self) -> Iterator[str]:
        """One sentence a reason, the most frequent first."""
        for reason, count in self.counts.most_common():
            yield f"{count:,} x {reason}; first {self._first[reason]}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
