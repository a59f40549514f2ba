"""Axes of time, in the unit that suits the span."""

from __future__ import annotations

from typing import Any

_UNITS = (
    (2 * 86400, 86400.0, "days"),
    (2 * 3600, 3600.0, "hours"),
    (300, 60.0, "minutes"),
    (0.5, 1.0, "seconds"),
)


def time_unit(span_s: float) -> tuple[float, str]:
    """Seconds in a unit, and its name, for a span of so many seconds."""
    for least_s, unit_s, name in _UNITS:
        if span_s >= least_s:
            return unit_s, name
    return (1e-3, "milliseconds") if span_s >= 5e-4 else (1e-6, "microseconds")


def label_time(axes: Any, span_s: float, since: str) -> float:
    """Labels the horizontal axis; values go on it divided by what is returned, seconds in a unit."""
    unit_s, name = time_unit(span_s)
    axes.set_xlabel(f"{name} since {since}")
    axes.set_xlim(0, max(span_s, 1e-9) / unit_s)
    return unit_s
