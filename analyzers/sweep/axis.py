"""What a sweep varies: one switch and its values, from `NAME=VALUE,VALUE` or a table [sweep]."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tracekit.analyzers.what_if.asked import checked_what_if, flat, switch_named
from tracekit.errors import SweepInvalid

TABLE = "sweep"
Given = str | int | float | bool


class Axis(NamedTuple):
    """A switch by name and the values it takes, as they were given."""

    name: str
    values: tuple[Given, ...]


def axes_of_texts(texts: Iterable[str]) -> list[Axis]:
    """The axes of texts such as `replicas=1,2,4`.

    Raises
    ------
    SweepInvalid, WhatIfInvalid, UnknownName : one cannot be read, is given twice, or is no switch or value.
    """
    found = []
    for text in texts:
        name, equals, rest = (word.strip() for word in text.partition("="))
        values = [value.strip() for value in rest.split(",")]
        if not (name and equals and all(values)):
            raise SweepInvalid.unreadable(text)
        found.append(axis_of(name, values))
    return _each_once(found)


def axes_of_file(path: Path) -> list[Axis]:
    """The axes of a TOML file's table [sweep]; none if it has no such table.

    Raises
    ------
    SweepInvalid, WhatIfInvalid, UnknownName : it cannot be read, or asks for what cannot be.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8")).get(TABLE, {})
    except (OSError, ValueError) as error:
        raise SweepInvalid.file(path, str(error)) from error
    if not isinstance(table, dict):
        raise SweepInvalid.file(path, f"'{TABLE}' is no table")
    return [axis_of(name, values if isinstance(values, list) else [values]) for name, values in flat(table)]


def axis_of(name: str, values: Sequence[object]) -> Axis:
    """The switch with these values, each checked. Raises SweepInvalid, WhatIfInvalid, UnknownName."""
    switch_named(name)
    if not values:
        raise SweepInvalid.no_values(name)
    told = [checked_what_if({name: value})[name] for value in values]
    return Axis(name, tuple(dict.fromkeys(told)))


def joined(first: Iterable[Axis], second: Iterable[Axis]) -> list[Axis]:
    """Both; where both have a switch, the second's values."""
    return list(({axis.name: axis for axis in first} | {axis.name: axis for axis in second}).values())


def _each_once(axes: list[Axis]) -> list[Axis]:
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise SweepInvalid.twice(name)
    return axes
