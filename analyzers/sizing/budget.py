"""Budgets of a sizing that a pipeline can fail on: `cost_per_month>5000`, `idle>50%`, `unmet`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Self

from tracekit.errors import SizeBudgetInvalid

UNMET = "unmet"
QUANTITIES = {
    "cost_per_hour": "$",
    "cost_per_month": "$",
    "cost_per_year": "$",
    "cost_per_session": "$",
    "gpus": "GPUs",
    "replicas": "replicas",
    "energy_per_session": "Wh, GPUs",
    "carbon_per_session": "g, the building, the higher source",
    "idle": "share of the GPU time paid for",
    "met_share": "share of the replicates that meet all objectives",
    "headroom": "times the rate asked for",
}
"""What can be limited, with its unit."""
SHARES = ("idle", "met_share")
"""What percents may be given of."""
_FORM = re.compile(r"\s*([a-z_]+)\s*([<>])=?\s*(-?[\d.]+(?:e[-+]?\d+)?)\s*(%?)\s*", re.IGNORECASE)


class Budget(NamedTuple):
    """Broken where the quantity is above (or below) the limit; `unmet` where no fleet holds the objectives."""

    text: str
    quantity: str
    is_above: bool
    limit: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """The budget in `cost_per_month>5000`. Raises SizeBudgetInvalid."""
        if text.strip() == UNMET:
            return cls(text, UNMET, is_above=True, limit=0.0)
        found = _FORM.fullmatch(text)
        if found is None:
            raise SizeBudgetInvalid.unreadable(text, QUANTITIES)
        quantity = found[1].lower()
        if quantity not in QUANTITIES:
            raise SizeBudgetInvalid.unknown(text, quantity, QUANTITIES)
        if found[4] and quantity not in SHARES:
            raise SizeBudgetInvalid.no_share(text, quantity, SHARES)
        try:
            limit = float(found[3]) / (100.0 if found[4] else 1.0)
        except ValueError:
            raise SizeBudgetInvalid.unreadable(text, QUANTITIES) from None
        return cls(text, quantity, found[2] == ">", limit)

    def broken(self, known: Mapping[str, float | None], *, is_met: bool) -> str | None:
        """How it is broken, in words; None if it is not. What is unknown breaks it: nobody can say that it holds."""
        if self.quantity == UNMET:
            return None if is_met else "unmet: no fleet holds the objectives"
        value = known.get(self.quantity)
        if value is None:
            return f"{self.text}: {self.quantity} is unknown"
        is_broken = value > self.limit if self.is_above else value < self.limit
        return f"{self.text}: it is {value:g}" if is_broken else None
