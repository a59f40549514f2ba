"""Workers of a Dask cluster: the one at an address, or processes of this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from tracekit.analyzers.workers.engine import Done, Piece, Shared
from tracekit.analyzers.workers.order import Order, carried_out
from tracekit.errors import EngineUnusable

NAME = "dask"
CONNECT_S = 30


class DaskEngine:
    """A client of a cluster, with one thread a process where it starts one itself."""

    def __init__(self, workers: int, address: str | None) -> None:
        self._distributed = _distributed()
        self._cluster: Any = None
        if address is None:
            self._cluster = self._distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None
            )
        try:
            self._client: Any = self._distributed.Client(self._cluster or address, timeout=CONNECT_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise EngineUnusable.no_cluster(NAME, str(address), str(error)) from error
        if self._cluster is not None:
            self._client.run(_be_deaf_to_ctrl_c)
        self._check_code()
        self.workers = max(1, sum(self._client.nthreads().values()))

    def _check_code(self) -> None:
        """Before anything is sent: what a worker cannot unpack it reports as something else."""
        try:
            self._client.run(exec, f"import {carried_out.__module__}")
        except ImportError as error:
            self.close()
            raise EngineUnusable.no_code(NAME, str(error)) from error

    def send(self, shared: object) -> Any:
        """A future of it that every worker holds."""
        return self._client.scatter([shared], broadcast=True, hash=False)[0]

    def map(
        self, work: Callable[[Shared, Piece], Done], sent: Any, pieces: Sequence[Piece]
    ) -> Generator[tuple[int, Done], None, None]:
        """`work(shared, piece)` of every piece with its place, as each is done."""
        order = Order.of(work)
        places = {
            self._client.submit(carried_out, order, sent, piece, pure=False): place
            for place, piece in enumerate(pieces)
        }
        try:
            for future in self._distributed.as_completed(list(places)):
                yield places[future], self._result(future)
        finally:
            self._client.cancel([future for future in places if not future.done()])

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except ImportError as error:
            raise EngineUnusable.no_code(NAME, str(error)) from error
        except (CancelledError, self._distributed.KilledWorker) as error:
            raise EngineUnusable.lost(NAME, _first_line(error)) from error

    def close(self) -> None:
        """Leaves the cluster, and ends it if it was started here."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _be_deaf_to_ctrl_c() -> None:
    """It reaches all processes of a terminal, and is for the one that waits for the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def _distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415
    except ImportError as error:
        raise EngineUnusable.no_package(NAME, str(error)) from error
    return distributed
