"""The grid within a budget of time: what is kept, what was left out, and what an interruption leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tracekit.measuring.bench import Bench, Clock
from tracekit.measuring.device import DeviceLost
from tracekit.measuring.journal import Journal
from tracekit.measuring.point import Point, Reading, work_of
from tracekit.measuring.shape import ModelShape

REPETITIONS_AT_LEAST = 8
"""Of a point, warm-up and fewest samples: what the slowest points cost."""
FLOP_S, BYTE_S = 1e13, 1e12
"""Of an imagined device; only how others compare with it counts."""
OnPoint = Callable[[int, int, Point], None]


@dataclass
class Course:
    """How a campaign went: points that would have taken longer than was left, and what ended it early.

    `lost` says why the device does not answer any more; None where it does.
    """

    left_out: list[Point] = field(default_factory=list)
    interrupted: bool = False
    lost: str | None = None
    seconds: float = 0.0


def measure(
    grid: Sequence[Point],
    shape: ModelShape,
    bench: Bench,
    journal: Journal,
    budget_s: float,
    on_point: OnPoint = lambda done, total, point: None,
    clock: Clock = time.monotonic,
) -> Course:
    """Measure what the journal lacks, in the grid's order, until the budget is spent.

    Ctrl-C ends it early, and so does a device that is lost; the point at which it was lost is kept as one that failed.
    Every reading is in the journal when this returns. The device's idle watts are read before the first point.
    """
    course = Course()
    begun_s = clock()
    pace = _Pace(shape, journal.readings)
    todo = [point for point in grid if point not in journal.done]
    try:
        _settle(grid, bench, journal)
        for index, point in enumerate(todo):
            left_s = budget_s - (clock() - begun_s)
            if left_s <= 0:
                course.left_out += todo[index:]
                break
            if pace.seconds(point) > left_s:
                course.left_out.append(point)
                continue
            on_point(len(grid) - len(todo) + index, len(grid), point)
            for reading in _readings(bench, point, course):
                journal.keep(reading)
                pace.learn(reading)
            if course.lost is not None:
                break
    except KeyboardInterrupt:
        course.interrupted = True
    except DeviceLost as lost:  # while it settled
        course.lost = str(lost)
    if course.interrupted or course.lost is not None:
        course.left_out += [point for point in todo if point not in journal.done | set(course.left_out)]
    course.seconds = clock() - begun_s
    return course


def _readings(bench: Bench, point: Point, course: Course) -> list[Reading]:
    try:
        return bench.readings(point)
    except DeviceLost as lost:
        course.lost = str(lost)
        return [Reading(*point, launch=bench.device.launches[0], blocks=0, reason=str(lost))]


def _settle(grid: Sequence[Point], bench: Bench, journal: Journal) -> None:
    if "warm_idle_w" in journal.idle or not bench.has_meter:
        return
    bench.cool_down()
    journal.keep_idle("warm_idle_w", bench.idle_w())
    bench.heat_up(next(point for point in grid if point.phase == "prefill"))


class _Pace:
    """How long a point will take, by how slow the slowest so far was against an imagined device."""

    def __init__(self, shape: ModelShape, readings: Sequence[Reading]) -> None:
        self._shape = shape
        self._factor = 0.0
        for reading in readings:
            self.learn(reading)

    def learn(self, reading: Reading) -> None:
        """Take a reading in; only those long enough to say something of the device's rates."""
        imagined_s = self._imagined_s(reading.point)
        if reading.seconds is not None and reading.seconds > 1e-3:
            self._factor = max(self._factor, reading.seconds * reading.blocks / imagined_s)

    def seconds(self, point: Point) -> float:
        """Of its repetitions, at the least; 0 as long as nothing is known."""
        return REPETITIONS_AT_LEAST * self._factor * self._imagined_s(point)

    def _imagined_s(self, point: Point) -> float:
        work = work_of(point, self._shape)
        return work.flops / FLOP_S + work.moved_bytes / BYTE_S
