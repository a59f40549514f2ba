"""The steps that a step starts after, by timing alone, as a session's steps come in order of start.

Every step that ended before the start, transitively reduced: in an interval order that leaves those which no ended
step started after. Steps that overlap are siblings.
"""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """A step; an unknown end is its start."""

    row_id: int
    start_ns: int
    end_ns: int


class Frontier:
    """The ended steps that no later one follows, and those still running."""

    def __init__(self) -> None:
        self._running: list[Step] = []
        self._ended: list[Step] = []

    def before(self, start_ns: int) -> list[int]:
        """Row ids of the steps that a step which starts now starts after; starts never decrease."""
        ended = [step for step in self._running if step.end_ns <= start_ns]
        if ended:
            self._running = [step for step in self._running if step.end_ns > start_ns]
            ended += self._ended
            latest_start_ns = max(step.start_ns for step in ended)
            self._ended = [step for step in ended if step.end_ns >= latest_start_ns]
        return [step.row_id for step in self._ended]

    def add(self, step: Step) -> None:
        """A step has started."""
        self._running.append(step)
