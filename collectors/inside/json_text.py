"""JSON encoders that are made once.

`json.dumps` with any option, and `JSONEncoder.encode` too, build a C encoder at every call, which costs more
than encoding a short message does. The C encoder is private to `json`, so it is tried before it is trusted.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SAMPLE: dict[str, Any] = {"b": [1, None, True, 0.5, {}], "a": "\u00e9\n"}


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
