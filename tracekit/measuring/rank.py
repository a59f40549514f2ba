"""One GPU of a tensor-parallel group, in a process of its own: commands on standard input, answers on standard output.

A command is a line of JSON with its number `id` and what to `do`; the answer has the same number, and what it came to
or the reason why it `failed`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TextIO

from tracekit.errors import MeasuringRefused
from tracekit.measuring.device import PointFailed, Prepared
from tracekit.measuring.point import Point

MEETING = frozenset({"start", "launch", "run"})
"""Commands in which ranks wait for each other."""
LAST_WORDS_S = 3.0
"""That a rank has to end by itself once nobody commands it; then it ends in the middle of what it does."""
Record = dict[str, Any]


class RankDevice(Protocol):
    """A device whose point is prepared in steps, so that a group can agree between them."""

    def about(self) -> Record:
        """What it is: `facts`, `launches`, and the driver's id as `uuid`."""

    def room(self, point: Point) -> int:
        """Blocks that have room for the point. Raises PointFailed."""

    def work(self, point: Point, blocks: int) -> Any:
        """Raises PointFailed."""

    def launched(self, work: Any, launch: str) -> Prepared:
        """Raises PointFailed."""

    def close(self) -> None:
        """Leave the group."""


MakeDevice = Callable[[Record], RankDevice]


class Rank:
    """What a rank does at a command; answers are records."""

    def __init__(self, make_device: MakeDevice) -> None:
        self._make_device = make_device
        self._device: RankDevice | None = None
        self._work: Any = None
        self._prepared: Prepared | None = None

    def answer(self, command: Mapping[str, Any]) -> Record:
        """Raises PointFailed, and MeasuringRefused at the start."""
        if command["do"] == "start":
            self._device = self._make_device(dict(command))
            return self._device.about()
        assert self._device is not None
        if command["do"] == "room":
            self._drop()
            return {"blocks": self._device.room(Point(*command["point"]))}
        if command["do"] == "work":
            self._work = self._device.work(Point(*command["point"]), command["blocks"])
        elif command["do"] == "launch":
            self._prepared = self._device.launched(self._work, command["launch"])
        elif command["do"] == "run":
            assert self._prepared is not None
            return {"seconds": self._prepared.run(command["repetitions"])}
        else:
            self._drop()
        return {}

    def _drop(self) -> None:
        prepared, self._prepared, self._work = self._prepared, None, None
        if prepared is not None:
            prepared.close()

    def close(self) -> None:
        """Give back what it holds."""
        self._drop()
        if self._device is not None:
            self._device.close()


def serve(make_device: MakeDevice, commands: TextIO, answers: TextIO) -> None:
    """Answer commands until there are no more."""
    rank = Rank(make_device)
    for command in _commands(commands):
        try:
            told = rank.answer(command)
        except (PointFailed, MeasuringRefused) as failed:
            told = {"failed": str(failed)}
        answers.write(json.dumps({"id": command["id"], **told}) + "\n")
        answers.flush()
    rank.close()


def _commands(lines: TextIO) -> Iterator[Record]:
    """Read in a thread: a rank that waits for others still has to see that its commander has gone."""
    told: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines, told), daemon=True).start()
    while (command := told.get()) is not None:
        yield command


def _read(lines: TextIO, told: queue.SimpleQueue[Record | None]) -> None:
    for line in lines:
        told.put(json.loads(line))
    told.put(None)
    time.sleep(LAST_WORDS_S)
    os._exit(1)


def main(make_device: MakeDevice) -> None:
    """Serve by the standard streams; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(make_device, sys.stdin, answers)
