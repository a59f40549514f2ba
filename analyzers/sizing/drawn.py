"""Workloads that a process has drawn, for the next fleet that is replayed under the same replicate."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from tracekit.analyzers.kernels.layout import Workload

KEPT_STEPS = 4_000_000
"""Some 300 MB."""


class Drawn:
    """Those that were last asked for, as long as they are no more than so many steps together; for several threads."""

    def __init__(self, most_steps: int = KEPT_STEPS) -> None:
        self._most_steps = most_steps
        self._kept: OrderedDict[Hashable, Workload] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: Hashable, draw: Callable[[], Workload]) -> Workload:
        """The workload of that name, drawn if need be; two threads that ask at once may both draw it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        drawn = draw()
        with self._lock:
            self._kept[key] = drawn
            while len(self._kept) > 1 and self._steps() > self._most_steps:
                self._kept.popitem(last=False)
        return drawn

    def forget(self) -> None:
        """Keep none."""
        with self._lock:
            self._kept.clear()

    def _steps(self) -> int:
        return sum(len(workload.kind) for workload in self._kept.values())


DRAWN = Drawn()
"""This process's."""
