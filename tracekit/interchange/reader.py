"""What a format is: a reader that takes files one after the other, row by row, and bad rows as they come."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracekit.errors import SourceUnreadable
from tracekit.interchange.bad_rows import BadRow, BadRows
from tracekit.interchange.imported import ImportedTrace
from tracekit.interchange.source import Source


@dataclass(frozen=True)
class Settings:
    """What the user said about the source; None where nothing was said.

    `columns` maps its columns to our fields (requests); `block_tokens` is the length of a hashed block.
    `similar` names the format that fields look like, for a hint.
    """

    name: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    block_tokens: int | None = None
    similar: Callable[[set[str]], str | None] = lambda _fields: None


class Reader(ABC):
    """Reads files of one format into a trace: `read` for each file, then `finish`.

    `clock` says what the source counts times from, where that is no date.
    """

    clock: str | None = None

    def __init__(self, trace: ImportedTrace, bad_rows: BadRows, settings: Settings) -> None:
        self.trace = trace
        self.bad_rows = bad_rows
        self.settings = settings

    @abstractmethod
    def read(self, source: Source) -> None:
        """Takes one file.

        Raises
        ------
        SourceUnreadable : it is damaged, or of another format.
        RowRefused : a row is bad, and the import strict.
        """

    @abstractmethod
    def finish(self) -> None:
        """Writes what could only be written after the last row."""


class JsonLinesReader(Reader):
    """A format with one JSON object a line; `path` and `line` say where the row at hand is."""

    path = Path()
    line = 0

    def read(self, source: Source) -> None:
        """Takes one file, line by line."""
        self.begin(source)
        self.path = source.path
        taken, keys = 0, None
        first_fault: BadRow | None = None
        for self.line, text in source.lines():
            try:
                row = json_object(text)
                if keys is None:
                    keys = set(row)
                self.take(row)
                taken += 1
            except BadRow as fault:
                self.bad_rows.add(source.path, f"line {self.line}", fault)
                first_fault = first_fault or fault
        if not taken and first_fault is not None:
            similar = self.settings.similar(keys or set())
            raise SourceUnreadable.foreign(
                source.path,
                self.settings.name,
                f"none of its lines can be used; the first: {first_fault}",
                similar,
            )

    def begin(self, source: Source) -> None:
        """Called before the first row of each file."""

    @abstractmethod
    def take(self, row: dict[str, Any]) -> None:
        """Takes one row.

        Raises
        ------
        BadRow : it cannot be used; nothing of it was kept.
        """


def json_object(text: bytes) -> dict[str, Any]:
    """The JSON object in `text`.

    Raises
    ------
    BadRow : there is none.
    """
    try:
        value = json.loads(text)
    except ValueError:
        raise BadRow("it is not JSON", text[:40].decode(errors="replace")) from None
    except RecursionError:
        raise BadRow("its JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise BadRow("it is not a JSON object", value)
    return value


def first_of(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value under the first of `names` that the row has, else None."""
    return next((row[name] for name in names if row.get(name) is not None), None)
