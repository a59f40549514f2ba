"""Protocol buffers on the wire, as far as writing them goes: tags, varints and what is prefixed by its length.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct

_VARINT, _FIXED64, _LENGTH = 0, 1, 2
_BITS = 14
_LAST = tuple(bytes([n]) if n <= 0x7F else bytes([n & 0x7F | 0x80, n >> 7]) for n in range(1 << _BITS))
"""Two bytes' worth of a number, as its end."""
_MORE = tuple(bytes([n & 0x7F | 0x80, n >> 7 | 0x80]) for n in range(1 << _BITS))
"""The same with more to come; a trace's export is millions of numbers, most of them times of nine bytes."""


def varint(number: int) -> bytes:
    """A number of 0 to 2**64 - 1, seven bits a byte, the lowest first."""
    out = b""
    while number >> _BITS:
        out += _MORE[number & (1 << _BITS) - 1]
        number >>= _BITS
    return out + _LAST[number]


def unsigned(field: int, number: int) -> bytes:
    """A field of type uint, enum, bool, or int where it is not negative."""
    return _LAST[field << 3 | _VARINT] + (varint(number) if number >> _BITS else _LAST[number])


def signed(field: int, number: int) -> bytes:
    """A field of type int64."""
    return unsigned(field, number & 0xFFFF_FFFF_FFFF_FFFF)


def fixed64(field: int, number: int) -> bytes:
    """A field of type fixed64."""
    return _LAST[field << 3 | _FIXED64] + struct.pack("<Q", number)


def double(field: int, number: float) -> bytes:
    """A field of type double."""
    return _LAST[field << 3 | _FIXED64] + struct.pack("<d", number)


def message(field: int, *parts: bytes) -> bytes:
    """A field that holds a message: its own fields, encoded."""
    body = b"".join(parts)
    return _LAST[field << 3 | _LENGTH] + varint(len(body)) + body


def text(field: int, words: str) -> bytes:
    """A field of type string."""
    return message(field, words.encode("utf-8", "replace"))
