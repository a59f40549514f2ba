"""An OpenAI- and Anthropic-compatible server on loopback that knows what it did, and misbehaves when asked.

First byte 30 ms after the request, then 10 ms for each piece of output, on a schedule that does not drift. Usage in
chat and completion streams only if the client asks. Faults, by directives in the prompt (see plan.py):
429-once, 500-once, 500, 400, stall (mid-stream), stall-headers, reset (mid-stream), reset-first, stream-error, gzip,
br, zstd, crlf, comments, no-choices, split (bytes cut at odd places), no-newline (the last event lacks its blank line).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.clients.answers import OUTPUT, USAGE, Event, stream_of, whole_body
from tests.clients.compressed import ENCODINGS
from tests.clients.plan import Plan, plan_for
from tests.clients.server_truth import Served, ServerLog, now_ns

FIRST_BYTE_S = 0.030
PIECE_S = 0.010
STALL_S = 3.0
SUFFIXES = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/responses": "responses",
    "/embeddings": "embeddings",
    "/messages": "messages",
}
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Cut(Exception):
    """The connection is to be cut here."""


class Ended(Exception):
    """The stream is to end here, as a stream should."""


def api_of(path: str) -> str | None:
    """The API behind a path."""
    return next((api for suffix, api in SUFFIXES.items() if path.endswith(suffix)), None)


def stream_error(api: str) -> bytes:
    """An error inside a stream, as each API words it."""
    error = {"message": "planned error in the stream", "type": "server_error", "code": "boom"}
    if api == "messages":
        said: dict[str, Any] = {
            "type": "error",
            "error": {"type": "overloaded_error", "message": error["message"]},
        }
    elif api == "responses":
        said = {**error, "type": "error", "sequence_number": 9, "param": None}
    else:
        said = {"error": error}
    name = "event: error\n" if api in ("messages", "responses") else ""
    return f"{name}data: {json.dumps(said)}\n\n".encode()


def refusal(status: int, message: str) -> bytes:
    """The body of an error."""
    return json.dumps({"error": {"message": message, "type": "server_error", "code": f"e{status}"}}).encode()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ClientServer

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The list of models, or a WebSocket."""
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.websocket()
            return
        models = {"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "me"}]}
        self.plain(200, json.dumps(models).encode())

    def do_POST(self) -> None:
        """One request to an API."""
        raw = self.request_body()
        path = urlsplit(self.path).path
        api = api_of(path)
        if api is None:
            self.plain(404, refusal(404, "no such path"))
            return
        body = json.loads(raw)
        digest = hashlib.sha256(raw).hexdigest()
        if not body.get("model") and (deployment := re.search(r"/deployments/([^/]+)/", path)):
            body["model"] = deployment[1]
        earlier = self.server.plans.get(body.get("previous_response_id"))
        plan = plan_for(body, api, earlier)
        self.server.plans[plan.response_id] = plan
        served = self.server.log.open(api, path, plan.model, bool(body.get("stream")), digest, now_ns())
        served.directives = list(plan.directives)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.answer(served, plan, body)

    def request_body(self) -> bytes:
        """The request's body, by its length or by chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, served: Served, plan: Plan, body: dict[str, Any]) -> None:
        """Play the plan, or its fault."""
        start = time.monotonic()
        if plan.has("stall-headers"):
            time.sleep(STALL_S)
        if plan.has("reset-first") and self.server.log.failures_of(served.body_digest) == 0:
            self.server.log.refuse(served.body_digest)
            self.cut()
            return
        time.sleep(FIRST_BYTE_S)
        if status := self.fault_status(served, plan):
            self.server.log.refuse(served.body_digest)
            served.status, served.first_byte_ns = status, now_ns()
            wait = {"Retry-After": "1", "retry-after-ms": "40"} if status == 429 else {}
            self.plain(status, refusal(status, f"planned {status}"), **wait)
            served.end_ns, served.complete = now_ns(), True
            return
        served.status = 200
        served.response_id = None if served.api == "embeddings" else plan.response_id
        served.tool_ids, served.tool_names = [t.id for t in plan.tools], [t.name for t in plan.tools]
        served.asks_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        if served.stream:
            self.stream(served, plan, start)
        else:
            time.sleep(PIECE_S * len(plan.pieces))
            served.usage = plan.usage
            self.whole(served, plan, body)

    def fault_status(self, served: Served, plan: Plan) -> int | None:
        """The HTTP error this request gets, if any."""
        failures = self.server.log.failures_of(served.body_digest)
        for name in ("400", "500"):
            if plan.has(name):
                return int(name)
        for name in ("429", "500"):
            if plan.has(f"{name}-once") and failures == 0:
                return int(name)
        return None

    def encoding(self, plan: Plan) -> str | None:
        """The content encoding that was asked for by the prompt and is read by the client."""
        offered = self.headers.get("Accept-Encoding", "")
        return next((name for name in ENCODINGS if plan.has(name) and name in offered), None)

    def plain(self, status: int, content: bytes, **headers: str) -> None:
        """A whole answer with its length."""
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def whole(self, served: Served, plan: Plan, body: dict[str, Any]) -> None:
        """An answer in one piece."""
        content = json.dumps(whole_body(served.api, plan, body), ensure_ascii=False).encode()
        extra = {"x-request-id": f"req-{plan.response_id}"}
        if name := self.encoding(plan):
            encoder = ENCODINGS[name]()
            content, extra["Content-Encoding"] = encoder.add(content) + encoder.end(), name
        served.first_byte_ns = served.first_content_ns = served.last_content_ns = now_ns()
        self.plain(200, content, **extra)
        served.end_ns, served.complete = now_ns(), True

    def stream(self, served: Served, plan: Plan, start: float) -> None:
        """An answer as a stream of server-sent events."""
        name = self.encoding(plan)
        encoder = ENCODINGS[name]() if name else None
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("x-request-id", f"req-{plan.response_id}")
        if name:
            self.send_header("Content-Encoding", name)
        served.first_byte_ns = now_ns()
        self.end_headers()
        outputs = 0
        try:
            for event in stream_of(served.api, plan, served.asks_usage):
                if event.role == OUTPUT:
                    outputs += 1
                    self.misbehave(plan, outputs, served.api)
                    served.output_events = outputs
                    time.sleep(max(0.0, start + FIRST_BYTE_S + PIECE_S * outputs - time.monotonic()))
                    served.last_content_ns = now_ns()
                    served.first_content_ns = served.first_content_ns or served.last_content_ns
                for part in cut_up(framed(event, plan), plan):
                    self.chunk(encoder.add(part) if encoder else part)
                if event.role == USAGE:
                    served.usage = plan.usage
        except Cut:
            self.cut()
            return
        except Ended:
            pass
        served.end_ns, served.complete = now_ns(), True  # at the last event clients may hang up
        if encoder:
            self.chunk(encoder.end())
        self.wfile.write(b"0\r\n\r\n")

    def misbehave(self, plan: Plan, outputs: int, api: str) -> None:
        """Faults that come after two pieces of output."""
        if outputs != 3:
            return
        if plan.has("stall"):
            time.sleep(STALL_S)
        if plan.has("reset"):
            raise Cut
        if plan.has("stream-error"):
            self.chunk(stream_error(api))
            raise Ended

    def chunk(self, data: bytes) -> None:
        """One chunk on the wire."""
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def cut(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def websocket(self) -> None:
        """Responses over a WebSocket: `response.create` in, the events of a stream out."""
        key = self.headers["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest()).decode()
        self.send_response(101)
        for name, value in {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        path = urlsplit(self.path).path
        for message in self.websocket_messages():
            if message.get("type") != "response.create":
                continue
            body = message.get("response") or {key: value for key, value in message.items() if key != "type"}
            plan = self.server.plan(body, "responses")
            self.server.plans[plan.response_id] = plan
            digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
            served = self.server.log.open("responses", path, plan.model, True, digest, now_ns())
            served.status, served.response_id, served.directives = (
                101,
                plan.response_id,
                list(plan.directives),
            )
            served.tool_ids, served.tool_names = [t.id for t in plan.tools], [t.name for t in plan.tools]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.websocket_answer(served, plan)

    def websocket_answer(self, served: Served, plan: Plan) -> None:
        """The events of one response, a text frame each."""
        start, outputs = time.monotonic(), 0
        time.sleep(FIRST_BYTE_S)
        served.first_byte_ns = now_ns()
        for event in stream_of("responses", plan, asks_usage=True):
            if event.role == OUTPUT:
                outputs += 1
                served.output_events = outputs
                time.sleep(max(0.0, start + FIRST_BYTE_S + PIECE_S * outputs - time.monotonic()))
                served.last_content_ns = now_ns()
                served.first_content_ns = served.first_content_ns or served.last_content_ns
            self.websocket_frame(1, json.dumps(event.data).encode())
            if event.role == USAGE:
                served.usage = plan.usage
        served.end_ns, served.complete = now_ns(), True

    def websocket_frame(self, opcode: int, data: bytes) -> None:
        """One unmasked frame."""
        size = len(data)
        head = (
            struct.pack("!BB", 0x80 | opcode, size)[:2]
            if size < 126
            else struct.pack("!BBH", 0x80 | opcode, 126, size)
        )
        if size > 65535:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
        self.wfile.write(head + data)

    def websocket_messages(self) -> Iterator[dict[str, Any]]:
        """Text messages until the client closes. Fragments are joined; pings answered."""
        parts = b""
        while len(head := self.rfile.read(2)) == 2:
            opcode, size = head[0] & 15, head[1] & 127
            if size >= 126:
                size = int.from_bytes(self.rfile.read(2 if size == 126 else 8), "big")
            mask = self.rfile.read(4) if head[1] & 128 else b"\0\0\0\0"
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(size)))
            if opcode == 8:
                with contextlib.suppress(OSError):
                    self.websocket_frame(8, data[:2])
                return
            if opcode == 9:
                self.websocket_frame(10, data)
            elif opcode in (0, 1):
                parts += data
                if head[0] & 128:
                    yield json.loads(parts)
                    parts = b""


def framed(event: Event, plan: Plan) -> bytes:
    """An event as server-sent text."""
    line = "\r\n" if plan.has("crlf") else "\n"
    data = event.data if isinstance(event.data, str) else json.dumps(event.data, ensure_ascii=False)
    text = f"event: {event.name}{line}" if event.name else ""
    text += f"data: {data}{line}"
    if plan.has("comments"):
        text = f": keep-alive{line}{line}" + text
    if not (plan.has("no-newline") and data == "[DONE]"):
        text += line
    return text.encode()


def cut_up(data: bytes, plan: Plan) -> Iterator[bytes]:
    """The bytes as they go out: whole, or in sevens, which cuts characters and lines."""
    if not plan.has("split"):
        yield data
        return
    for start in range(0, len(data), 7):
        yield data[start : start + 7]


class ClientServer(ThreadingHTTPServer):
    """The server and its log. `with ClientServer() as server: server.base`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.log = ServerLog()
        self.plans: dict[Any, Plan] = {}

    def plan(self, body: dict[str, Any], api: str) -> Plan:
        """What a request gets. Kept for requests that continue it."""
        plan = plan_for(body, api, self.plans.get(body.get("previous_response_id")))
        self.plans[plan.response_id] = plan
        return plan

    @property
    def base(self) -> str:
        """The address, as OPENAI_BASE_URL wants it less /v1."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that vanish are part of the plan; anything else is this server's own fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def reset(self) -> None:
        """Forget all requests."""
        self.log.reset()
        self.plans = {}

    def __enter__(self) -> ClientServer:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()
