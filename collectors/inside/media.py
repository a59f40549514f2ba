"""Images, sound and files in base64: megabytes of text that no model reads as text."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SHORTEST = 1024  # characters; a shorter payload may stay where it is
_SAMPLE = 256
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]*\Z")


def holds_media(body: bytes) -> bool:
    """Whether a request is so long that it is worth looking for media."""
    return len(body) > SHORTEST and (b";base64," in body or b'"base64"' in body or b'"data"' in body)


def without_media(value: Any, stand_in: Callable[[str], str]) -> tuple[Any, int]:
    """The value with `stand_in(payload)` for every payload in base64, and how many there were."""
    if isinstance(value, str):
        start = payload_start(value)
        return (value, 0) if start is None else (value[:start] + stand_in(value[start:]), 1)
    if isinstance(value, dict):
        pairs = {key: without_media(item, stand_in) for key, item in value.items()}
        count = sum(found for _, found in pairs.values())
        return ({key: item for key, (item, _) in pairs.items()}, count) if count else (value, 0)
    if isinstance(value, list):
        items = [without_media(item, stand_in) for item in value]
        count = sum(found for _, found in items)
        return ([item for item, _ in items], count) if count else (value, 0)
    return value, 0


def payload_start(text: str) -> int | None:
    """Where the base64 begins, if the text is a data URL or nothing but base64; looked at in places only."""
    if len(text) < SHORTEST:
        return None
    start = 0
    if text.startswith("data:"):
        start = text.find(";base64,", 0, _SAMPLE) + len(";base64,")
        if start < len(";base64,"):
            return None
    step = max((len(text) - start) // 4, _SAMPLE)
    places = range(start, len(text), step)
    return start if all(_BASE64.match(text[place : place + _SAMPLE]) for place in places) else None
