"""A trace in another format: its lines, and the file they go to."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tracekit.trace import check_output


class Exported(NamedTuple):
    """What an export holds: its lines, and what a user should know about them."""

    lines: Iterator[str]
    notes: list[str]


def write_lines(path: Path, lines: Iterable[str], *, force: bool) -> None:
    """Writes the file atomically, compressed if its name ends in .gz; `-` is stdout.

    Raises
    ------
    OutputRefused : the file exists and `force` is off, or its folder cannot be written.
    OSError : the disk is full; nothing is left behind.
    """
    if str(path) == "-":
        sys.stdout.writelines(lines)
        return
    check_output(path, force=force)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.suffix == ".gz":
            with gzip.open(partial, "wt", 5, encoding="utf-8") as packed:
                packed.writelines(lines)
        else:
            with partial.open("w", encoding="utf-8") as plain:
                plain.writelines(lines)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
