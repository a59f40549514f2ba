"""Budgets on what changed: `session_p95>+10%`, `ttft_p95>2s`, `energy_j>+5kJ`, `prefix_hit_fraction<40%`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, Self

from tracekit.errors import BudgetInvalid, UnknownName
from tracekit.reports.difference import Change, Difference, Part
from tracekit.reports.metric import SHARE, Unit, name_of, path_of, unit_of

_FORM = re.compile(
    r"^\s*(?P<name>[^<>=\s]+)\s*(?P<side>[<>])\s*(?P<sign>[+-]?)\s*(?P<dollar>\$?)"
    r"(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)\s*(?P<unit>[A-Za-z%$]*)\s*$"
)


class Verdict(NamedTuple):
    """What a budget says of a part: the number that it is about, and whether it is broken."""

    budget: Budget
    part: str
    value: float
    is_broken: bool


@dataclass(frozen=True)
class Budget:
    """A limit on a number of B, or, with a sign, on its change from A; `is_relative`: as a part of A."""

    text: str
    path: str
    is_upper: bool
    limit: float
    is_change: bool
    is_relative: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """The budget that is written so.

        Raises
        ------
        BudgetInvalid : it is none, or its unit is not that of the number.
        """
        found = _FORM.match(text)
        if found is None:
            raise BudgetInvalid.unreadable(text)
        path = path_of(found["name"])
        unit, word = unit_of(path), found["dollar"] or found["unit"]
        is_change, is_relative = bool(found["sign"]), False
        if word == "%" and unit is not SHARE:
            if not is_change:
                raise BudgetInvalid.no_sign(text)
            scale, is_relative = 0.01, True
        else:
            scale, is_relative = _scale(text, unit, word), word == "%" and is_change
        limit = float(found["number"]) * scale * (-1 if found["sign"] == "-" else 1)
        return cls(text.strip(), path, found["side"] == ">", limit, is_change, is_relative)

    def judged(self, told: Difference) -> list[Verdict]:
        """What it says of each part that has the number; a name such as `recorded.ttft_p95` means one part.

        Raises
        ------
        UnknownName : no part has such a number.
        BudgetInvalid : the number, or for a change the one that it is from, is unknown.
        """
        found = [(part, change) for part in told.parts if (change := self._change_in(part)) is not None]
        of_replays = [(part, change) for part, change in found if part.name != "recorded"]
        chosen = of_replays or found
        if not chosen:
            known = [name_of(path) for part in told.parts for path in part.changes]
            raise UnknownName.among("number in these documents", self.path, dict.fromkeys(known))
        return [self._verdict(part, change) for part, change in chosen]

    def _change_in(self, part: Part) -> Change | None:
        first, dot, rest = self.path.partition(".")
        if dot and first == part.name.replace(" ", ""):
            return part.changes.get(path_of(rest))
        return part.changes.get(self.path)

    def _verdict(self, part: Part, change: Change) -> Verdict:
        value = change.b
        if self.is_relative:
            value = change.relative
        elif self.is_change:
            value = change.difference
        if value is None:
            sides = [name for name, number in (("A", change.a), ("B", change.b)) if number is None]
            raise BudgetInvalid.unknown(self.text, change.name, " and ".join(sides))
        return Verdict(self, part.name, value, value > self.limit if self.is_upper else value < self.limit)


def _scale(text: str, unit: Unit, word: str) -> float:
    if word not in unit.scales:
        raise BudgetInvalid.unit(text, word, [scale for scale in unit.scales if scale])
    return unit.scales[word]
