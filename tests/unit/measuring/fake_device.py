"""A device whose every second and joule is known, with a clock of its own."""

import time

from tracekit.measuring.device import PointFailed
from tracekit.measuring.point import work_of


class Clock:
    """Time that passes only when something runs; thread-free."""

    def __init__(self):
        self.now_s = 100.0
        self.pause_s = 0.0

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds
        if self.pause_s:
            time.sleep(self.pause_s)  # so that whoever watches sees it pass


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
        self.interrupt_after = None

    def facts(self):
        return {
            "device": "NVIDIA H100 80GB HBM3",
            "torch": "0.0",
            "model": self.shape.name,
            "dtype": self.shape.dtype,
        }

    def seconds(self, point, launch):
        work = work_of(point, self.shape)
        return (work.flops / self.flop_s + work.moved_bytes / self.byte_s) * (1 if launch == "graph" else 2)

    def prepare(self, point, launch):
        if self.interrupt_after == self.prepared:
            raise KeyboardInterrupt
        why = self.refuses(point)
        if why:
            raise PointFailed(why)
        self.prepared += 1
        return _Prepared(self, point, launch)


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


class FakeMeter:
    """A counter that steps each 20 ms of the device's clock, at so many watts, and instant samples beside it."""

    def __init__(self, clock, watts=400.0, has_counter=True, has_instant=True):
        self.clock, self.watts = clock, watts
        clock.pause_s = 0.0005
        self.has_counter, self.has_instant = has_counter, has_instant

    def facts(self):
        return {"driver": "1.2"}

    def energy_j(self):
        return self.watts * (self.clock() // 0.02) * 0.02 if self.has_counter else None

    def power_w(self):
        return self.watts + 5.0 if self.has_instant else None

    def clock_mhz(self):
        return 1755.0
