"""Lanes: where things that overlap are drawn beside each other, each lane holding one at a time."""

from __future__ import annotations

import heapq


class Lanes:
    """Hands out the lowest lane that is free; intervals come in order of their start."""

    def __init__(self) -> None:
        self.count = 0
        self._free: list[int] = []
        self._busy: list[tuple[int, int]] = []

    def place(self, start_ns: int, end_ns: int) -> int:
        """The lane of an interval, counted from 0."""
        while self._busy and self._busy[0][0] <= start_ns:
            heapq.heappush(self._free, heapq.heappop(self._busy)[1])
        if self._free:
            lane = heapq.heappop(self._free)
        else:
            lane, self.count = self.count, self.count + 1
        heapq.heappush(self._busy, (end_ns, lane))
        return lane
