"""A recording of a host's power alone: a spool as `record` makes, without an agent."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tracekit.collectors import launch
from tracekit.collectors.companion import SAMPLER, Companion
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.errors import OutputRefused

POLL_SECONDS = 0.1
START_SECONDS = 10.0
"""That the sampler may take to start, which counts for nothing of the duration."""


def sample(
    command: Sequence[str],
    spool_directory: Path,
    *,
    version: str = "",
    interval_s: float = 0.05,
    duration_s: float = math.inf,
    answer_clock: str | None = None,
    ask_clocks: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
) -> None:
    """Sample this host's power until Ctrl-C, SIGTERM or `duration_s`, or until there is nothing to sample.

    Parameters
    ----------
    command : what the user typed, for the trace's provenance.
    answer_clock : HOST:PORT at which other hosts may ask for this one's clock.
    ask_clocks : HOST:PORT of hosts that do.

    Raises
    ------
    OutputRefused : the spool directory cannot be written.
    """
    directory = spool_directory.absolute()
    wall_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
    run = launch._run(command, directory, version, f"{wall_ns}:{monotonic_ns}", None)
    run |= {"labels": dict(labels or {}), "spare": launch._spare(directory), "agent": False}
    launch._write_run(directory, run)
    launch._fill_loss_counts(directory)
    lock = launch._locked(directory)
    notes = Writer(str(directory), Clock(run["clock"]), is_agent=False)
    sampler = Companion(SAMPLER, directory, run["clock"], notes)
    words = ["--interval", str(interval_s)]
    words += [] if answer_clock is None else ["--answer-clock", answer_clock]
    words += [word for peer in ask_clocks for word in ("--ask-clock", peer)]
    stopped: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _frame: stopped.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        sampler.start(set(), words)
        end_s = time.monotonic() + START_SECONDS + duration_s
        is_ready = False
        while not stopped and (left_s := end_s - time.monotonic()) > 0 and not sampler.is_over():
            if not is_ready and sampler.has_written():
                is_ready, end_s = True, time.monotonic() + duration_s
            time.sleep(min(POLL_SECONDS, max(left_s, 0.001)))
    finally:
        sampler.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(lock)
    run["end_ns"] = wall_ns - monotonic_ns + time.monotonic_ns()
    with contextlib.suppress(OutputRefused):
        launch._write_run(directory, run)
