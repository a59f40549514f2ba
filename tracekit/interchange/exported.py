"""A trace in another format: what it is made of, and the file that takes it."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tracekit.trace import check_output

LONGEST_NAME = 200


class Exported(NamedTuple):
    """What an export holds: its parts in order, text or bytes, and what a user should know about them."""

    parts: Iterator[str] | Iterator[bytes]
    notes: list[str]


def write_parts(path: Path, parts: Iterable[str | bytes], *, force: bool) -> None:
    """Writes the file atomically, compressed if its name ends in .gz; `-` is stdout.

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder cannot be written.
    OSError : the disk is full; nothing is left behind.
    """
    encoded = (part.encode("utf-8", "replace") if isinstance(part, str) else part for part in parts)
    if str(path) == "-":
        sys.stdout.buffer.writelines(encoded)
        sys.stdout.buffer.flush()
        return
    check_output(path, force=force)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.suffix == ".gz":
            with gzip.open(partial, "wb", 5) as packed:
                packed.writelines(encoded)
        else:
            with partial.open("wb") as plain:
                plain.writelines(encoded)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def cut(name: str) -> str:
    """A name short enough to be drawn; what a program calls itself may be of any length."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
