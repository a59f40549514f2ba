"""Images, sound and files in base64: megabytes of text that no model reads as text."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SHORTEST = 1024  # characters; a shorter payload may stay where it is
REMEMBERED = 32 * 1024 * 1024  # characters of payloads, which come again with every request of a conversation
_SAMPLE = 256
_KEYS = frozenset(("data", "file_data", "images"))  # under which base64 stands without saying so
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\r\n-]*\Z")


def holds_media(body: bytes) -> bool:
    """Whether a request is so long that it is worth looking for media."""
    return len(body) > SHORTEST and (b";base64," in body or b'data"' in body or b'"images"' in body)


def without_media(value: Any, stand_in: Callable[[str], str], key: str = "") -> tuple[Any, int]:
    """The value with `stand_in(payload)` for every payload in base64, and how many there were.

    A payload is what follows in a data URL, or all of a text under a `key` that holds data.
    """
    if isinstance(value, str):
        start = _payload_start(value, key)
        return (value, 0) if start is None else (value[:start] + stand_in(value[start:]), 1)
    if isinstance(value, dict):
        pairs = {name: without_media(item, stand_in, name) for name, item in value.items()}
        count = sum(found for _, found in pairs.values())
        return ({name: item for name, (item, _) in pairs.items()}, count) if count else (value, 0)
    if isinstance(value, list):
        items = [without_media(item, stand_in, key) for item in value]
        count = sum(found for _, found in items)
        return ([item for item, _ in items], count) if count else (value, 0)
    return value, 0


def _payload_start(text: str, key: str) -> int | None:
    """Where the base64 begins; it is looked at in a few places only."""
    if len(text) < SHORTEST:
        return None
    start = 0
    if text.startswith("data:"):
        comma = text.find(";base64,", 0, _SAMPLE)
        if comma < 0:
            return None
        start = comma + len(";base64,")
    elif key not in _KEYS:
        return None
    step = max((len(text) - start) // 4, _SAMPLE)
    places = range(start, len(text), step)
    return start if all(_BASE64.match(text[place : place + _SAMPLE]) for place in places) else None


class StandIns:
    """What stood for the last payloads; comparing one with them costs a tenth of hashing it again."""

    def __init__(self) -> None:
        self._known: tuple[tuple[str, str, Any], ...] = ()

    def of(self, payload: str, hashing: Any) -> str:
        """Length and keyed hash of a payload."""
        for known, stand_in, key in self._known:
            if len(known) == len(payload) and key is hashing and known == payload:
                return stand_in
        stand_in = f"[{len(payload)} {hashing.of_bytes(payload.encode('utf-8', 'surrogatepass'))}]"
        kept, room = [(payload, stand_in, hashing)], REMEMBERED - len(payload)
        for entry in self._known:
            room -= len(entry[0])
            if room >= 0:
                kept.append(entry)
        self._known = tuple(kept) if len(payload) <= REMEMBERED else self._known
        return stand_in
