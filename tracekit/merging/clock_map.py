"""From one host's clock to another's: time slept is put back, then a line, with the error that is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Times = NDArray[np.int64]
Seconds = NDArray[np.float64]
GREATEST_DRIFT = 500e-6
"""Oscillators of computers stay within some 100 ppm, and kernels adjust them by up to 500."""
SECONDS_FOR_DRIFT = 1e-3
"""The margin given up for less drift: half a microsecond for the greatest."""
NS = 1e9


@dataclass(frozen=True)
class Sleep:
    """The host was suspended, and its recording's clock stood still, just before `at_ns`."""

    at_ns: int
    slept_ns: int


@dataclass(frozen=True)
class Bound:
    """At `at_ns` on a host's clock, what is to be added to it lies between `low_ns` and `high_ns`."""

    at_ns: int
    low_ns: float
    high_ns: float


@dataclass(frozen=True)
class ClockMap:
    """``time + sleeps before it + offset + drift x (time - origin)``, known to `error_ns` (None: not known).

    `source` says by what evidence.
    """

    source: str
    origin_ns: int = 0
    offset_ns: float = 0.0
    drift: float = 0.0
    error_ns: float | None = 0.0
    sleeps: tuple[Sleep, ...] = ()

    def __call__(self, times_ns: Times) -> Times:
        """The times on the other clock; shape and order are kept."""
        awake = woken(times_ns, self.sleeps)
        shift = self.offset_ns + self.drift * (awake - self.origin_ns)
        mapped: Times = awake + np.rint(shift).astype(np.int64)
        return mapped


def woken(times_ns: Times, sleeps: Sequence[Sleep]) -> Times:
    """The times, with what was slept before each put back."""
    result = times_ns.copy()
    for sleep in sleeps:
        result[times_ns >= sleep.at_ns] += sleep.slept_ns
    return result


def through(
    bounds: Sequence[Bound], source: str, sleeps: tuple[Sleep, ...], span: tuple[int, int]
) -> ClockMap:
    """The line that keeps the greatest distance from all bounds, and how far a line within them may be off.

    Parameters
    ----------
    bounds : at least one, on the host's clock with its sleeps put back.
    span : first and last time that will be mapped.

    Returns
    -------
    the map. Its error is half the width that bounds and the greatest drift leave at the worse end of `span`; where
    no line meets all bounds, the distance to the one that is missed farthest is added.

    Source: Moon, Skelly and Towsley, Estimation and removal of clock skew from network delay measurements (1999).
    """
    origin_ns = (bounds[0].at_ns + bounds[-1].at_ns) // 2
    base_ns = (bounds[0].low_ns + bounds[0].high_ns) / 2
    at_s = np.array([(bound.at_ns - origin_ns) / NS for bound in bounds])
    low_s = np.array([(bound.low_ns - base_ns) / NS for bound in bounds])
    high_s = np.array([(bound.high_ns - base_ns) / NS for bound in bounds])
    offset_s, drift, margin_s = _middle_line(at_s, low_s, high_s)
    missed_s = max(0.0, -margin_s)
    ends_s = [(end - origin_ns) / NS for end in span]
    width_s = max(
        _width(at_s, low_s - missed_s, high_s + missed_s, end_s, offset_s + drift * end_s) for end_s in ends_s
    )
    return ClockMap(source, origin_ns, base_ns + offset_s * NS, drift, (width_s + missed_s) * NS, sleeps)


def _middle_line(
    at_s: NDArray[np.float64], low_s: NDArray[np.float64], high_s: NDArray[np.float64]
) -> tuple[float, ...]:
    """Offset, drift and margin of the line with the greatest margin to every bound; it is negative if none fits.

    Of lines with the same margin it is the one with the least drift: one bound alone says nothing of it.
    """
    ones = np.ones_like(at_s)
    upper, lower = np.c_[ones, at_s, -at_s, ones], np.c_[-ones, -at_s, at_s, ones]
    found = linprog(
        [0.0, SECONDS_FOR_DRIFT, SECONDS_FOR_DRIFT, -1.0],
        np.vstack([upper, lower]),
        np.r_[high_s, -low_s],
        bounds=[(None, None), (0, GREATEST_DRIFT), (0, GREATEST_DRIFT), (None, None)],
    )
    offset_s, faster, slower, margin_s = (float(value) for value in found.x)
    return offset_s, faster - slower, margin_s


def _width(
    at_s: Seconds,
    low_s: Seconds,
    high_s: Seconds,
    end_s: float,
    chosen_s: float,
) -> float:
    """How far from `chosen_s` a line within the bounds can be at `end_s`."""
    ones = np.ones_like(at_s)
    constraints = np.vstack([np.c_[ones, at_s], np.c_[-ones, -at_s]])
    slack_s = 1e-12
    limits = np.r_[high_s, -low_s] + slack_s
    reach = []
    for sign in (1.0, -1.0):
        found = linprog(
            [sign, sign * end_s], constraints, limits,
            bounds=[(None, None), (-GREATEST_DRIFT, GREATEST_DRIFT)],
        )  # fmt: skip
        reach.append(abs(sign * float(found.fun) - chosen_s))
    return max(reach)
