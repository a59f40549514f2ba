"""The .env files that a program may load: what they say of its servers must not be hidden by what we set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

FILES = (".env.local", ".env")
LONGEST_BYTES = 1_000_000
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$")


def beside(command: Sequence[str], directory: Path) -> dict[str, str]:
    """The variables in the nearest .env files of the working directory and of the command's own files.

    They are read for the names that `variables` knows and never kept. A file that cannot be read says nothing.
    """
    found: dict[str, str] = {}
    for place in _places(command, directory):
        for name, value in _nearest(place):
            found.setdefault(name, value)
    return found


def _places(command: Sequence[str], directory: Path) -> Iterator[Path]:
    yield directory
    for word in command:
        path = directory / word
        try:
            if path.is_file():
                yield path.resolve().parent
        except OSError:  # a word that is no path
            continue


def _nearest(place: Path) -> Iterator[tuple[str, str]]:
    for folder in (place, *place.parents):
        files = [folder / name for name in FILES if (folder / name).is_file()]
        if files:
            for file in files:
                yield from _variables(file)
            return


def _variables(file: Path) -> Iterator[tuple[str, str]]:
    try:
        with file.open("rb") as stream:
            text = stream.read(LONGEST_BYTES).decode("utf-8", "replace")
    except OSError:
        return
    for line in text.splitlines():
        if match := _LINE.match(line):
            yield match[1], _value(match[2])


def _value(text: str) -> str:
    for quote in ('"', "'"):
        if text.startswith(quote) and text.find(quote, 1) > 0:
            return text[1 : text.find(quote, 1)]
    return re.sub(r"\s+#.*$", "", text)
