"""Values of a source's row as a trace keeps them: tokens as whole numbers, times as int ns; else the row is bad."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tracekit.interchange.bad_rows import BadRow
from tracekit.limits import MOST_CALL_TOKENS

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
_INT64_MAX = 2**63 - 1
_MOST_TOKENS = MOST_CALL_TOKENS // 2
"""Of one count, so that a prompt and its output always are a call that can be replayed."""


def tokens(value: Any, name: str) -> int:
    """A count of tokens, 0 or more.

    Raises
    ------
    BadRow : it is none.
    """
    try:
        count = int(value)
        exact = not isinstance(value, float) or count == value
    except (TypeError, ValueError, OverflowError):
        number = _finite(value, name)
        count, exact = int(number), number.is_integer()
    if not exact:
        raise BadRow(f"{name} is not a whole number", value)
    if not 0 <= count <= _MOST_TOKENS:
        raise BadRow(f"{name} is negative" if count < 0 else f"{name} is beyond {_MOST_TOKENS:,}", value)
    return count


def optional_tokens(value: Any, name: str) -> int | None:
    """A count of tokens, or None where there is no value.

    Raises
    ------
    BadRow : there is a value and it is none.
    """
    return None if value is None or value == "" else tokens(value, name)


def duration_ns(value: Any, name: str, ns_per_unit: int) -> int:
    """A time as int ns, 0 or more; exact for whole units, else to the nearest ns.

    Raises
    ------
    BadRow : it is no such number.
    """
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, int):
        ns = value * ns_per_unit
    else:
        number = _finite(value, name)
        whole = math.floor(number)
        ns = whole * ns_per_unit + round((number - whole) * ns_per_unit)
    if 0 <= ns <= _INT64_MAX:
        return ns
    raise BadRow(f"{name} is negative" if ns < 0 else f"{name} is beyond 64 bits of ns", value)


def _finite(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise BadRow(f"{name} is not a number", value)
    return number


def optional_ns(value: Any, name: str, ns_per_unit: int) -> int | None:
    """A time as int ns, or None where there is no value.

    Raises
    ------
    BadRow : there is a value and it is no such number.
    """
    return None if value is None or value == "" else duration_ns(value, name, ns_per_unit)


def optional_text(value: Any) -> str | None:
    """A name or id as text, or None where there is no value."""
    return None if value is None else str(value)


def instant_ns(value: Any, name: str) -> int:
    """A date and time as Unix ns, digits below a microsecond kept; UTC where it names no zone.

    Raises
    ------
    BadRow : it is none, or before 1970.
    """
    ns = _any_instant_ns(value, name)
    if ns < 0:
        raise BadRow(f"{name} is before 1970", value)
    return ns


def _any_instant_ns(value: Any, name: str) -> int:
    if isinstance(value, datetime):
        return _instant_ns(value)
    text = str(value).strip()
    whole, point, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        second_ns = _second_ns(whole + rest[len(digits) :])
    except ValueError:
        raise BadRow(f"{name} is not a date and time", value) from None
    return second_ns + (int(digits[:9].ljust(9, "0")) if point and digits else 0)


@lru_cache(maxsize=1024)
def _second_ns(text: str) -> int:
    return _instant_ns(datetime.fromisoformat(text))


def _instant_ns(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000
