"""Prompts and answers without secrets and personal data: what has a shape is replaced by a label.

Names, addresses and whatever else has no shape of its own stay.
"""

from __future__ import annotations

import json
import re
import socket
from functools import lru_cache

from .secret import SECRET, is_secret_name, with_shapes_replaced, without_assignments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from re import Match
    from typing import Any

_DEEPEST = 8  # JSON in strings in JSON
_SHORTEST_IPV6 = 6  # digits
_REMEMBERED = 256  # texts of a conversation, which come again with every request
_LONGEST_REMEMBERED = 32 * 1024

EMAIL, PHONE, CARD, IBAN, IP, USER, SSN = "[EMAIL]", "[PHONE]", "[CARD]", "[IBAN]", "[IP]", "[USER]", "[SSN]"


def redacted(value: Any, depth: int = 0) -> Any:
    """A decoded JSON value with every text in it redacted, JSON that is a text itself too."""
    if isinstance(value, str):
        return (_remembered if len(value) <= _LONGEST_REMEMBERED else _redacted_string)(value, depth)
    if isinstance(value, dict):
        return {
            redacted_text(key): SECRET
            if isinstance(item, (str, int)) and not isinstance(item, bool) and item and _is_secret(key, item)
            else redacted(item, depth)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redacted(item, depth) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**9:
        text = redacted_text(str(value))
        return value if text == str(value) else text
    return value


def redacted_text(text: str) -> str:
    """A text with labels for secrets and personal data."""
    text = without_assignments(with_shapes_replaced(text))
    for pattern, replacement in _PERSONAL:
        text = pattern.sub(replacement, text)
    return text


def _is_secret(key: str, item: Any) -> bool:
    return is_secret_name(key) and not (isinstance(item, int) and abs(item) < 10**6)


def _redacted_string(text: str, depth: int) -> str:
    if depth < _DEEPEST and text.lstrip()[:1] in ("{", "["):
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            return redacted_text(text)
        clean = redacted(inner, depth + 1)
        return text if clean == inner else json.dumps(clean, ensure_ascii=False)
    return redacted_text(text)


_remembered = lru_cache(_REMEMBERED)(_redacted_string)


def _card(match: Match[str]) -> str:
    digits = [int(sign) for sign in match.group() if sign.isdigit()]
    doubled = [
        sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))
    ]
    return CARD if 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0 else match.group()


def _iban(match: Match[str]) -> str:
    text = match.group().replace(" ", "").upper()
    number = "".join(str(int(sign, 36)) for sign in text[4:] + text[:4])
    return IBAN if 15 <= len(text) <= 34 and int(number) % 97 == 1 else match.group()


def _phone(match: Match[str]) -> str:
    text = match.group()
    is_date = re.fullmatch(r"\d{1,4}[./ -]\d{1,2}[./ -]\d{1,4}", text)
    return PHONE if 8 <= sum(sign.isdigit() for sign in text) <= 15 and not is_date else text


def _address(family: int) -> Callable[[Match[str]], str]:
    def label(match: Match[str]) -> str:
        text = match.group()
        if text.count(":") and sum(sign != ":" for sign in text) < _SHORTEST_IPV6:  # a slice, a time
            return text
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            return text
        return text if text in ("127.0.0.1", "0.0.0.0", "::1", "::") else IP

    return label


_PERSONAL: tuple[tuple[Any, Any], ...] = (
    (re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"), EMAIL),
    (
        re.compile(
            r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?![A-Za-z0-9])"
        ),
        _iban,
    ),
    (re.compile(r"(?<![\d.])[2-6]\d{3}(?:[ -]?\d){9,15}(?!\d)"), _card),
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)"), _address(socket.AF_INET)),
    (
        re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"),
        _address(socket.AF_INET6),
    ),
    (re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), SSN),
    (re.compile(r"(?<![\w+])(?:\+|00(?=[1-9]))\d(?:[ ()./-]{0,2}\d){6,14}(?!\d)"), _phone),
    (re.compile(r"(?<![\w.-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"), _phone),
    (re.compile(r"(?<![\w.,:/-])\(?0\d{1,5}\)?[ /-]{1,2}\d{2,}(?:[ -]\d{2,}){0,5}(?![\w.:/-])"), _phone),
    (
        re.compile(r"((?:/home|/Users|[A-Za-z]:\\{1,4}Users)(?:/|\\{1,4}))(?!Shared\b|\[)[^/\\\s\"'<>:;,]+"),
        rf"\g<1>{USER}",
    ),
)
