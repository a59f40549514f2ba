"""The collector as its supervisor sees it: started, told that the agent has ended, and gone shortly after."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tracekit
from tracekit.collectors.inside.spool import Writer

MODULE = "tracekit.collectors.engine_metrics"
TERM_SECONDS = 0.6
KILL_SECONDS = 0.2
"""Together they stay below the second by which servers that do not answer may delay the agent's exit."""


class MetricsProcess:
    """One collector, in a process group of its own so that Ctrl-C passes it by.

    Parameters
    ----------
    directory : the spool.
    clock : the recording's, as `Clock` takes it.
    notes : where it is written that there is no collector.
    """

    def __init__(self, directory: Path, clock: str, notes: Writer) -> None:
        self._directory = directory
        self._clock = clock
        self._notes = notes
        self._pid: int | None = None

    def start(self, urls: Sequence[str], mask: set[Any]) -> None:
        """Start it with the signal `mask`, and SIGTERM blocked until it listens; no URL: those the agent calls."""
        words = ["--spool", str(self._directory), *urls]
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-m", MODULE, *words],
                self._environment(),
                file_actions=_SILENCE,
                setpgroup=0,
                setsigmask={*mask, signal.SIGTERM},
            )
        except OSError as error:
            self._notes.note("engine_metrics_unavailable", f"no collector: {type(error).__name__}")

    def hurry(self) -> None:
        """Say that the agent has ended; the last samples are taken now."""
        self._send(signal.SIGTERM)

    def stop(self) -> None:
        """See it end, or end it."""
        self.hurry()
        if not self._ends_within(TERM_SECONDS):
            self._send(signal.SIGKILL)
            self._ends_within(KILL_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        if self._pid is not None:
            try:
                os.kill(self._pid, number)
            except ProcessLookupError:
                self._pid = None

    def _ends_within(self, patience_s: float) -> bool:
        end_s = time.monotonic() + patience_s
        while self._pid is not None:
            try:
                if os.waitpid(self._pid, os.WNOHANG)[0] == self._pid:
                    self._pid = None
            except ChildProcessError:
                self._pid = None
            if time.monotonic() > end_s:
                break
            time.sleep(0.005)
        return self._pid is None

    def _environment(self) -> dict[str, str]:
        theirs = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(_ROOT), *([theirs] if theirs else [])])
        environment = {**os.environ, "PYTHONPATH": path, "TRACEKIT_CLOCK": self._clock}
        environment.pop("TRACEKIT_SPOOL", None)  # the collector is no part of the agent
        return environment


_ROOT = Path(tracekit.__file__).parents[1]
"""The folder that `tracekit` is imported from."""
_SILENCE = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
]
