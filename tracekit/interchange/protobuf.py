"""Protocol buffers on the wire, as far as writing them goes: tags, varints and what is prefixed by its length.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct

_VARINT, _FIXED64, _LENGTH = 0, 1, 2


def varint(number: int) -> bytes:
    """A number of 0 to 2**64 - 1, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def unsigned(field: int, number: int) -> bytes:
    """A field of type uint, enum, bool, or int where it is not negative."""
    return varint(field << 3 | _VARINT) + varint(number)


def signed(field: int, number: int) -> bytes:
    """A field of type int64."""
    return unsigned(field, number & 0xFFFF_FFFF_FFFF_FFFF)


def fixed64(field: int, number: int) -> bytes:
    """A field of type fixed64."""
    return varint(field << 3 | _FIXED64) + struct.pack("<Q", number)


def double(field: int, number: float) -> bytes:
    """A field of type double."""
    return varint(field << 3 | _FIXED64) + struct.pack("<d", number)


def message(field: int, *parts: bytes) -> bytes:
    """A field that holds a message: its own fields, encoded."""
    body = b"".join(parts)
    return varint(field << 3 | _LENGTH) + varint(len(body)) + body


def text(field: int, words: str) -> bytes:
    """A field of type string."""
    return message(field, words.encode("utf-8", "replace"))
