"""The process that reads the metrics of the servers that an agent calls, beside the agent."""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tracekit.collectors.engine.called import CalledServers
from tracekit.collectors.engine.endpoint import Endpoint
from tracekit.collectors.engine.probe import LAST_ANSWER_S, Probe
from tracekit.collectors.inside.clock import Clock
from tracekit.collectors.inside.spool import Writer

INTERVAL_S = 0.5
LOOK_S = 0.1
"""Between looks for new servers: what they count before the first sample is not told."""
MOST_ENDPOINTS = 16


class Collector:
    """Probes for given endpoints, and for those that the agent is seen to call."""

    def __init__(self, directory: Path, writer: Writer, interval_s: float) -> None:
        self._called = CalledServers(directory)
        self._writer = writer
        self._interval_s = interval_s
        self._over = threading.Event()
        self._probes: dict[str, Probe] = {}

    def probe(self, endpoint: Endpoint) -> None:
        """Ask it from now on, if it is not asked already."""
        if endpoint.name not in self._probes and len(self._probes) < MOST_ENDPOINTS:
            probe = Probe(endpoint, self._writer, self._interval_s, self._over)
            self._probes[endpoint.name] = probe
            probe.start()

    def look(self) -> None:
        """Find servers that the agent calls since the last look."""
        for endpoint in self._called.new():
            self.probe(endpoint)

    def finish(self) -> None:
        """Take the last samples, within LAST_ANSWER_S; a server that takes longer is left behind."""
        self._over.set()
        end_s = time.monotonic() + LAST_ANSWER_S
        for probe in self._probes.values():
            probe.join(max(0.0, end_s - time.monotonic()))
            if probe.is_alive():
                probe.tell("no answer in time")


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect until the process that started this one is gone, or SIGTERM."""
    parser = argparse.ArgumentParser(prog="engine_metrics", description=__doc__)
    parser.add_argument("--spool", type=Path, required=True, help="directory that the records go to")
    parser.add_argument("--interval", type=float, default=INTERVAL_S, help="seconds between samples")
    parser.add_argument("--parent", type=int, help="the process to end with; the one that started this")
    parser.add_argument("urls", nargs="*", help="what to read; nothing: the servers that the agent calls")
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked by who started us, till we listen
    parent = options.parent or os.getppid()  # which may be another by now, if it is gone already
    writer = Writer(str(options.spool), Clock(os.environ.get("TRACEKIT_CLOCK")), is_agent=False)
    collector = Collector(options.spool, writer, options.interval)
    for url in options.urls:
        collector.probe(Endpoint.of_url(url))
    while not stopped.is_set() and os.getppid() == parent:
        if not options.urls:
            collector.look()
        stopped.wait(LOOK_S)
    if not options.urls:
        collector.look()
    collector.finish()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
