"""Where replays run: one `map` over picklable pieces, behind which are threads or a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeVar

Shared = TypeVar("Shared")
Piece = TypeVar("Piece")
Done = TypeVar("Done")


class Engine(Protocol):
    """Workers. A cluster that was there before stays when the engine is closed."""

    @property
    def workers(self) -> int:
        """How many pieces are worked on at once."""

    def send(self, shared: object) -> Any:
        """What stands for `shared` in `map`: it goes to each worker once, and leaves when nobody holds this."""

    def map(
        self, work: Callable[[Shared, Piece], Done], sent: Any, pieces: Sequence[Piece]
    ) -> Generator[tuple[int, Done], None, None]:
        """`work(shared, piece)` of every piece with its place, as each is done; `sent` stands for `shared`.

        What has not begun when this is closed is given up. What `work` raises is raised here.

        Raises
        ------
        EngineUnusable : workers were lost, or have another tracekit than this process.
        """

    def close(self) -> None:
        """Ends what this engine started, and leaves what has not begun undone."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def engine_named(name: str, workers: int, address: str | None) -> Engine:
    """The engine of that name with so many workers, or those of the cluster at `address`.

    Raises
    ------
    EngineUnusable : its package is missing, or no cluster answers.
    """
    if name == "dask":
        from tracekit.analyzers.workers.dask_engine import DaskEngine  # noqa: PLC0415

        return DaskEngine(workers, address)
    if name == "ray":
        from tracekit.analyzers.workers.ray_engine import RayEngine  # noqa: PLC0415

        return RayEngine(workers, address)
    from tracekit.analyzers.workers.local_engine import LocalEngine  # noqa: PLC0415

    return LocalEngine(workers)
