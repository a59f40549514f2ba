"""Prometheus' text format, as far as metrics of a server's state need it: names, labels, values, and help texts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_LABELS = r'\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\}'
_SERIES = re.compile(rf"(?P<name>[a-zA-Z_:][\w:]*)\s*(?:{_LABELS})?\s+(?P<value>\S+)")
_LABEL = re.compile(r'(\w+)\s*=\s*"((?:[^"\\]|\\.)*)"')
_HELP = re.compile(r"#\s*HELP\s+(?P<name>\S+)\s+(?P<text>.*)")
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class Series(NamedTuple):
    """One line: a value that is finite."""

    name: str
    labels: dict[str, str]
    value: float


class Exposition(NamedTuple):
    """A page of metrics whose names start with one of the prefixes asked for."""

    series: list[Series]
    help: dict[str, str]


def read_exposition(page: str, prefixes: tuple[str, ...]) -> Exposition:
    """The series whose plain name starts with one of `prefixes`; lines that are none are passed over.

    A plain name has `_` for `:`, which some exporters do not allow, and no `ray_` before it.
    """
    found = Exposition([], {})
    for line in page.splitlines():
        if line.startswith("#"):
            told = _HELP.match(line)
            if told and plain(told["name"]).startswith(prefixes):
                found.help[plain(told["name"])] = told["text"]
        elif plain(line[:80]).startswith(prefixes):
            found.series.extend(_read(line))
    return found


def plain(name: str) -> str:
    """The name in its one spelling."""
    return name.replace(":", "_").removeprefix("ray_")


def _read(line: str) -> Iterator[Series]:
    match = _SERIES.match(line)
    if match is None or match["name"].endswith("_bucket"):
        return
    try:
        value = float(match["value"])
    except ValueError:
        return
    if math.isfinite(value):
        labels = {name: _unescaped(text) for name, text in _LABEL.findall(match["labels"] or "")}
        yield Series(plain(match["name"]), labels, value)


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), text)
