"""How the rate of arrivals goes over a day: a level from each hour to the next, read from a CSV file."""

from __future__ import annotations

import csv
import difflib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from tracekit.analyzers.kernels.layout import Floats
from tracekit.errors import ProfileInvalid

HOURS_PER_DAY = 24
S_PER_HOUR = 3600


@dataclass(frozen=True, eq=False)
class DailyProfile:
    """Levels over a day; each holds from its hour to the next one's, the last one past midnight to the first's.

    `hour` (h,) ascends within [0, 24); `level` (h,) is not negative, and not 0 throughout. Levels are sessions per
    second if `is_rate`, else weights that only compare with each other.
    """

    hour: Floats
    level: Floats
    is_rate: bool

    @classmethod
    def from_csv(cls, path: Path) -> Self:
        """The profile in a CSV file with the columns `hour` and either `weight` or `rate`.

        Raises
        ------
        ProfileInvalid : the file cannot be read, lacks a column, is empty, or holds a value that cannot be.
        """
        rows, names = _rows(path)
        level_name = _level_name(path, names)
        hours = [_number(path, line, row, "hour") for line, row in rows]
        levels = [_number(path, line, row, level_name) for line, row in rows]
        _check(path, [line for line, _ in rows], hours, levels, level_name)
        order = np.argsort(hours)
        return cls(np.array(hours)[order], np.array(levels)[order], level_name == "rate")

    @property
    def mean_rate_per_s(self) -> float:
        """The mean over a day, where the levels are rates."""
        return float(self.expected_sessions(None, 1)[1][-1]) / (HOURS_PER_DAY * S_PER_HOUR)

    def expected_sessions(self, rate_per_s: float | None, days: int) -> tuple[Floats, Floats]:
        """Instants in s since midnight (e,), and how many sessions are expected until each (e,).

        Between two instants the rate is constant. `rate_per_s` is the mean over a day; None takes the levels as
        rates.
        """
        edge_h = np.concatenate([[0.0], self.hour, [HOURS_PER_DAY]])
        level = np.concatenate([self.level[-1:], self.level])  # before the first hour yesterday's last holds
        a_day = np.diff(edge_h) * S_PER_HOUR * level
        if rate_per_s is not None:
            a_day *= rate_per_s * HOURS_PER_DAY * S_PER_HOUR / a_day.sum()
        spans_s = np.tile(np.diff(edge_h) * S_PER_HOUR, days)
        return _running(spans_s), _running(np.tile(a_day, days))


def _running(parts: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(parts)])


def _rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """The rows with their line numbers, and the columns' names."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = [name.strip().lower() for name in next(reader, [])]
            lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except (OSError, ValueError, csv.Error) as error:
        raise ProfileInvalid.unreadable(path, str(error)) from error
    return [(line, dict(zip(names, cells, strict=False))) for line, cells in lines], names


def _level_name(path: Path, names: list[str]) -> str:
    if "hour" not in names:
        raise ProfileInvalid.no_column(path, "hour", _nearest("hour", names), names)
    found = [name for name in ("weight", "rate") if name in names]
    if not found:
        near = _nearest("weight", names) or _nearest("rate", names)
        raise ProfileInvalid.no_column(path, "weight (or rate)", near, names)
    if len(found) == 2:
        raise ProfileInvalid.unreadable(path, "it has both a column 'weight' and a column 'rate'; keep one")
    return found[0]


def _nearest(wanted: str, names: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(wanted, names, 1)), None)


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    text = row.get(name, "")
    try:
        value = float(text)
    except ValueError:
        raise ProfileInvalid.bad_value(path, line, name, text, "is not a number") from None
    if not math.isfinite(value):
        raise ProfileInvalid.bad_value(path, line, name, text, "is not finite")
    return value


def _check(path: Path, lines: list[int], hours: list[float], levels: list[float], level_name: str) -> None:
    seen: set[float] = set()
    for line, hour, level in zip(lines, hours, levels, strict=True):
        if not 0 <= hour < HOURS_PER_DAY:
            raise ProfileInvalid.bad_value(path, line, "hour", f"{hour:g}", "is not from 0 to below 24")
        if hour in seen:
            raise ProfileInvalid.bad_value(path, line, "hour", f"{hour:g}", "is there twice")
        if level < 0:
            raise ProfileInvalid.bad_value(path, line, level_name, f"{level:g}", "is below 0")
        seen.add(hour)
    if not any(levels):
        raise ProfileInvalid.unreadable(path, "nobody arrives at any hour" if levels else "it has no rows")
