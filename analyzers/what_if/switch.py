"""The switches of a scenario by name: what each takes, what it means, and what it warns of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tracekit.analyzers.what_if.domain import Domain, Value


class Subject(Enum):
    """What a switch changes."""

    POOL = "pool"
    FLEET = "fleet"
    SESSIONS = "sessions"


@dataclass(frozen=True)
class Switch:
    """One named change: `present` reads its value off a pool, fleet or Changes, `turned` is that with another value.

    Of a pool, `turned` takes and returns the fields, because only all switches together have to make one that can be.
    `label` is what a result under it has to be called, such as an upper bound; `warning` what it leaves out.
    """

    name: str
    subject: Subject
    domain: Domain
    meaning: str
    present: Callable[[Any], Value]
    turned: Callable[[Any, Value], Any]
    unit: str = ""
    label: str = ""
    warning: str = ""

    @property
    def takes(self) -> str:
        """Its values in words, with their unit."""
        return f"{self.domain.takes} {self.unit}".strip()
