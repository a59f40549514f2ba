"""Files to be written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from tracekit.errors.message import TracekitError


class OutputRefused(TracekitError):
    @classmethod
    def exists(cls, path: Path) -> Self:
        return cls(f"{path} exists already and is not overwritten. Choose another -o, or pass --force.")

    @classmethod
    def unfinished(cls, spool: Path) -> Self:
        return cls(
            f"{spool} holds an unfinished recording under the same name. `tracekit recover {spool}` turns it into "
            "a trace; --force throws it away."
        )

    @classmethod
    def live(cls, spool: Path) -> Self:
        return cls(
            f"{spool} is being recorded right now by another tracekit. Wait for it, or choose another -o."
        )

    @classmethod
    def elsewhere(cls, url: str) -> Self:
        return cls(
            f"{url} is a URL, and files are written on this machine. Choose a path with -o, and copy it there."
        )

    @classmethod
    def is_input(cls, path: Path) -> Self:
        return cls(f"{path} is the trace that is being read, and would be lost. Choose another -o.")

    @classmethod
    def no_picture(cls, path: Path, suffixes: Iterable[str]) -> Self:
        return cls(
            f"{path} does not end in {', '.join(suffixes)}, and that decides the format of a plot. Choose another name."
        )

    @classmethod
    def not_writable(cls, path: Path, reason: str) -> Self:
        return cls(f"{path} cannot be written ({reason}). Choose a folder you may write to with -o.")


class JournalRefused(TracekitError):
    @classmethod
    def unusable(cls, path: Path, reason: str) -> Self:
        return cls(
            f"What is finished cannot be kept in {path} ({reason}). Choose a folder you may write to with -o."
        )

    @classmethod
    def unfinished(cls, path: Path) -> Self:
        return cls(
            f"{path} holds what was finished when the same output was cut off. --resume goes on with it; --force "
            "starts anew."
        )
