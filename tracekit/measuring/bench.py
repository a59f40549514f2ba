"""One point: its time as the median of many repetitions, and its watts once the device has settled."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from tracekit.measuring.device import Device, Meter, PointFailed, Prepared
from tracekit.measuring.point import Point, Reading

Clock = Callable[[], float]


class Plan(NamedTuple):
    """How long things take; seconds unless said."""

    timing_s: float = 0.25
    shortest_sample_s: float = 0.002
    fewest_samples: int = 5
    most_samples: int = 200
    settle_s: float = 0.7
    power_s: float = 1.2
    sample_interval_s: float = 0.005  # the error of each end of the counter's window
    idle_s: float = 3.0
    cool_down_s: float = 5.0
    heat_up_s: float = 8.0


USUAL = Plan()
FEWEST_STEPS = 3
"""Of the energy counter, in a window: with fewer there is no rate."""


class Watts(NamedTuple):
    """Of all GPUs together over a while, the clock of one; None where nobody tells."""

    counter_w: float | None
    instant_w: float | None
    clock_mhz: float | None


class Bench:
    """A device and its meter, by one clock."""

    def __init__(
        self,
        device: Device,
        meter: Meter,
        plan: Plan = USUAL,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.device = device
        self._sleep = sleep
        self.meter = meter
        self._plan = plan
        self._clock = clock

    @property
    def has_meter(self) -> bool:
        return self.meter.energy_j() is not None or self.meter.power_w() is not None

    def readings(self, point: Point) -> list[Reading]:
        """One a way of launching; watts with the first."""
        return [self._reading(point, launch) for launch in self.device.launches]

    def _reading(self, point: Point, launch: str) -> Reading:
        bare = Reading(*point, launch=launch, blocks=0)
        try:
            prepared = self.device.prepare(point, launch)
        except PointFailed as failed:
            return replace(bare, reason=str(failed))
        try:
            timed = self._timed(prepared, replace(bare, blocks=prepared.blocks))
            wants_watts = launch == self.device.launches[0] and point.phase != "head" and self.has_meter
            if not wants_watts:
                return timed
            watts = self._watts(lambda: prepared.run(self._repetitions(timed, prepared)))
            return replace(timed, **watts._asdict())
        except PointFailed as failed:
            return replace(bare, reason=str(failed))
        finally:
            prepared.close()

    def _timed(self, prepared: Prepared, bare: Reading) -> Reading:
        plan = self._plan
        prepared.run(2)
        first_s = max(prepared.run(1), 1e-9)
        inner = max(1, round(plan.shortest_sample_s / first_s))
        count = round(plan.timing_s / (inner * first_s))
        count = max(plan.fewest_samples, min(plan.most_samples, count))
        samples = [prepared.run(inner) / inner / prepared.blocks for _ in range(count)]
        median = statistics.median(samples)
        low, _, high = statistics.quantiles(samples, n=4)
        spread = (high - low) / median if median > 0 else 0.0
        return replace(bare, seconds=median, spread=spread, repetitions=count * inner)

    def _repetitions(self, timed: Reading, prepared: Prepared) -> int:
        """So many that the device is not left alone for long, and that the loop can be ended in time."""
        assert timed.seconds is not None
        return max(1, round(0.1 / max(timed.seconds * prepared.blocks, 1e-9)))

    def idle_w(self) -> float | None:
        """Watts of all GPUs while nothing of ours runs."""
        watts = self._over(lambda: self._sleep(0.05), self._plan.idle_s)
        return watts.instant_w if watts.counter_w is None else watts.counter_w

    def cool_down(self) -> None:
        """Let clocks fall to where they are without work."""
        if self.has_meter:
            self._sleep(self._plan.cool_down_s)

    def heat_up(self, point: Point) -> None:
        """Run a point until the device is about as warm as it will be."""
        if not self.has_meter:
            return
        try:
            prepared = self.device.prepare(point, self.device.launches[0])
        except PointFailed:
            return
        try:
            end_s = self._clock() + self._plan.heat_up_s
            while self._clock() < end_s:
                prepared.run(1)
        except PointFailed:
            return
        finally:
            prepared.close()

    def _watts(self, work: Callable[[], object]) -> Watts:
        end_s = self._clock() + self._plan.settle_s
        while self._clock() < end_s:
            work()
        return self._over(work, self._plan.power_s)

    def _over(self, work: Callable[[], object], seconds: float) -> Watts:
        samples = _Samples()
        over = threading.Event()
        sampler = threading.Thread(target=self._sample, args=(samples, over), daemon=True)
        sampler.start()
        try:
            end_s = self._clock() + seconds
            while self._clock() < end_s:
                work()
        finally:
            over.set()
            sampler.join()
        return samples.watts()

    def _sample(self, samples: _Samples, over: threading.Event) -> None:
        while not over.is_set():
            samples.take(self._clock, self.meter)
            over.wait(self._plan.sample_interval_s)


class _Samples:
    """What a meter said, one time after the other."""

    def __init__(self) -> None:
        self._counters: list[_Steps] = []  # one a GPU
        self._instant_w: list[float] = []
        self._clock_mhz: list[float] = []

    def take(self, clock: Callable[[], float], meter: Meter) -> None:
        """Read the meter; a counter stood at what it says in the middle of its being read."""
        asked_s = clock()
        energies_j = meter.energy_j()
        now_s = (asked_s + clock()) / 2
        if energies_j is not None:
            self._counters = self._counters or [_Steps() for _ in energies_j]
            for counter, energy_j in zip(self._counters, energies_j, strict=True):
                counter.take(now_s, energy_j)
        for value, kept in ((meter.power_w(), self._instant_w), (meter.clock_mhz(), self._clock_mhz)):
            if value is not None:
                kept.append(value)

    def watts(self) -> Watts:
        """The sum over GPUs, each by its own counter's steps; None as soon as one of them has none."""
        rates = [counter.watts() for counter in self._counters]
        known = [rate for rate in rates if rate is not None]
        counter_w = sum(known) if known and len(known) == len(rates) else None
        return Watts(counter_w, _median(self._instant_w), _median(self._clock_mhz))


class _Steps:
    """When a counter stood at what for the first time."""

    def __init__(self) -> None:
        self._steps: list[tuple[float, float]] = []

    def take(self, now_s: float, energy_j: float) -> None:
        """Note what it stands at."""
        if not self._steps or energy_j != self._steps[-1][1]:
            self._steps.append((now_s, energy_j))

    def watts(self) -> float | None:
        """From its first step to its last; what it stood at in the beginning is no step."""
        if len(self._steps) <= FEWEST_STEPS:
            return None
        (first_s, first_j), (last_s, last_j) = self._steps[1], self._steps[-1]
        if last_j <= first_j or last_s <= first_s:
            return None
        return (last_j - first_j) / (last_s - first_s)


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
