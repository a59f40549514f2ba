"""The agent's request with one thing added: that the stream shall end with token counts.

Not a byte of what the agent wrote changes; the option is put in between.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_APIS = ("chat", "completions")
_OPTION = b'"include_usage":true'
_SPACES = " \t\n\r"


def says_nothing(api: str, request: dict[str, Any]) -> bool:
    """Whether this is a stream that could end with usage, and whose client left open whether it shall."""
    if api not in _APIS or request.get("stream") is not True:
        return False
    options = request.get("stream_options")
    if options is None:
        return True
    # with running counts in every chunk the answer would no longer be the one that was asked for
    return (
        isinstance(options, dict)
        and "include_usage" not in options
        and not options.get("continuous_usage_stats")
    )


def asking(request: dict[str, Any], body: bytes) -> bytes | None:
    """`body`, whose JSON `request` is, with include_usage in it; None where it cannot be put in safely."""
    if not body.lstrip().startswith(b"{"):  # UTF-16, or a byte order mark
        return None
    if "stream_options" in request:
        return _with_option(request, body)
    end = len(body[: body.rindex(b"}")].rstrip())
    return body[:end] + b',"stream_options":{' + _OPTION + b"}" + body[end:]


def _with_option(request: dict[str, Any], body: bytes) -> bytes | None:
    """The option put into the `stream_options` that are there."""
    text = body.decode("utf-8")
    places = [(start, end) for key, start, end in members(text) if key == "stream_options"]
    if len(places) != 1:
        return None
    start, end = places[0]
    if request["stream_options"] is None:
        return (text[:start] + "{").encode() + _OPTION + ("}" + text[end:]).encode()
    comma = b"," if request["stream_options"] else b""
    return text[: start + 1].encode() + _OPTION + comma + text[start + 1 :].encode()


def members(text: str) -> list[tuple[str, int, int]]:
    """Key, start and end of every value at the top of a JSON object; `text` is valid JSON."""
    decode = json.JSONDecoder().raw_decode
    found: list[tuple[str, int, int]] = []
    place = _after_spaces(text, text.index("{") + 1)
    while text[place] != "}":
        key, place = decode(text, place)
        start = _after_spaces(text, _after_spaces(text, place) + 1)
        _value, end = decode(text, start)
        found.append((key, start, end))
        place = _after_spaces(text, end)
        if text[place] == ",":
            place = _after_spaces(text, place + 1)
    return found


def _after_spaces(text: str, place: int) -> int:
    while text[place] in _SPACES:
        place += 1
    return place
