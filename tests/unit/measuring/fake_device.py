"""A device whose every second and joule is known, with a clock of its own."""

import threading
import time

from tracekit.measuring.device import DeviceLost, PointFailed
from tracekit.measuring.point import work_of


class Clock:
    """Time that passes only when something runs; where another thread watches, not before it has looked."""

    def __init__(self):
        self.now_s = 100.0
        self.pause_s = 0.0
        self.looks = 0
        self.threads = threading.active_count()

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds
        if self.pause_s:
            self._let_watch()

    def _let_watch(self):
        looks, until = self.looks, time.monotonic() + 1
        time.sleep(self.pause_s)
        while self.looks == looks and threading.active_count() > self.threads and time.monotonic() < until:
            time.sleep(self.pause_s)


class FakeDevice:
    """Blocks take flops / `flop_s` + bytes / `byte_s`, twice as long when launched plainly."""

    def __init__(
        self, shape, clock, flop_s=1e14, byte_s=1e12, launches=("graph", "plain"), refuses=lambda point: None
    ):
        self.shape, self.clock = shape, clock
        self.flop_s, self.byte_s = flop_s, byte_s
        self.launches = launches
        self.refuses = refuses
        self.closed = self.prepared = 0
        self.interrupt_after = self.lost_after = None

    def facts(self):
        group = {"collectives": "nccl 2.0"} if self.shape.tp > 1 else {}
        return {
            "device": "NVIDIA H100 80GB HBM3",
            "torch": "0.0",
            "model": self.shape.name,
            "dtype": self.shape.dtype,
            "tp": str(self.shape.tp),
            **group,
        }

    def seconds(self, point, launch):
        work = work_of(point, self.shape)
        return (work.flops / self.flop_s + work.moved_bytes / self.byte_s) * (1 if launch == "graph" else 2)

    def prepare(self, point, launch):
        if self.interrupt_after == self.prepared:
            raise KeyboardInterrupt
        if self.lost_after == self.prepared:
            raise DeviceLost("rank 1 of 2 was killed by signal 9")
        why = self.refuses(point)
        if why:
            raise PointFailed(why)
        self.prepared += 1
        return _Prepared(self, point, launch)

    def close(self):
        self.is_closed = True


class _Prepared:
    def __init__(self, device, point, launch):
        self.device = device
        self.blocks = 1 if point.phase == "head" else 2
        self.each_s = self.blocks * device.seconds(point, launch)

    def run(self, repetitions):
        self.device.clock.sleep(repetitions * self.each_s)
        return repetitions * self.each_s

    def close(self):
        self.device.closed += 1


STEP_S = 0.02


class FakeMeter:
    """Counters that step each 20 ms of the device's clock, one GPU's after the other's, and instant samples.

    `watts` are of one GPU, or of each of several.
    """

    def __init__(self, clock, watts=400.0, has_counter=True, has_instant=True):
        self.clock, self.watts = clock, watts
        clock.pause_s = 0.0005
        self.has_counter, self.has_instant = has_counter, has_instant

    @property
    def each_w(self):
        return self.watts if isinstance(self.watts, tuple) else (self.watts,)

    def facts(self):
        return {"driver": "1.2"}

    def energy_j(self):
        if not self.has_counter:
            return None
        gpus = len(self.each_w)
        late_s = [STEP_S * gpu / gpus for gpu in range(gpus)]
        return tuple(
            watts * ((self.clock() - late) // STEP_S) * STEP_S
            for watts, late in zip(self.each_w, late_s, strict=True)
        )

    def power_w(self):
        return sum(self.each_w) + 5.0 if self.has_instant else None

    def clock_mhz(self):
        self.clock.looks += 1
        return 1755.0
