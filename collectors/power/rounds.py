"""A thread that reads some devices in turn, round after round, and can be left alone with one that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.power.device import Device, Values
from tracekit.collectors.power.power_line import power_line
from tracekit.collectors.power.update_period import UpdatePeriod

EVERYTHING_SECONDS = 0.2
"""Between readings of what is no joule and no watt: drivers renew utilization every 1/6 to 1 s."""
LONGEST_SLEEP_SECONDS = 0.1
PATIENCE_SECONDS = 1.0
"""A device that takes longer hangs; what it says in the end is of nobody knows which time, and is not kept."""
PATIENCE_NS = int(PATIENCE_SECONDS * 1e9)
WRITE_SECONDS = 1.0
"""That samples wait to be written together: spelled one by one between two sleeps, each would find its code cold."""
LOOK_SECONDS = 0.002
LOOKING_SECONDS = 1.2
"""At first, how often and for how long to look at what is renewed when."""


class Rounds(threading.Thread):
    """Writes a `power` record per device and interval, until `is_over` is set, and then a last one.

    Parameters
    ----------
    find : gives the devices; called in the thread, since a driver may hang there already.
    """

    def __init__(
        self,
        find: Callable[[], Sequence[Device]],
        writer: Writer,
        interval_s: float,
        is_over: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self._find = find
        self._writer = writer
        self._now_ns = writer.clock.now_ns
        self._interval_s = interval_s
        self._is_over = is_over
        self._devices: list[Device] = []
        self._asked: tuple[Device | None, float] | None = None
        self._everything_s = 0.0
        self._periods: dict[str, tuple[UpdatePeriod, UpdatePeriod]] = {}
        self._silent: set[str] = set()
        self._kept: list[tuple[int, str, Values]] = []
        self._write_s = 0.0

    def run(self) -> None:
        self._asked = (None, time.monotonic())
        self._devices = list(self._find())
        for device in self._devices:
            self._write_facts(device, device.identity())
        self._each(self._introduce)
        if self._devices:
            self._sample()

    def unanswered(self, patience_s: float) -> tuple[Device | None, bool]:
        """The device that has not answered for so long, and whether something has not: the driver, before any."""
        asked = self._asked
        if asked is None or time.monotonic() - asked[1] <= patience_s or not self.is_alive():
            return None, False
        return asked[0], True

    def leave_with(self, stuck: Device) -> list[Device]:
        """Keep the device that hangs and give up the others, which another thread takes over.

        What these have said is written now: their next samples come before the end of the round that has stopped.
        """
        others = [device for device in self._devices if device is not stuck]
        self._devices = [stuck]
        self._write_kept()
        return others

    def _introduce(self, device: Device) -> None:
        energy, power = self._periods.get(device.id, (None, None))
        found = {
            "energy_update_ms": energy.milliseconds if energy else None,
            "power_update_ms": power.milliseconds if power else None,
        }
        known = {name: value for name, value in found.items() if value is not None}
        facts = {name: value for name, value in device.facts().items() if value is not None}
        self._write_facts(device, facts | known)

    def _write_facts(self, device: Device, facts: Values) -> None:
        self._writer.write("device", self._writer.clock.now_ns(), {"id": device.id, **facts})

    def _sample(self) -> None:
        started_s = due_s = time.monotonic()
        looking = True
        while True:
            is_last = self._is_over.is_set()
            self._round(is_last)
            if is_last:
                return
            due_s = max(due_s + self._interval_s, time.monotonic())
            if looking:
                looking = due_s - started_s < LOOKING_SECONDS
                self._look_until(due_s)
                if not looking:
                    self._each(self._introduce)
            self._sleep_until(due_s)

    def _sleep_until(self, due_s: float) -> None:
        """Not by waiting for the event: what little runs between two rounds runs on a cold processor."""
        while (left_s := due_s - time.monotonic()) > 0 and not self._is_over.is_set():
            time.sleep(min(left_s, LONGEST_SLEEP_SECONDS))

    def _round(self, is_last: bool) -> None:
        now_s = time.monotonic()
        everything = is_last or now_s >= self._everything_s
        if everything:
            self._everything_s = now_s + EVERYTHING_SECONDS - self._interval_s / 2
        self._each(partial(self._read, everything=everything))
        if is_last or now_s >= self._write_s:
            self._write_s = now_s + WRITE_SECONDS - self._interval_s / 2
            self._write_kept()

    def _read(self, device: Device, *, everything: bool) -> None:
        ns = self._now_ns()
        values = device.sample(everything=everything)
        if self._now_ns() - ns > PATIENCE_NS:
            return
        if values is None or (values.get("energy_counter_j") is None and values.get("power_w") is None):
            self._silent.add(device.id)
        elif self._silent and device.id in self._silent:
            self._silent.discard(device.id)
            self._introduce(device)  # of one that was lost nothing may be known yet
        if values is not None:
            self._kept.append((ns, device.id, values))

    def _write_kept(self) -> None:
        kept, self._kept = self._kept, []
        self._writer.write_lines([power_line(*sample) for sample in kept])

    def _look_until(self, end_s: float) -> None:
        while time.monotonic() < end_s - LOOK_SECONDS and not self._is_over.is_set():
            self._each(self._look)
            time.sleep(LOOK_SECONDS)

    def _look(self, device: Device) -> None:
        energy, power = self._periods.setdefault(device.id, (UpdatePeriod(), UpdatePeriod()))
        at_s = time.monotonic()
        energy_j, watts = device.peek()
        energy.look(at_s, energy_j)
        power.look(at_s, watts)

    def _each(self, ask: Callable[[Device], None]) -> None:
        """Ask one after the other, with it known whom and since when, until they are given up meanwhile."""
        devices = self._devices
        for device in devices:
            self._asked = (device, time.monotonic())
            ask(device)
            if self._devices is not devices:
                break
        self._asked = None
