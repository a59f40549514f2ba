"""The process that reads power while an agent runs: nulls for what it cannot know, and a reason beside each."""

from __future__ import annotations

import argparse
import os
import select
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from tracekit.collectors.clock_exchange import ClockAsker, ClockServer, address
from tracekit.collectors.host_clock import HostClock
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer
from tracekit.collectors.power.sampler import WATCH_SECONDS, Sampler


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample until the process that started this one is gone, or SIGTERM."""
    parser = argparse.ArgumentParser(prog="power_sampler", description=__doc__)
    parser.add_argument("--spool", type=Path, required=True, help="directory that the records go to")
    parser.add_argument("--interval", type=float, default=0.05, help="seconds between samples")
    parser.add_argument("--stay", action="store_true", help="go on with the clocks if there is no power")
    parser.add_argument("--answer-clock", metavar="HOST:PORT", help="tell other hosts this one's clock there")
    parser.add_argument(
        "--ask-clock", metavar="HOST:PORT", action="append", default=[], help="ask for another's"
    )
    parser.add_argument("--parent", type=int, help="the process to end with; the one that started this")
    options = parser.parse_args(arguments)
    writer = Writer(str(options.spool), Clock(os.environ.get("TRACEKIT_CLOCK")), is_agent=False)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = options.parent or os.getppid()  # which may be another by now, if it is gone already
    clock = HostClock(writer.clock)

    def is_over() -> bool:
        news = clock.news()
        if news is not None:
            writer.write("clock", *news)
        return bool(stopped) or os.getppid() != parent

    wait = _until_a_signal()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked by who started us, till we listen
    _exchange_clocks(writer, options.answer_clock, options.ask_clock)
    Sampler(writer, options.interval).run(is_over, wait)
    while (options.stay or options.answer_clock) and not is_over():
        wait(WATCH_SECONDS)
    os._exit(0)  # a thread in a driver's call cannot be waited for, nor taken apart


def _exchange_clocks(writer: Writer, answer: str | None, peers: Sequence[str]) -> None:
    try:
        if answer is not None:
            ClockServer(*address(answer)).start()
        for peer in peers:
            ClockAsker(*address(peer), writer).start()
    except (OSError, ValueError) as error:
        writer.note("clock_unavailable", f"{answer or ' '.join(peers)}: {error}")


def _until_a_signal() -> Callable[[float], object]:
    """A wait that ends when a signal comes: its handler may set no lock that the waiting thread holds."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return lambda seconds: select.select([reading], [], [], seconds)


if __name__ == "__main__":
    raise SystemExit(main())
