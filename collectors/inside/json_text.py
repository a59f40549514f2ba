"""JSON without what `json` does around it at every call.

`json.dumps` with any option, and `JSONEncoder.encode` too, build a C encoder at every call, which costs more
than encoding a short message does; `json.loads` looks for options, encodings and white space. The C encoder is
private to `json`, so it is tried before it is trusted.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SAMPLE: dict[str, Any] = {"b": [1, None, True, 0.5, {}], "a": "\u00e9\n"}
_SPACES = " \t\n\r"
_quote = json.encoder.encode_basestring_ascii
_decoder: Any = json.JSONDecoder()
scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once
"""`scan(text, at)`: the value that begins there, and its end; StopIteration or ValueError without one."""
or_null: Callable[[Any, Any], Any] = {None: "null"}.get
"""`or_null(number, number)`: the number, or what JSON has for None."""


def encoder(
    *, sort_keys: bool, ensure_ascii: bool, default: Callable[[Any], Any] | None = None
) -> Callable[[Any], str]:
    """A function from a value to its JSON without spaces."""
    plain = json.JSONEncoder(
        sort_keys=sort_keys,
        ensure_ascii=ensure_ascii,
        separators=(",", ":"),
        default=default,
        check_circular=False,
    )
    try:
        parts: Any = json.encoder
        quote = parts.encode_basestring_ascii if ensure_ascii else parts.encode_basestring
        encode = parts.c_make_encoder(None, plain.default, quote, None, ":", ",", sort_keys, False, True)
        if "".join(encode(_SAMPLE, 0)) != plain.encode(_SAMPLE):
            return plain.encode
    except Exception:
        return plain.encode
    return lambda value: "".join(encode(value, 0))


spelled = encoder(sort_keys=False, ensure_ascii=True, default=str)


def quoted(text: str | None) -> str:
    """A string, or null, in ASCII."""
    return "null" if text is None else _quote(text)


def parsed(text: str) -> Any:
    """The value that the text spells; ValueError or RecursionError, as `json.loads` raises, if there is none."""
    try:
        value, end = scan(text, 0)
    except StopIteration:  # white space before it, or nothing at all
        return json.loads(text)
    return value if not text[end:].strip(_SPACES) else json.loads(text)
