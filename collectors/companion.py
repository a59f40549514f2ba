"""A process of ours beside the agent, as its supervisor sees it: started, told of the end, gone shortly after."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tracekit
from tracekit.collectors.inside.spool import Writer

TERM_SECONDS = 0.8
KILL_SECONDS = 0.1
"""Together they stay below the second by which drivers and servers that do not answer may delay the agent's exit."""


class Kind(NamedTuple):
    """What a companion runs, a module that takes `--spool DIRECTORY` and `--parent PID`; `missing` notes its absence.

    One that `writes_at_once` was not ready where it has written nothing.
    """

    name: str
    module: str
    missing: str
    writes_at_once: bool


SAMPLER = Kind("the sampler", "tracekit.collectors.power_sampler", "power_unavailable", True)
METRICS = Kind(
    "the reader of metrics", "tracekit.collectors.engine_metrics", "engine_metrics_unavailable", False
)


class Companion:
    """One process, in a process group of its own so that Ctrl-C passes it by, without streams.

    It is started with SIGTERM blocked, so that an early end finds it: its module takes the signal when it listens.

    Parameters
    ----------
    kind : what it runs, and what is noted where it does not.
    directory : the spool.
    clock : the recording's, as `Clock` takes it.
    notes : where that is noted.
    """

    def __init__(self, kind: Kind, directory: Path, clock: str, notes: Writer) -> None:
        self._kind = kind
        self._directory = directory
        self._clock = clock
        self._notes = notes
        self._pid: int | None = None
        self._files = ""
        self._end_s: float | None = None

    def start(self, mask: set[Any], words: Sequence[str] = ()) -> None:
        """Start it with the signal `mask`, and `words` of its command line."""
        own = ["--spool", str(self._directory), "--parent", str(os.getpid())]
        try:
            # -P: nothing in the agent's folder may stand in for a library of ours
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-m", self._kind.module, *own, *words],
                self._environment(),
                file_actions=_SILENCE,
                setpgroup=0,
                setsigmask={*mask, signal.SIGTERM},
            )
            self._files = f"{self._pid}-*.jsonl"
        except OSError as error:
            self._notes.note(
                self._kind.missing, f"{self._kind.name} cannot be started: {type(error).__name__}"
            )

    def is_over(self) -> bool:
        """Whether it has ended, or never began."""
        if self._pid is None:
            return True
        try:
            ended = os.waitpid(self._pid, os.WNOHANG)[0] == self._pid
        except ChildProcessError:
            ended = True
        if ended:
            self._pid = None
        return ended

    def has_written(self) -> bool:
        """Whether there is anything of it in the spool."""
        return bool(self._files) and any(self._directory.glob(self._files))

    def hurry(self) -> None:
        """Say that the agent has ended: what is to be read last is read now, and its time to end begins."""
        if self._end_s is None:
            self._end_s = time.monotonic() + TERM_SECONDS
            self._send(signal.SIGTERM)

    def stop(self) -> None:
        """See it end, or end it; one that a driver holds is left to the system."""
        self.hurry()
        assert self._end_s is not None
        if not self._ends_by(self._end_s):
            self._send(signal.SIGKILL)
            self._ends_by(time.monotonic() + KILL_SECONDS)
        if self._kind.writes_at_once and self._files and not self.has_written():
            self._notes.note(self._kind.missing, f"{self._kind.name} was not ready before the command ended")

    def _send(self, number: signal.Signals) -> None:
        if not self.is_over() and self._pid is not None:
            try:
                os.kill(self._pid, number)
            except ProcessLookupError:
                self._pid = None

    def _ends_by(self, end_s: float) -> bool:
        while not self.is_over():
            if time.monotonic() > end_s:
                return False
            time.sleep(0.005)
        return True

    def _environment(self) -> dict[str, str]:
        theirs = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(_ROOT), *([theirs] if theirs else [])])
        environment = {**os.environ, "PYTHONPATH": path, "TRACEKIT_CLOCK": self._clock}
        environment.pop("TRACEKIT_SPOOL", None)  # it is no part of the agent
        return environment


_ROOT = Path(tracekit.__file__).parents[1]
"""The folder that `tracekit` is imported from."""
_SILENCE = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
]
