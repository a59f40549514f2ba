"""How often a driver renews a value, told from when it changes under quick looks."""

from __future__ import annotations

import statistics

FEWEST_CHANGES = 5


class UpdatePeriod:
    """Looks at one value; `milliseconds` is known after a few changes, to the time between two looks."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._changes_s: list[float] = []

    def look(self, at_s: float, value: float | None) -> None:
        """A value, as it was read at this time."""
        if value is None:
            return
        if self._last is not None and value != self._last:
            self._changes_s.append(at_s)
        self._last = value

    @property
    def milliseconds(self) -> float | None:
        """The median time between two changes; None after fewer than six: it may hardly have changed."""
        gaps_s = [
            later - earlier for earlier, later in zip(self._changes_s, self._changes_s[1:], strict=False)
        ]
        if len(gaps_s) < FEWEST_CHANGES:
            return None
        return round(1000 * statistics.median(gaps_s), 1)
