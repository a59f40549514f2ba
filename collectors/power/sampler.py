"""The sampler: a thread of rounds per source, watched, so that nothing that a driver does can stop the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.power.amd import AmdSource
from tracekit.collectors.power.device import Device, Source, SourceMissing
from tracekit.collectors.power.nvml import NvmlSource
from tracekit.collectors.power.rapl import RaplSource
from tracekit.collectors.power.rounds import PATIENCE_SECONDS, Rounds

SHORTEST_INTERVAL_S = 0.005
WATCH_SECONDS = 0.5
LAST_ROUND_SECONDS = 0.2
HANGS = "driver_hangs"
UNFINISHED = "driver gave no answer before the end"


def sources() -> list[Source]:
    """Every interface that may be here; GPUs of NVIDIA's first, since their absence is told."""
    return [NvmlSource(), AmdSource(), RaplSource()]


class Sampler:
    """Writes what the sources' devices say until told to end.

    Parameters
    ----------
    told : the sources; if none of those that have GPUs works, one note says why the first does not.
    """

    def __init__(self, writer: Writer, interval_s: float, told: Sequence[Source] | None = None) -> None:
        self._writer = writer
        self._interval_s = max(interval_s, SHORTEST_INTERVAL_S)
        self._sources = sources() if told is None else list(told)
        self._is_over = threading.Event()
        self._telling = threading.Lock()
        self._told: set[tuple[str, str]] = set()
        self._missing: dict[str, str] = {}
        self._rounds: list[Rounds] = []
        self._driver_hangs = False

    def run(self, is_over: Callable[[], bool], wait: Callable[[float], object] = time.sleep) -> bool:
        """Sample until `is_over`, or until there is nothing to sample; whether there was something.

        Between two looks at `is_over` it does `wait`. It returns at the latest 0.2 s after one: a thread that hangs
        in a driver is left behind.
        """
        for source in self._sources:
            self._start(partial(self._open, source))
        while any(thread.is_alive() for thread in self._rounds) and not is_over():
            self._watch()
            wait(WATCH_SECONDS)
        return self._end()

    def _end(self) -> bool:
        self._is_over.set()
        end_s = time.monotonic() + LAST_ROUND_SECONDS
        for thread in self._rounds:
            thread.join(max(0.0, end_s - time.monotonic()))
            self._tell_unfinished(thread)
        return len(self._missing) < len(self._sources)

    def _tell_unfinished(self, thread: Rounds) -> None:
        device, hangs = thread.unanswered(0.0)
        if device is not None:
            self.tell(device.label, HANGS if (device.label, HANGS) in self._told else UNFINISHED)
        elif hangs and not self._driver_hangs:
            self._writer.note("power_unavailable", UNFINISHED)

    def _start(self, find: Callable[[], Sequence[Device]]) -> None:
        thread = Rounds(find, self._writer, self._interval_s, self._is_over)
        self._rounds.append(thread)
        thread.start()

    def _open(self, source: Source) -> Sequence[Device]:
        try:
            return source.open(self.tell)
        except SourceMissing as missing:
            with self._telling:
                self._missing[source.name] = str(missing)
                reasons = [self._missing.get(one.name) for one in self._sources if one.has_gpus]
            if source.has_gpus and None not in reasons:  # this was the last hope
                self._writer.note("power_unavailable", str(reasons[0]))
            return []

    def tell(self, label: str, what: str) -> None:
        """One note, however often it is told."""
        with self._telling:
            if (label, what) in self._told:
                return
            self._told.add((label, what))
        self._writer.note("power_fault", f"{label}: {what}")

    def _watch(self) -> None:
        for thread in list(self._rounds):
            device, hangs = thread.unanswered(PATIENCE_SECONDS)
            if device is not None:
                self._leave(thread, device)
            elif hangs and not self._driver_hangs:
                self._driver_hangs = True
                self._writer.note("power_unavailable", HANGS)

    def _leave(self, thread: Rounds, stuck: Device) -> None:
        others = thread.leave_with(stuck)
        if (stuck.label, HANGS) not in self._told:
            reasons = {"power_w": None, "energy_counter_j": None, "reason": HANGS, "energy_reason": HANGS}
            self._writer.write("power", self._writer.clock.now_ns(), {"id": stuck.id, **reasons})
        self.tell(stuck.label, HANGS)
        if others:
            self._start(lambda: others)
