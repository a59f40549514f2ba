"""Takes so many samples as fast as they come, and prints the memory held along the way, as JSON.

What samples is the sampler's own loop on eight GPUs through nvidia-ml-py, without its pauses: an hour at 20 Hz passes
in two minutes. Of every four rounds one reads everything, as at 20 Hz. Its LD_LIBRARY_PATH leads to the fake library.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from benchmarks.power import resident_mb
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.power import rounds
from tracekit.collectors.power.nvml import NvmlSource

LOOKS = 10
ROUNDS_PER_EVERYTHING = 4


class CountedRounds(rounds.Rounds):
    """Rounds without pauses; `memory_mb` at their start and after each tenth."""

    def count(self, samples: int) -> None:
        self._left = self._whole = samples // len(self._find())
        self.memory_mb: list[float] = []

    def _sleep_until(self, due_s: float) -> None:
        done = self._whole - self._left
        if done % (self._whole // LOOKS) == 0:
            self.memory_mb.append(resident_mb("self"))
        self._everything_s = 0.0 if done % ROUNDS_PER_EVERYTHING == 0 else float("inf")
        self._left -= 1
        if self._left <= 0:
            self._is_over.set()


def main() -> None:
    folder, samples = Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir()
    gpus = NvmlSource().open(lambda _label, _what: None)
    taken = CountedRounds(lambda: gpus, Writer(str(folder), Clock(), is_agent=False), 0.0, threading.Event())
    taken.count(samples)
    begun_s = time.process_time()
    taken.run()
    lines = sum(
        line.startswith(b'{"t":"power"') for file in folder.glob("*.jsonl") for line in file.open("rb")
    )
    told = {"memory_mb": taken.memory_mb, "samples": lines, "cpu_s": time.process_time() - begun_s}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
