"""Joules by a device's energy counter, and how far off they may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESOLUTION_J = 0.001
NEAR_S = 1.0


@dataclass(frozen=True)
class Counted:
    """What the counter says of the time from its first to its last reading.

    `joules` is None if it went backward: it was reset, and what it had counted since the reading before is unknown;
    `known_j` and `known_s` are of the rest, `resets` how often. `error_j` bounds what the readings can be off
    because the counter is renewed only now and then; that it counts rightly is not in it.
    """

    joules: float | None
    error_j: float
    seconds: float
    known_j: float
    known_s: float
    resets: int


def counted(
    time_s: Floats, counter_j: Floats, power_time_s: Floats, watts: Floats, update_s: float | None
) -> Counted | None:
    """The counter's advance; None for fewer than two readings.

    Parameters
    ----------
    time_s, counter_j : the readings, shape (n,), in time order.
    power_time_s, watts : readings of power, shape (m,), which may be none.
    update_s : the counter's update period; None: as the readings show it.

    A reading is that of the last update, up to one period old, so the difference of two misses at most what the
    device takes in one period at the end, or has too much of it at the start.
    """
    if len(time_s) < 2:
        return None
    advance_j, length_s = np.diff(counter_j), np.diff(time_s)
    onward = advance_j >= 0
    period_s = update_s or _longest_standstill(time_s, counter_j)
    peak_w = max(
        _peak_near(edge_s, time_s, advance_j, length_s, power_time_s, watts)
        for edge_s in (time_s[0], time_s[-1])
    )
    known_j = float(advance_j[onward].sum())
    return Counted(
        joules=known_j if onward.all() else None,
        error_j=period_s * peak_w + RESOLUTION_J,
        seconds=float(time_s[-1] - time_s[0]),
        known_j=known_j,
        known_s=float(length_s[onward].sum()),
        resets=int((~onward).sum()),
    )


def _longest_standstill(time_s: Floats, counter_j: Floats) -> float:
    """The longest time over which the readings stayed the same, to the next that did not."""
    changed = np.r_[True, np.diff(counter_j) != 0, True]
    edges_s = np.r_[time_s, time_s[-1]][changed]
    return float(np.diff(edges_s).max())


def _peak_near(
    edge_s: float, time_s: Floats, advance_j: Floats, length_s: Floats, power_time_s: Floats, watts: Floats
) -> float:
    """The highest power seen around an edge: of the readings of power, else of the counter's advance over a second."""
    near = watts[np.abs(power_time_s - edge_s) <= NEAR_S]
    if len(near):
        return float(near.max())
    around = np.abs(time_s[1:] - edge_s) <= NEAR_S
    seconds = float(length_s[around].sum())
    return float(np.maximum(advance_j[around], 0).sum()) / seconds if seconds else 0.0
