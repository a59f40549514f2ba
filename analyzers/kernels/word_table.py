"""Arguments as machine code takes them: one table of 64-bit words.

Numbers stand there by value, arrays by address and shape, in the order of the arguments and of their fields.
A wrong one would not be noticed before memory is overwritten, so each is first held to its form.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np


def parts(value: Any) -> Iterator[Any]:
    """Yield the numbers and arrays that the value consists of."""
    if isinstance(value, tuple):
        for field in value:
            yield from parts(field)
    else:
        yield value


def form(part: Any) -> str:
    """Return what machine code depends on: whether it is an int, a float, or an array of what and how many axes."""
    if isinstance(part, np.ndarray):
        return (
            _array(part.ndim, part.dtype)
            if part.flags.carray
            else "an array in pieces, read-only or unaligned"
        )
    if isinstance(part, int | np.integer):
        return "int"
    return "float" if isinstance(part, float) else type(part).__name__


@lru_cache(256)
def _array(axes: int, row: np.dtype[Any]) -> str:
    return f"an array of {axes} axes of {row.itemsize} bytes, {row}"


def word_table(arguments: tuple[Any, ...], forms: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the table; the arguments must outlive it.

    Raises
    ------
    TypeError : an argument is not of the form that the code was compiled for.
    """
    flat = list(parts(arguments))
    found = [form(part) for part in flat]
    if found != list(forms):
        raise TypeError(
            f"a kernel was given other arguments than it was compiled for: {_first_other(found, forms)}"
        )
    return np.array([word for part in flat for word in _words(part)], np.int64)


def _first_other(found: Sequence[str], forms: Sequence[str]) -> str:
    for place, (one, other) in enumerate(zip(found, forms, strict=False)):
        if one != other:
            return f"part {place} is {one}, not {other}"
    return f"{len(found)} parts, not {len(forms)}"


def _words(part: Any) -> tuple[int, ...]:
    if isinstance(part, np.ndarray):
        return (part.ctypes.data, *part.shape)
    if isinstance(part, float):
        return struct.unpack("q", struct.pack("d", part))
    return (int(part),)
