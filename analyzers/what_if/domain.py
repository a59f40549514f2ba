"""What a switch may be set to, and how that is read from text or TOML."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tracekit.errors import UnknownName, WhatIfInvalid

Value = str | int | float | bool | None
"""As a scenario holds it; None is `off` or `recorded`."""
YES, NO = ("on", "true", "yes", "1"), ("off", "false", "no", "0")


@dataclass(frozen=True)
class Domain:
    """The values of a switch: `takes` says them to people; `read` takes the text and raises ValueError for any other.

    Raises from `read` are UnknownName too, where a name is misspelt.
    """

    takes: str
    read: Callable[[str], Value]

    def value(self, switch: str, given: object) -> Value:
        """The value of `switch` that was given as text, or as TOML has it.

        Raises
        ------
        WhatIfInvalid, UnknownName : it is none of the domain.
        """
        if isinstance(given, bool):
            given = "on" if given else "off"
        if not isinstance(given, str | int | float):
            raise WhatIfInvalid.value(switch, given, self.takes)
        try:
            return self.read(str(given).strip())
        except ValueError:
            raise WhatIfInvalid.value(switch, given, self.takes) from None


def flag() -> Domain:
    """On or off."""

    def read(text: str) -> Value:
        word = text.lower()
        if word not in (*YES, *NO):
            raise ValueError(text)
        return word in YES

    return Domain("on or off", read)


def choice(kind: str, names: Iterable[str]) -> Domain:
    """One of the names."""
    known = list(names)

    def read(text: str) -> Value:
        word = text.lower().replace("_", "-")
        if word not in known:
            raise UnknownName.among(kind, text, known)
        return word

    return Domain(", ".join(known[:-1]) + f" or {known[-1]}", read)


def name(what: str) -> Domain:
    """A name that the catalog knows."""

    def read(text: str) -> Value:
        if not text:
            raise ValueError(text)
        return text

    return Domain(what, read)


def whole(least: int, most: int, off: str | None = None) -> Domain:
    """A whole number; `off` is the word for none."""

    def read(text: str) -> Value:
        if off is not None and text.lower() == off:
            return None
        number = int(text)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    words = f"a whole number of {least:,} to {most:,}"
    return Domain(words if off is None else f"{off}, or {words}", read)


def number(least: float, most: float, off: str | None = None, *, open_: bool = False) -> Domain:
    """A number; `off` is the word for none, `open_` leaves the least out."""

    def read(text: str) -> Value:
        if off is not None and text.lower() == off:
            return None
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        if not math.isfinite(value) or not least <= value <= most or (open_ and value == least):
            raise ValueError(text)
        return value

    words = f"a number {'above' if open_ else 'of'} {least:g} {'and up' if open_ else ''} to {most:g}"
    words = " ".join(words.split())
    return Domain(words if off is None else f"{off}, or {words}", read)
