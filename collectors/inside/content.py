"""What is kept of prompts and answers with `--content`: as they are, or redacted; bounded, and saying what was cut."""

from __future__ import annotations

import json

from .media import without_media
from .redaction import redacted, redacted_text
from .state import STATE
from .transcript import assembled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST = 1024 * 1024  # characters of a prompt, and of an answer
_BEYOND = 64 * 1024  # looked at as well, so that a secret on the edge is seen whole


def request_content(request: Any, body: bytes) -> str | None:
    """The request's body, whose JSON `request` is; None if no content is wanted."""
    if STATE.content not in _KINDS:
        return None
    value, media = without_media(request, _media)
    text = body.decode("utf-8", "replace") if STATE.content == "full" and not media else None
    return _bounded(_text(value) if text is None else text)


def response_content(api: str, body: bytes, is_stream: bool) -> str | None:
    """The decoded answer: JSON as it came, a stream put together; None if no content is wanted, or there is none."""
    if STATE.content not in _KINDS or not body:
        return None
    if is_stream:
        return _bounded(_text(without_media(assembled(api, body), _media)[0]))
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _bounded(redacted_text(text[: LONGEST + _BEYOND]) if STATE.content == "redacted" else text)
    value, media = without_media(value, _media)
    return _bounded(text if STATE.content == "full" and not media else _text(value))


_KINDS = ("redacted", "full")


def _text(value: Any) -> str:
    return json.dumps(redacted(value) if STATE.content == "redacted" else value, ensure_ascii=False)


def _media(payload: str) -> str:
    return f"[cut: {len(payload)} characters of base64]"


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}[cut: {len(text) - LONGEST} characters]"
