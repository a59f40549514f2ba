"""Files of others that are imported."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError
from tracekit.location import url_meant


class SourceUnreadable(TracekitError):
    @classmethod
    def missing(cls, path: Path, reason: str) -> Self:
        if (url := url_meant(path)) is not None:
            return cls(f"{url} is a URL, and what is imported is read on this machine. Fetch the file first.")
        return cls(f"{path} cannot be opened ({reason}). Check the path.")

    @classmethod
    def damaged(cls, path: Path, place: str, reason: str) -> Self:
        return cls(f"{path} is damaged after {place}: {reason}. Nothing was written; fetch the file again.")

    @classmethod
    def foreign(cls, path: Path, name: str, reason: str, similar: str | None) -> Self:
        hint = f" It looks like {similar}: `tracekit import {similar} {path} ...`." if similar else ""
        return cls(
            f"{path} is no {name} file: {reason}.{hint} The fields of each format: `tracekit import --help`."
        )

    @classmethod
    def beyond_time(cls, length_ns: int) -> Self:
        return cls(
            f"The times of the source span {length_ns / 3.156e16:,.0f} years, more than a trace can hold. Nothing was "
            "written; check the unit of its times."
        )

    @classmethod
    def empty(cls, paths: list[Path]) -> Self:
        return cls(f"No request in {', '.join(map(str, paths))}. Nothing was written.")


class RowRefused(TracekitError):
    @classmethod
    def at(cls, path: Path, place: str, fault: str) -> Self:
        return cls(
            f"{path}, {place}: {fault}. Nothing was written. Correct it, or leave out --strict to skip and count "
            "such rows."
        )
