"""The process that reads power while an agent runs: nulls for what it cannot know, and a reason beside each."""

from __future__ import annotations

import argparse
import os
import select
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.power.sampler import Sampler


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample until the process that started this one is gone, or SIGTERM."""
    parser = argparse.ArgumentParser(prog="power_sampler", description=__doc__)
    parser.add_argument("--spool", type=Path, required=True, help="directory that the records go to")
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between samples")
    options = parser.parse_args(arguments)
    writer = Writer(str(options.spool), Clock(os.environ.get("TRACEKIT_CLOCK")), is_agent=False)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    Sampler(writer, options.interval).run(lambda: bool(stopped) or os.getppid() != parent, _until_a_signal())
    os._exit(0)  # a thread in a driver's call cannot be waited for, nor taken apart


def _until_a_signal() -> Callable[[float], object]:
    """A wait that ends when a signal comes: its handler may set no lock that the waiting thread holds."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return lambda seconds: select.select([reading], [], [], seconds)


if __name__ == "__main__":
    raise SystemExit(main())
