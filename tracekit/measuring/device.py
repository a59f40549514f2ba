"""What runs points, and what reads watts: the seams that the measuring loop sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tracekit.measuring.point import Point


class PointFailed(Exception):
    """The device cannot run a point: too large for its memory, or its kernels refuse; the message says why."""


class DeviceLost(Exception):
    """The device does not answer any more, or a part of it has gone; nothing more can be measured with it."""


class Prepared(Protocol):
    """A point, ready to run."""

    @property
    def blocks(self) -> int:
        """Blocks that one repetition passes through, each with weights and KV memory of its own; 1 for the head."""

    def run(self, repetitions: int) -> float:
        """Seconds that so many repetitions take, one after the other. Raises PointFailed, DeviceLost."""

    def close(self) -> None:
        """Give its memory back."""


class Device(Protocol):
    """One device, or several that work as one."""

    @property
    def launches(self) -> tuple[str, ...]:
        """Ways of launching kernels, the one that engines use first."""

    def facts(self) -> Mapping[str, str]:
        """What it is: device, torch, cuda, dtype."""

    def prepare(self, point: Point, launch: str) -> Prepared:
        """Raises PointFailed, DeviceLost."""

    def close(self) -> None:
        """Leave it as it was found; harmless if repeated."""


class Meter(Protocol):
    """The devices that measure; None where nobody tells, or not of all of them."""

    def facts(self) -> Mapping[str, str]:
        """Driver, power limit, and what watts come from; empty without a meter."""

    def energy_j(self) -> tuple[float, ...] | None:
        """Each one's counter: they step at different times."""

    def power_w(self) -> float | None:
        """Of all together, at this instant."""

    def clock_mhz(self) -> float | None:
        """Of the multiprocessors, the mean of one device."""
