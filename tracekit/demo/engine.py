"""The embedded engine: llama.cpp's own server, running in this process on one thread.

One thread because llama.cpp's threads wait for each other by spinning: on shared cores two are slower than
one.
"""

from __future__ import annotations

import http
import http.client
import json
import socket
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tracekit.demo.extra import optional
from tracekit.demo.grammar import Token

Json = dict[str, Any]

REQUEST_TIMEOUT_S: Final = 120.0
INTERNAL_ERROR: Final = int(http.HTTPStatus.INTERNAL_SERVER_ERROR)


class EngineError(Exception):
    """The engine refused or broke off a request; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @classmethod
    def answering(cls, status: int, body: bytes) -> Self:
        try:
            message = str(json.loads(body)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            message = body.decode(errors="replace") or "no reason given"
        return cls(status, message)


@dataclass(frozen=True)
class Capacity:
    """How many requests run at once, and how many tokens each may hold."""

    slots: int = 4
    slot_context: int = 8192


class OpenSockets:
    """The sockets of requests in flight; once broken off, none is opened any more."""

    def __init__(self) -> None:
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = False

    @contextmanager
    def connected(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Connect, and count the socket as open meanwhile; ConnectionAbortedError after `break_off`."""
        with self._lock:
            if self._ended:
                raise ConnectionAbortedError("the engine has ended")
            connection.connect()
            opened = connection.sock  # http.client forgets it once the answer has begun
            self._sockets.add(opened)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(opened)

    def break_off(self) -> None:
        """Hang up on every open socket; its reader sees the end of the stream."""
        with self._lock:
            self._ended = True
            for opened in self._sockets:
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)


class Engine:
    """llama.cpp serving one weights file: continuous batching, and a prefix cache per slot."""

    def __init__(self, weights: Path, capacity: Capacity = Capacity(), template: str = "") -> None:
        """`template` stands in for that of the weights file."""
        xllamacpp = optional("xllamacpp")
        parameters = _parameters(xllamacpp, weights, capacity)
        if template:
            parameters.chat_template = template
        self._server = xllamacpp.Server(parameters)
        self._open = OpenSockets()
        self._host = urlsplit(str(self._server.listening_address)).netloc

    def close(self) -> None:
        """Stop the engine; requests in flight are broken off."""
        # llama.cpp's destructor keeps the interpreter lock and waits up to 30 s for requests in flight, whose
        # readers cannot hang up without that lock
        self._open.break_off()
        self._server = None

    def tokens(self, text: str) -> tuple[Token, ...]:
        """The text in the vocabulary's tokens; control tokens in it are taken as plain text."""
        answer = json.loads(
            self.asked("/tokenize", {"content": text, "with_pieces": True, "parse_special": False})
        )
        return tuple(Token(token["id"], _bytes(token["piece"])) for token in answer["tokens"])

    def asked(self, path: str, body: Json | None = None) -> bytes:
        """The whole answer to a GET (no body) or a POST."""
        with self._answer(path, body) as answer:
            return answer.read()

    def events(self, path: str, body: Json) -> Generator[Json]:
        """The answer's server-sent events as they come; closing the iterator cancels the request."""
        with self._answer(path, body) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    yield _event(line.removeprefix(b"data: "))

    @contextmanager
    def _answer(self, path: str, body: Json | None) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._host, timeout=REQUEST_TIMEOUT_S)
        try:
            with self._open.connected(connection):
                connection.request(
                    "GET" if body is None else "POST",
                    path,
                    body=None if body is None else json.dumps(body),
                    headers={"Content-Type": "application/json", "Connection": "close"},
                )
                answer = connection.getresponse()
                if answer.status != http.HTTPStatus.OK:
                    raise EngineError.answering(answer.status, answer.read())
                yield answer
        except (OSError, http.client.HTTPException) as broken:
            raise EngineError(INTERNAL_ERROR, f"its connection broke: {broken!r}") from broken
        finally:
            connection.close()


def _parameters(xllamacpp: Any, weights: Path, capacity: Capacity) -> Any:
    parameters = xllamacpp.CommonParams()
    settings: Mapping[str, Any] = {
        "n_parallel": capacity.slots,
        "n_ctx": capacity.slots * capacity.slot_context,
        "port": 0,
        "endpoint_metrics": True,
        "cache_ram_mib": 0,  # a finished prompt stays in its slot only, so the slot is the whole prefix cache
        "force_pure_content_parser": True,  # the gateway takes the tool calls apart
        "fit_params": False,
        "n_threads_http": 2 * capacity.slots,
        "verbosity": 1,
    }
    for name, value in settings.items():
        setattr(parameters, name, value)
    parameters.model.path = str(weights)
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    return parameters


def _event(text: bytes) -> Json:
    event: Json = json.loads(text)
    if "error" in event:
        raise EngineError(INTERNAL_ERROR, str(event["error"].get("message", "")))
    return event


def _bytes(piece: str | list[int]) -> bytes:
    return piece.encode() if isinstance(piece, str) else bytes(piece)
