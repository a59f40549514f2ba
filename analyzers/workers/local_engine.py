"""Threads of this process: the kernels' machine code releases the GIL, so replays run side by side.

A third of a point of a sweep is Python, so threads stop helping at some three cores; a local Dask or Ray cluster has
processes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from tracekit.analyzers.workers.engine import Done, Piece, Shared


class LocalEngine:
    """A pool of so many threads."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers, "replay")

    def send(self, shared: object) -> Any:
        """The same: threads see what this one sees."""
        return shared

    def map(
        self, work: Callable[[Shared, Piece], Done], sent: Any, pieces: Sequence[Piece]
    ) -> Generator[tuple[int, Done], None, None]:
        """`work(shared, piece)` of every piece with its place, as each is done."""
        places = {self._pool.submit(work, sent, piece): place for place, piece in enumerate(pieces)}
        try:
            for future in as_completed(places):
                yield places[future], future.result()
        finally:
            for future in places:
                future.cancel()

    def close(self) -> None:
        """Waits for the pieces that have begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)
