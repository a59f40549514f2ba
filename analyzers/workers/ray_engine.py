"""Workers of a Ray cluster: the one at an address, or processes of this machine."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any

from tracekit.analyzers.workers.engine import Done, Piece, Shared
from tracekit.analyzers.workers.order import Order, carried_out
from tracekit.errors import EngineUnusable

NAME = "ray"
CONNECT_S = 30


class RayEngine:
    """A driver of a cluster, with one worker a core where it starts one itself."""

    def __init__(self, workers: int, address: str | None) -> None:
        self._ray = _ray()
        where: dict[str, Any] = {"address": address}
        if address is None:
            where = {"address": "local", "num_cpus": workers, "include_dashboard": False}
        try:
            _knock(address)
            self._ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            raise EngineUnusable.no_cluster(NAME, address or "this machine", str(error)) from error
        self._remote = self._ray.remote(carried_out)
        self.workers = max(1, int(self._ray.cluster_resources().get("CPU", workers)))

    def send(self, shared: object) -> Any:
        """A reference to it in the cluster's store, from which every node takes it once."""
        return self._ray.put(shared)

    def map(
        self, work: Callable[[Shared, Piece], Done], sent: Any, pieces: Sequence[Piece]
    ) -> Generator[tuple[int, Done], None, None]:
        """`work(shared, piece)` of every piece with its place, as each is done.

        What nobody waits for any more ends with the engine: Ray's own `cancel` may end this process as well (2.60).
        """
        order = Order.of(work)
        places = {self._remote.remote(order, sent, piece): place for place, piece in enumerate(pieces)}
        waiting = list(places)
        while waiting:
            [done], waiting = self._ray.wait(waiting, num_returns=1)
            yield places[done], self._result(done)

    def _result(self, done: Any) -> Any:
        try:
            return self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            raise self._cause(error) from error
        except self._ray.exceptions.RayError as error:
            raise EngineUnusable.lost(NAME, _first_line(error)) from error

    def _cause(self, error: Any) -> BaseException:
        """What the worker raised, without the traceback that Ray makes a part of its words."""
        cause: BaseException = error.cause
        if isinstance(cause, ImportError) or "ModuleNotFoundError" in str(cause):
            return EngineUnusable.no_code(NAME, _first_line(cause))
        if isinstance(cause, self._ray.exceptions.RayError):
            return EngineUnusable.lost(NAME, _first_line(cause))
        return cause

    def close(self) -> None:
        """Leaves the cluster, and ends it if it was started here."""
        self._ray.shutdown()


def _knock(address: str | None) -> None:
    """Ray itself takes minutes to find that nobody is there. Raises OSError."""
    host, colon, port = (address or "").rpartition("//")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), CONNECT_S).close()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def _ray() -> Any:
    try:
        import ray  # noqa: PLC0415
    except ImportError as error:
        raise EngineUnusable.no_package(NAME, str(error)) from error
    return ray
