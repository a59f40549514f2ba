"""The highest of the intervals that cover each place."""

from __future__ import annotations

import numpy as np

from tracekit.analyzers.kernels.layout import Floats, Ints


def highest_cover(count: int, low: Ints, high: Ints, value: Floats) -> Floats:
    """Of each place 0 to `count` - 1 the largest `value` (k,) whose interval [low, high) holds it; -inf if none.

    An interval is two overlapping ones of a power of two in length, and those are halved until they are single
    places: O(count log(longest) + k), whatever their lengths.
    """
    told = np.flatnonzero(high > low)
    low, high, value = low[told], high[told], value[told]
    power = np.frexp((high - low).astype(np.float64))[1] - 1
    highest = np.full(count, -np.inf)
    for level in range(int(power.max(initial=0)), -1, -1):
        length = 1 << level
        mine = power == level
        np.maximum.at(highest, low[mine], value[mine])
        np.maximum.at(highest, high[mine] - length, value[mine])
        if level:
            half = length >> 1
            later = np.full(count, -np.inf)
            later[half:] = highest[: count - half]
            highest = np.maximum(highest, later)
    return highest
