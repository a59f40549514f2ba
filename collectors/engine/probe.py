"""One endpoint, asked again and again in a thread of its own: slow servers hold up nobody else."""

from __future__ import annotations

import platform
import threading
import time

from tracekit.collectors.engine.endpoint import LONGEST_ANSWER_S, Endpoint, Unavailable
from tracekit.collectors.engine.state import State, engine_states
from tracekit.collectors.inside.spool import Writer

MOST_SHARE = 0.1
"""Of the server's time, that answering may take: where it answers slowly, it is asked less often."""
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 30.0
LAST_ANSWER_S = 0.3
UNAVAILABLE = "engine_metrics_unavailable"


class Probe(threading.Thread):
    """Writes an `engine` record for each model of an endpoint and interval; one note where there is none."""

    def __init__(self, endpoint: Endpoint, writer: Writer, interval_s: float, over: threading.Event) -> None:
        super().__init__(daemon=True, name=endpoint.name)
        self._endpoint = endpoint
        self._writer = writer
        self._interval_s = interval_s
        self._over = over
        self._pause_s = FIRST_PAUSE_S
        self._has_told = False

    def run(self) -> None:
        """Ask until it is over, and once more then."""
        try:
            address = self._endpoint.address()
        except Unavailable as error:
            self.tell(str(error))
            return
        if address is None:
            self._has_told = True  # public, and nobody named it
            return
        while not self._over.is_set():
            self._over.wait(self._sample(address))
        self._sample(address, LAST_ANSWER_S)

    def tell(self, why: str) -> None:
        """Note why there are no metrics, once."""
        if not self._has_told:
            self._has_told = True
            self._writer.note(UNAVAILABLE, f"{self._endpoint.name}: {why}")

    def _sample(self, address: str, longest_s: float = LONGEST_ANSWER_S) -> float:
        """Ask once; the seconds to wait then."""
        began_s, began_ns = time.monotonic(), self._writer.clock.now_ns()
        try:
            states = self._states(address, longest_s)
        except Unavailable as error:
            self.tell(str(error))
            pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
            return pause_s
        took_s = time.monotonic() - began_s
        at_ns = began_ns + int(took_s * 0.5e9)
        host = platform.node()
        for state in states:
            self._writer.write("engine", at_ns, {"host": host, "endpoint": self._endpoint.name, **state})
        self._has_told, self._pause_s = True, FIRST_PAUSE_S
        return max(self._interval_s, took_s / MOST_SHARE) - took_s

    def _states(self, address: str, longest_s: float) -> list[State]:
        states = engine_states(self._endpoint.page(address, longest_s))
        if not states:
            raise Unavailable("no metrics of a known engine")
        return states
