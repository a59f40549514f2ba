"""Two documents side by side: what went in differently, and by how much each number changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

from tracekit.reports.metric import INPUTS, Number, leaves, name_of, numbers
from tracekit.reports.words import fleet_name

Document = dict[str, Any]
MISSING = object()
ROUNDING = 1e-9
"""Of a number: sums in another order differ by less."""


class Change(NamedTuple):
    """A number in A and in B; None where it is unknown there."""

    path: str
    a: Number
    b: Number

    @property
    def name(self) -> str:
        """Its short name, else its path."""
        return name_of(self.path)

    @property
    def difference(self) -> Number:
        """B less A; None where one of them is unknown."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def relative(self) -> float | None:
        """The difference as a part of A; None where one is unknown; infinite from 0 to something else."""
        if self.a is None or self.b is None:
            return None
        if self.a == 0:
            return 0.0 if self.b == 0 else math.copysign(math.inf, self.b)
        return (self.b - self.a) / abs(self.a)

    @property
    def is_known(self) -> bool:
        """In one of them at least."""
        return self.a is not None or self.b is not None

    @property
    def differs(self) -> bool:
        """Whether the two are not the same but for rounding, or only one is known."""
        return self.a != self.b and (self.relative is None or abs(self.relative) > ROUNDING)


class Part(NamedTuple):
    """What was recorded, or one of the replays: its name, and its numbers by path."""

    name: str
    changes: dict[str, Change]


class Input(NamedTuple):
    """Something that went into the two and differs; None: it is not there."""

    what: str
    a: str | None
    b: str | None


class Difference(NamedTuple):
    """All of it."""

    inputs: list[Input]
    parts: list[Part]


def difference(a: Document, b: Document) -> Difference:
    """What differs between two documents. Replays are compared in their order."""
    parts = list(_parts(a, b))
    inputs = [
        *_head_inputs(a, b),
        *(row for part_a, part_b, name in parts for row in _inputs(part_a, part_b, name)),
    ]
    return Difference(inputs, [Part(name, _changes(part_a, part_b)) for part_a, part_b, name in parts])


def _parts(a: Document, b: Document) -> Iterator[tuple[Document, Document, str]]:
    """The pairs of what was recorded and of replays; a document of another kind is one part without a name."""
    of_a, of_b = _replays(a), _replays(b)
    if of_a is None or of_b is None:
        yield a, b, ""
        return
    recorded = a.get("recorded") or {}, b.get("recorded") or {}
    if any(recorded):
        yield *recorded, "recorded"
    nothing: Document = {}
    pairs = list(zip_longest(of_a, of_b, fillvalue=nothing))
    for place, (replay_a, replay_b) in enumerate(pairs, start=1):
        number = f" {place}" if len(pairs) > 1 else ""
        yield replay_a, replay_b, f"replay{number}"


def _replays(document: Document) -> list[Document] | None:
    replays = document.get("replays")
    if isinstance(replays, list):
        return replays
    return [document] if "fleet" in document else None


def _changes(a: Document, b: Document) -> dict[str, Change]:
    in_a, in_b = numbers(a), numbers(b)
    told = (Change(path, in_a.get(path), in_b.get(path)) for path in dict.fromkeys([*in_a, *in_b]))
    return {change.path: change for change in told}


def _head_inputs(a: Document, b: Document) -> Iterator[Input]:
    """The trace, and every sentence of assumptions and sources that only one of them has."""
    if a.get("trace") != b.get("trace"):
        yield Input("trace", _text(a.get("trace")), _text(b.get("trace")))
    for key in ("assumptions", "not_seen"):
        of_a, of_b = a.get(key) or [], b.get(key) or []
        yield from (Input(key, note, None) for note in of_a if note not in of_b)
        yield from (Input(key, None, note) for note in of_b if note not in of_a)
    of_a, of_b = a.get("sources") or {}, b.get("sources") or {}
    for name in dict.fromkeys([*of_a, *of_b]):
        if of_a.get(name) != of_b.get(name):
            yield Input(f"source of {name}", of_a.get(name), of_b.get(name))


def _inputs(a: Document, b: Document, name: str) -> Iterator[Input]:
    """The settings of a part that differ: of its fleet, release and what-ifs."""
    if not a or not b:
        yield Input(name, _described(a), _described(b))
        return
    of_a, of_b = (_settings(document) if name else _words(document) for document in (a, b))
    before = "" if name in ("", "replay") else f"{name}: "
    for what in dict.fromkeys([*of_a, *of_b]):
        one, other = of_a.get(what, MISSING), of_b.get(what, MISSING)
        if one != other:
            yield Input(f"{before}{what}", _text(one), _text(other))


def _settings(document: Document) -> Document:
    told: Document = {}
    for key in ("fleet", "release"):
        if isinstance(document.get(key), dict):
            told |= dict(_flat(document[key], f"{key}."))
    if document.get("assumed"):
        told["assumed"] = ", ".join(document["assumed"])
    what_if = document.get("what_if")
    if isinstance(what_if, dict):
        told |= {f"what if {name}": value for name, value in what_if["switches"].items()}
        if what_if["switches"]:
            told["what if seed"] = what_if["seed"]
    if isinstance(document.get("tier"), str):
        told["tier"] = document["tier"]
    return told


def _words(document: Document) -> Document:
    """Of a document without replays, such as a sizing: what was asked, and everything said in words."""
    told = dict(leaves(document["question"], (), "question.")) if "question" in document else {}
    return told | {path: value for path, value in leaves(document, INPUTS) if isinstance(value, str | bool)}


def _flat(document: Document, before: str) -> Iterator[tuple[str, Any]]:
    yield from leaves(document, (), before)
    for place, pool in enumerate(document.get("pools") or (), start=1):
        yield from leaves(pool, (), f"{before}pool {place}.")


def _described(document: Document) -> str | None:
    if not document:
        return None
    return fleet_name(document["fleet"]) if "fleet" in document else "recorded"


def _text(value: Any) -> str | None:
    if value is MISSING or value is None:
        return None
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else str(value)
