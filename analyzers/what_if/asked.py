"""What-ifs as they are asked for: `a=b,c=d` on a command line, a table [what_if] in a fleet file."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tracekit.analyzers.what_if.domain import Value
from tracekit.analyzers.what_if.registry import SWITCHES
from tracekit.analyzers.what_if.switch import Subject, Switch
from tracekit.errors import ScenarioInvalid, UnknownName, WhatIfInvalid

TABLE = "what_if"
ROLES = ("prefill", "decode")
Asked = dict[str, str | int | float | bool]


def parse_what_if(*texts: str) -> Asked:
    """The switches of texts such as `prefix_cache=off,tools.speculative=0.6`, by name.

    Raises
    ------
    WhatIfInvalid, UnknownName : one is no NAME=VALUE, is given twice, is not known or does not take that value.
    """
    asked: Asked = {}
    for part in (part for text in texts for part in text.split(",")):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not (name and equals and value):
            raise WhatIfInvalid.unreadable(part)
        _add(asked, name, value)
    return asked


def what_if_of_file(path: Path) -> Asked:
    """The switches of a fleet file's table [what_if], by name; none if it has no such table.

    Raises
    ------
    ScenarioInvalid, WhatIfInvalid, UnknownName : the file cannot be read, or asks for what cannot be.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioInvalid.unreadable(path, str(error)) from error
    table = tables.get(TABLE, {})
    for name in difflib.get_close_matches(TABLE, [name for name in tables if name != TABLE], 1, 0.7):
        raise UnknownName.among(f"table of {path}", name, [TABLE])
    if not isinstance(table, dict):
        raise ScenarioInvalid.unreadable(path, f"'{TABLE}' is no table")
    return checked_what_if(dict(flat(table)))


def checked_what_if(asked: Mapping[str, object]) -> Asked:
    """The same with every name and value checked. Raises WhatIfInvalid, UnknownName."""
    told: Asked = {}
    for name, value in asked.items():
        _add(told, name, value)
    return told


def switch_named(name: str) -> tuple[str | None, Switch]:
    """The pool that a name begins with, if it does, and the switch. Raises UnknownName."""
    if name in SWITCHES:
        return None, SWITCHES[name]
    pool, _dot, rest = name.partition(".")
    if rest in SWITCHES and SWITCHES[rest].subject is Subject.POOL and _names_a_pool(pool):
        return pool, SWITCHES[rest]
    raise UnknownName.among("what-if", name, SWITCHES)


def value_of(name: str, given: object) -> Value:
    """What a scenario holds for the value given. Raises WhatIfInvalid, UnknownName."""
    return switch_named(name)[1].domain.value(name, given)


def _add(asked: Asked, name: str, value: object) -> None:
    value_of(name, value)
    if name in asked:
        raise WhatIfInvalid.twice(name)
    assert isinstance(value, str | int | float)  # or it were none of any domain
    asked[name] = value


def flat(table: Mapping[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """The values of tables in tables, by their dotted names."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _names_a_pool(word: str) -> bool:
    return word in ROLES or (word.startswith("pool") and word[4:].isdigit())


def pools_named(pool: str | None, roles: Iterable[str]) -> list[int]:
    """Which of the fleet's pools, by their roles in order, a name such as pool2 or decode means; None means all.

    Raises
    ------
    WhatIfInvalid : there is none.
    """
    told = list(roles)
    if pool is None:
        return list(range(len(told)))
    if pool in ROLES:
        found = [place for place, role in enumerate(told) if role == pool]
    else:
        found = [place for place in range(len(told)) if f"pool{place + 1}" == pool]
    if not found:
        raise WhatIfInvalid.no_such_pool(pool, len(told), [role for role in ROLES if role in told])
    return found
