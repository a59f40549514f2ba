"""What is taken out of a request before its prompt is hashed: media, and markers that move from turn to turn."""

from __future__ import annotations

from .identity import Hashing
from .media import StandIns, holds_media, without_media

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CACHE_CONTROL = b'"cache_control"'
_stand_ins = StandIns()


def stripped(value: Any, raw: bytes, hashing: Hashing) -> tuple[Any, int]:
    """The value that `raw` spells without cache markers and media, and how many of the latter there were."""
    if _CACHE_CONTROL in raw:  # no part of the prompt
        value = _without_cache_control(value)
    if holds_media(raw):  # not text, and long: known by its hash
        return without_media(value, lambda payload: _stand_ins.of(payload, hashing))
    return value, 0


def _without_cache_control(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_cache_control(item) for key, item in value.items() if key != "cache_control"}
    if isinstance(value, list):
        return [_without_cache_control(item) for item in value]
    return value
