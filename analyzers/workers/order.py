"""What a cluster's worker is told to do, by whom: it refuses where it might come to other numbers."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, NamedTuple

from tracekit.analyzers.workers.code import sources_digest
from tracekit.errors import EngineUnusable


class Order(NamedTuple):
    """A function, and a name for the sources that whoever asks would run it by."""

    work: Callable[[Any, Any], Any]
    sources: str

    @classmethod
    def of(cls, work: Callable[[Any, Any], Any]) -> Order:
        """By this process's sources."""
        return cls(work, sources_digest())


def carried_out(order: Order, shared: Any, piece: Any) -> Any:
    """What the function says of the piece.

    Raises
    ------
    EngineUnusable : this worker's sources are others.
    """
    if order.sources != sources_digest():
        raise EngineUnusable.other_code(platform.node())
    return order.work(shared, piece)
