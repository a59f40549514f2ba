"""An OpenAI-compatible endpoint on the loopback interface, in front of the engine.

llama.cpp does not make a model call tools. So the gateway takes the next turn from the script, has the
engine emit exactly that text, and passes it on as OpenAI's content and `tool_calls` while it is being
emitted. Every token is prefilled, batched, cached, decoded and timed by the engine; usage and timings are
the engine's own. A model that is sampled chooses the words of thoughts and answers itself; which tools it calls, and
with what, stays the script's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from tracekit.demo import wire
from tracekit.demo.engine import Engine, EngineError
from tracekit.demo.labels import RANDOM, Model
from tracekit.demo.request import BadRequestError, ChatRequest
from tracekit.demo.script import next_turn
from tracekit.demo.turn import spelling

Json = dict[str, Any]

CHAT: Final = "/v1/chat/completions"
PROMETHEUS_TEXT: Final = "text/plain; version=0.0.4"


class Gateway(ThreadingHTTPServer):
    """Serves one engine on 127.0.0.1; port 0 takes any free port."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, engine: Engine, port: int = 0, model: Model = RANDOM) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.engine = engine
        self.model = model

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as `base_url`."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing if the client hung up, which is no concern of the others; else a traceback."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway
    timeout = 120.0  # seconds without a byte from a kept-alive client
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        match urlsplit(self.path).path:
            case "/v1/models":
                self._send_json(wire.models(self.server.model))
            case "/health":
                self._guarded(lambda: self._send(self.server.engine.asked("/health"), "application/json"))
            case "/metrics":
                self._guarded(lambda: self._send(self.server.engine.asked("/metrics"), PROMETHEUS_TEXT))
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, f"There is no {self.path} here.")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if urlsplit(self.path).path == CHAT:
            self._guarded(lambda: self._chat(ChatRequest.parsed(body)))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"There is no {self.path} here.")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: standard error is kept for the engine."""

    def _guarded(self, answer: Callable[[], None]) -> None:
        try:
            answer()
        except BadRequestError as bad:
            self._refuse(HTTPStatus.BAD_REQUEST, str(bad))
        except EngineError as failed:
            self._refuse(failed.status, f"The engine failed: {failed}")

    def _chat(self, request: ChatRequest) -> None:
        turn = next_turn(request.messages, tools_offered=bool(request.tools))
        engine, model = self.server.engine, self.server.model
        body = (
            request.for_sampling(turn)
            if model.is_sampled
            else request.for_engine(engine.tokens(spelling(turn)))
        )
        answer = wire.Answer(turn, model)
        if request.stream:
            with closing(engine.events(CHAT, body)) as events:
                self._send_stream(chunk for event in events for chunk in answer.chunks(event))
        else:
            self._send_json(answer.completion(json.loads(engine.asked(CHAT, body))))

    def _refuse(self, status: int, message: str) -> None:
        self._send_json(wire.error(message, status), status)

    def _send_json(self, body: Json, status: int = HTTPStatus.OK) -> None:
        self._send(json.dumps(body).encode(), "application/json", status)

    def _send(self, body: bytes, kind: str, status: int = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_stream(self, chunks: Iterator[Json]) -> None:
        first = next(chunks)  # an engine that refuses does so before its first event
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._send_event(first)
        try:
            for chunk in chunks:
                self._send_event(chunk)
        except EngineError as failed:
            self._send_event(wire.error(f"The engine failed: {failed}", failed.status))
        self._send_chunk(b"data: [DONE]\n\n")
        self._send_chunk(b"")

    def _send_event(self, event: Json) -> None:
        self._send_chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
