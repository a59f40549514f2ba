"""What the server did, request by request: what a trace is held to."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

EPOCH_OFFSET_NS = time.time_ns() - time.monotonic_ns()


def now_ns() -> int:
    """Unix ns by the monotonic clock, as the recorder's times are."""
    return time.monotonic_ns() + EPOCH_OFFSET_NS


@dataclass
class Usage:
    """Tokens the server tells; None where its API has no such field."""

    input: int
    output: int
    cached: int | None
    cache_write: int | None
    reasoning: int | None


@dataclass
class Served:
    """One request. Instants are taken just before the bytes are sent, so a client cannot have them earlier."""

    index: int
    api: str
    path: str
    model: str
    stream: bool
    body_digest: str
    received_ns: int
    retried: bool = False  # the client had sent the same body before, and an error came back
    asks_usage: bool = False
    status: int | None = None
    first_byte_ns: int | None = None
    first_content_ns: int | None = None
    last_content_ns: int | None = None
    end_ns: int | None = None
    complete: bool = False  # all that a client waits for was sent
    usage: Usage | None = None  # as told to the client
    response_id: str | None = None
    output_events: int = 0
    header_names: list[str] = field(default_factory=list)
    tool_ids: list[str] = field(default_factory=list)
    tool_names: list[str] = field(default_factory=list)
    directives: list[str] = field(default_factory=list)


class ServerLog:
    """All requests since the last reset, in the order of arrival."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.served: list[Served] = []
        self.failed_digests: dict[str, int] = {}

    def open(self, api: str, path: str, model: str, stream: bool, digest: str, received_ns: int) -> Served:
        """A new record for a request that has come in."""
        with self.lock:
            retried = digest in self.failed_digests
            served = Served(len(self.served), api, path, model, stream, digest, received_ns, retried=retried)
            self.served.append(served)
            return served

    def failures_of(self, digest: str) -> int:
        """How often the same body was refused so far."""
        with self.lock:
            return self.failed_digests.get(digest, 0)

    def refuse(self, digest: str) -> None:
        """Note that this body was answered with an error."""
        with self.lock:
            self.failed_digests[digest] = self.failed_digests.get(digest, 0) + 1

    def reset(self) -> None:
        """Forget all."""
        with self.lock:
            self.served = []
            self.failed_digests = {}
