"""The sampler as its supervisor sees it: started, waited for briefly, ended whatever its driver does."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracekit.collectors.inside.spool import Writer

MODULE = "tracekit.collectors.power_sampler"
FIRST_RECORD_SECONDS = 0.5
TERM_SECONDS = 0.35
KILL_SECONDS = 0.1
"""Together they stay below the second by which a driver that hangs may delay the agent's exit."""


class SamplerProcess:
    """One sampler, in a process group of its own so that Ctrl-C passes it by.

    Parameters
    ----------
    directory : the spool.
    clock : the recording's, as `Clock` takes it.
    notes : where it is written that there is no sampler.
    """

    def __init__(self, directory: Path, clock: str, notes: Writer) -> None:
        self._directory = directory
        self._clock = clock
        self._notes = notes
        self._pid: int | None = None

    def start(self, interval_s: float, mask: set[Any], more: Sequence[str] = ()) -> None:
        """Start it with the signal `mask`, and `more` words of its command line."""
        words = [
            "--spool",
            str(self._directory),
            "--interval",
            str(interval_s),
            "--parent",
            str(os.getpid()),
            *more,
        ]
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-m", MODULE, *words],
                self._environment(),
                file_actions=_SILENCE,
                setpgroup=0,
                setsigmask=mask,
            )
        except OSError as error:
            self._notes.note("power_unavailable", type(error).__name__)

    def is_over(self) -> bool:
        """Whether it has ended: there is nothing to sample."""
        if self._pid is None:
            return True
        try:
            ended = os.waitpid(self._pid, os.WNOHANG)[0] == self._pid
        except ChildProcessError:
            ended = True
        if ended:
            self._pid = None
        return ended

    def stop(self) -> None:
        """End it within a second; one that a driver holds is left to the system."""
        if self.is_over():
            return
        pid = self._pid
        assert pid is not None
        if not self._has_written(pid):
            self._notes.note("power_unavailable", "the sampler was not ready before the command ended")
        for number, patience_s in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            if self._ends_within(patience_s):
                return

    def _has_written(self, pid: int) -> bool:
        """Let a sampler that a short command outran say what there is to say about power."""
        end_s = time.monotonic() + FIRST_RECORD_SECONDS
        while time.monotonic() < end_s:
            if list(self._directory.glob(f"{pid}-*.jsonl")):
                return True
            if self.is_over():
                return bool(list(self._directory.glob(f"{pid}-*.jsonl")))
            time.sleep(0.005)
        return False

    def _ends_within(self, patience_s: float) -> bool:
        end_s = time.monotonic() + patience_s
        while time.monotonic() < end_s:
            if self.is_over():
                return True
            time.sleep(0.005)
        return False

    def _environment(self) -> dict[str, str]:
        theirs = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(_ROOT), *([theirs] if theirs else [])])
        environment = {**os.environ, "PYTHONPATH": path, "TRACEKIT_CLOCK": self._clock}
        environment.pop("TRACEKIT_SPOOL", None)  # the sampler is no part of the agent
        return environment


_ROOT = Path(__file__).parents[3]
"""The folder that `tracekit` is imported from."""
_SILENCE = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
]
