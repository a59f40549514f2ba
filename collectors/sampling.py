"""A recording of a host's power alone: a spool as `record` makes, without an agent."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tracekit.collectors import launch
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.power.sampler_process import SamplerProcess
from tracekit.errors import OutputRefused

POLL_SECONDS = 0.1


def sample(
    command: Sequence[str],
    spool_directory: Path,
    *,
    version: str = "",
    interval_s: float = 0.05,
    duration_s: float | None = None,
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
    sampler = SamplerProcess(directory, run["clock"], notes)
    words = [] if answer_clock is None else ["--answer-clock", answer_clock]
    words += [word for peer in ask_clocks for word in ("--ask-clock", peer)]
    stopped: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, _frame: stopped.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        sampler.start(interval_s, set(), words)
        end_s = float("inf") if duration_s is None else time.monotonic() + duration_s
        while not stopped and time.monotonic() < end_s and not sampler.is_over():
            time.sleep(POLL_SECONDS if end_s - time.monotonic() > POLL_SECONDS else POLL_SECONDS / 20)
    finally:
        sampler.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
        os.close(lock)
    run["end_ns"] = wall_ns - monotonic_ns + time.monotonic_ns()
    with contextlib.suppress(OutputRefused):
        launch._write_run(directory, run)
