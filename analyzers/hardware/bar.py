"""Bars of the user's that errors may not exceed, such as dense.power_w>0.10."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from tracekit.analyzers.hardware.error import STATISTICS
from tracekit.analyzers.hardware.validation import KINDS, QUANTITIES, TIERS, Group
from tracekit.errors import BarInvalid

FORM = re.compile(r"\s*([\w.-]+)\s*>\s*([\d.]+)\s*(%?)\s*")


@dataclass(frozen=True)
class Bar:
    """[TIER.][KIND.]QUANTITY[.STATISTIC]>SHARE: broken by any group of that tier and kind whose error is larger."""

    text: str
    quantity: str
    limit: float
    tier: str = "analytic"
    kind: str | None = None
    statistic: str = "mape"

    @classmethod
    def of(cls, text: str) -> Self:
        """The bar that `text` states. Raises BarInvalid."""
        match = FORM.fullmatch(text)
        if match is None:
            raise BarInvalid.of(text, "it is not of the form NAME>SHARE")
        words, number, percent = match.groups()
        found: dict[str, str] = {}
        for word in words.split("."):
            role = _role(word)
            if role is None or role in found:
                raise BarInvalid.of(text, f"'{word}' is not known here, or there twice")
            found[role] = word
        if "quantity" not in found:
            raise BarInvalid.of(text, f"it names none of {', '.join(QUANTITIES)}")
        try:
            limit = float(number) / (100 if percent else 1)
        except ValueError as error:
            raise BarInvalid.of(text, f"'{number}' is no number") from error
        return cls(text=text, limit=limit, **found)

    def breaks(self, groups: list[Group]) -> list[str]:
        """Where it is broken, in words; a bar that nothing can be held to is broken too."""
        judged = [
            (group, error)
            for group in groups
            if group.tier == self.tier
            and self.kind in (None, group.kind)
            and (error := group.errors[self.quantity])
        ]
        if not judged:
            return [f"{self.text}: no row of this tier and kind tells {self.quantity}"]
        return [
            f"{self.text}: {abs(value):.1%} on {group.n} {group.kind} row(s) of {group.gpu}"
            for group, error in judged
            if abs(value := getattr(error, self.statistic)) > self.limit
        ]


def _role(word: str) -> str | None:
    roles = {"quantity": QUANTITIES, "kind": KINDS, "tier": TIERS, "statistic": STATISTICS}
    return next((role for role, words in roles.items() if word in words), None)
