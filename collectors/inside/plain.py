"""Odd values made plain: whatever programs and servers hand over, the spool gets short text and real numbers."""

from __future__ import annotations

from .secret import harmless, scrubbed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST_LABEL = 512
_LARGEST_LENGTH = 20  # digits of a 64-bit number, for texts that should hold a small one


def label(value: Any) -> str | None:
    """A name or id off the wire, of bounded length and without keys; None if it is no string."""
    if type(value) is str and value in harmless:
        return value
    return scrubbed(str.__str__(value)[:LONGEST_LABEL]) if isinstance(value, str) else None


def name(value: Any) -> str | None:
    """A name that a program gives, which may be any object; None stays None."""
    return None if value is None else scrubbed(text(value)[:LONGEST_LABEL])


def text(value: Any) -> str:
    """Any object as text; its class's name if it cannot say."""
    try:
        return str.__str__(value) if isinstance(value, str) else str.__str__(str(value))
    except Exception:
        return type(value).__name__


def whole(value: Any, bits: int = 64) -> int | None:
    """A whole number that a signed integer of so many bits can hold; else None."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    value = int.__int__(value)
    return value if -(1 << bits - 1) <= value < 1 << bits - 1 else None


def counted(value: Any, bits: int = 64) -> int | None:
    """A whole number that is not negative; else None."""
    if type(value) is int:
        return value if 0 <= value < 1 << bits - 1 else None
    if value is None:
        return None
    number = whole(value, bits)
    return None if number is None or number < 0 else number


def digits(value: Any, bits: int = 32) -> int | None:
    """The number that a text of ASCII digits spells, if it fits."""
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        return None
    return whole(int(value), bits) if len(value) <= _LARGEST_LENGTH else None


def real(value: Any) -> float | None:
    """A finite number as a float; None for anything else, and for what is too large for one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return finite(value)


def finite(value: Any) -> float | None:
    """Anything that can become a float, such as numpy's numbers, decimals and tensors of one element."""
    try:
        number = float(value)
    except Exception:
        return None
    return number if number - number == 0 else None


def mark_value(value: Any) -> str | float | bool | None:
    """A mark's value: text, a number or a truth value as it is; anything else as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        number = whole(value)
        return text(value) if number is None else number
    return scrubbed(text(value))


def without_lone_surrogates(value: Any) -> Any:
    """A record, or a part of one, whose texts are valid Unicode: UTF-8 has no way to write half a pair."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_lone_surrogates(key): without_lone_surrogates(item) for key, item in value.items()}
    return value
