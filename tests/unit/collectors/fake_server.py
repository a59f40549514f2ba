"""A small OpenAI-compatible server whose every answer is known; the model's name says how it behaves.

Words in the model name, joined by "-": gzip, deflate, br, zstd, crlf, comments, split (chunks cut anywhere),
reasoning, tools, usage (in the stream without being asked), nodone, reset (mid-stream), stall (silence mid-stream),
long, refuse (429 unless the client says that it retries), fail (500), timings, cut (a body shorter than its length),
untold (no length, up to the connection's end). A path under /moved is redirected by a 307 to the one without it.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "prompt_tokens": 111,
    "completion_tokens": 22,
    "total_tokens": 133,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 7},
}
RESPONSES_USAGE = {
    "input_tokens": 111,
    "output_tokens": 22,
    "total_tokens": 133,
    "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 5},
    "output_tokens_details": {"reasoning_tokens": 7},
}
TIMINGS = {"cache_n": 64, "prompt_n": 47, "prompt_ms": 12.5, "predicted_n": 22, "predicted_ms": 99.25}
WORDS = ["Hello", " from", " a", " fake", " model", ", with", " ümlauts."]
TEXT = "".join(WORDS)
CALLS = [("call_a", "search", '{"q":"a"}'), ("call_b", "read", '{"p":"b"}')]


@dataclass
class Seen:
    """What the server knows of one request, on its own clock."""

    path: str
    body: dict[str, Any]
    received_ns: int
    headers: dict[str, str] = field(default_factory=dict)
    first_byte_ns: int = 0
    first_content_ns: int = 0
    end_ns: int = 0


@dataclass
class FakeServer:
    """The server while it runs."""

    base_url: str = ""
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    first_byte_s: float = 0.0
    chunk_s: float = 0.0
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    def start(self) -> FakeServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        server.fake = self  # type: ignore[attr-defined]
        self.port = server.server_port
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _is_chunked = True
    wbufsize = 0
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._send(200, b'{"data": [], "object": "list"}', "application/json")

    def do_POST(self) -> None:
        fake: FakeServer = self.server.fake  # type: ignore[attr-defined]
        raw = self._body()
        received = time.time_ns()
        if self.path.startswith("/moved"):
            self._send(307, b"moved", "text/plain", {"Location": self.path[len("/moved") :]})
            return
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        headers = {name.lower(): ", ".join(self.headers.get_all(name)) for name in self.headers}
        seen = Seen(self.path, body, received, headers)
        fake.seen.append(seen)
        words = set(str(body.get("model", "")).split("-"))
        time.sleep(fake.first_byte_s)
        if "fail" in words:
            self._send(
                500,
                b'{"error": {"message": "secret", "type": "server_error", "code": "boom"}}',
                "application/json",
            )
        elif "refuse" in words and self.headers.get("x-stainless-retry-count", "0") == "0":
            error = b'{"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}'
            self._send(429, error, "application/json", {"Retry-After": "0.01"})
        elif body.get("stream", self.path.startswith("/api/")):
            self._stream(_events(self.path, body, words), words, fake, seen)
        else:
            answer = json.dumps(_answer(self.path, body, words)).encode()
            self._send(200, answer, "application/json", words=words)
        seen.end_ns = time.time_ns()

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return _plain(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return _plain(b"".join(pieces))

    def _send(
        self,
        status: int,
        data: bytes,
        kind: str,
        headers: dict[str, str] | None = None,
        *,
        words: set[str] = frozenset(),  # type: ignore[assignment]
    ) -> None:
        coder = _coder(words)
        data = data if coder is None else coder[1](data) + coder[2]()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if "untold" in words:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(data)))
        if "cut" in words:
            data = data[: len(data) // 2]
            self.send_header("Connection", "close")
        if coder is not None:
            self.send_header("Content-Encoding", coder[0])
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _stream(
        self, events: Iterator[tuple[bytes, bool]], words: set[str], fake: FakeServer, seen: Seen
    ) -> None:
        self.send_response(200)
        lines = self.path.startswith("/api/")
        self.send_header(
            "Content-Type", "application/x-ndjson" if lines else "text/event-stream; charset=utf-8"
        )
        self._is_chunked = "untold" not in words
        if self._is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Connection", "close")
        coder = _coder(words)
        if coder is not None:
            self.send_header("Content-Encoding", coder[0])
        seen.first_byte_ns = time.time_ns()
        self.end_headers()
        for number, (event, is_content) in enumerate(events):
            if is_content:
                time.sleep(fake.chunk_s)
                seen.first_content_ns = seen.first_content_ns or time.time_ns()
            data = event.replace(b"\n", b"\r\n") if "crlf" in words else event
            if coder is not None:
                data = coder[1](data) + coder[3]()
            pieces = [data[: len(data) // 2], data[len(data) // 2 :]] if "split" in words else [data]
            for piece in pieces:
                self._chunk(piece)
            if "reset" in words and number == 3:
                self._reset()
                return
            if "stall" in words and number == 3:
                time.sleep(30)
        if coder is not None:
            self._chunk(coder[2]())
        if self._is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self._is_chunked else data)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.close_connection = True
        self.connection.close()


Coder = tuple[str, Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]


def _coder(words: set[str]) -> Coder | None:
    """An encoding's name, and how to encode, end and flush it."""
    if "gzip" in words or "deflate" in words:
        wbits = zlib.MAX_WBITS + 16 if "gzip" in words else zlib.MAX_WBITS
        packer = zlib.compressobj(wbits=wbits)
        name = "gzip" if "gzip" in words else "deflate"
        return name, packer.compress, packer.flush, lambda: packer.flush(zlib.Z_SYNC_FLUSH)
    if "br" in words:
        import brotli

        brotli_packer = brotli.Compressor()
        return "br", brotli_packer.process, brotli_packer.finish, brotli_packer.flush
    if "zstd" in words:
        import zstandard

        zstd_packer = zstandard.ZstdCompressor().compressobj()
        return (
            "zstd",
            zstd_packer.compress,
            zstd_packer.flush,
            lambda: zstd_packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK),
        )
    return None


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def _answer(path: str, body: dict[str, Any], words: set[str]) -> dict[str, Any]:
    model = body.get("model")
    if path.startswith("/api/"):
        *_, last = _ollama_lines(path, body, whole=True)
        return last
    if path.endswith("/embeddings"):
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        return {
            "object": "list",
            "data": data,
            "model": model,
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        }
    if path.endswith("/messages"):
        content = [{"type": "text", "text": TEXT}]
        usage = {
            "input_tokens": 40,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 11,
            "output_tokens": 22,
        }
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
                "stop_reason": "end_turn", "usage": usage}  # fmt: skip
    if path.endswith("/responses"):
        return _response(body, words, "completed")
    if path.endswith("/chat/completions"):
        message: dict[str, Any] = {"role": "assistant", "content": TEXT}
        if "tools" in words:
            message["content"] = None
            message["tool_calls"] = [_call(*call) for call in CALLS]
        if "reasoning" in words:
            message["reasoning_content"] = "hmm"
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "tool_calls" if "tools" in words else "stop",
        }
        choices = [dict(choice, index=index) for index in range(body.get("n") or 1)]
        kind = "chat.completion"
    else:
        choices = [{"index": 0, "text": TEXT, "finish_reason": "length", "logprobs": None}]
        kind = "text_completion"
    answer = {
        "id": "cmpl-1",
        "object": kind,
        "created": 1,
        "model": f"{model}-2026",
        "choices": choices,
        "usage": USAGE,
    }
    if "timings" in words:
        answer["timings"] = TIMINGS
    return answer


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _response(body: dict[str, Any], words: set[str], status: str) -> dict[str, Any]:
    if "tools" in words:
        output = [
            {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name,
             "arguments": arguments, "status": "completed"}
            for call_id, name, arguments in CALLS
        ]  # fmt: skip
    else:
        text = {"type": "output_text", "text": TEXT, "annotations": []}
        output = [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
        ]
    is_done = status == "completed"
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": body.get("model"),
        "output": output if is_done else [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "usage": RESPONSES_USAGE if is_done else None, "error": None, "incomplete_details": None,
        "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip


def _events(path: str, body: dict[str, Any], words: set[str]) -> Iterator[tuple[bytes, bool]]:
    if "comments" in words:
        yield b": keep-alive\n\n", False
    if path.startswith("/api/"):
        for line in _ollama_lines(path, body, whole=False):
            yield json.dumps(line).encode() + b"\n", not line["done"]
        return
    if path.endswith("/responses"):
        yield from responses_events(body, words)
        return
    if path.endswith("/messages"):
        yield from _messages_events(body)
        return
    is_chat = path.endswith("/chat/completions")
    for item, is_content in _chunks(body, words, is_chat):
        yield b"data: " + json.dumps(item).encode() + b"\n\n", is_content
        if "comments" in words:
            yield b": ping\n\n", False
    if "nodone" not in words:
        yield b"data: [DONE]\n\n", False


def _chunks(body: dict[str, Any], words: set[str], is_chat: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    base = {"id": "cmpl-1", "object": "chat.completion.chunk", "created": 1, "model": f"{body['model']}-2026"}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
        if is_chat:
            choice["delta"] = delta
        else:
            choice.update(text=delta.get("content", ""), logprobs=None)
        return {**base, "choices": [choice]}

    if is_chat:
        yield chunk({"role": "assistant", "content": ""}), False
    if "reasoning" in words:
        yield chunk({"reasoning_content": "hmm"}), True
    if "tools" in words:
        for index, (call_id, name, arguments) in enumerate(CALLS):
            yield chunk({"tool_calls": [{"index": index, **_call(call_id, name, "")}]}), True
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}), True
    else:
        for word in WORDS * (100 if "long" in words else 1):
            yield chunk({"content": word}), True
    last = chunk({}, "tool_calls" if "tools" in words else "stop")
    if "timings" in words:
        last["timings"] = TIMINGS
    yield last, False
    if (body.get("stream_options") or {}).get("include_usage") or "usage" in words:
        yield {**base, "choices": [], "usage": USAGE}, False


def _ollama_lines(path: str, body: dict[str, Any], *, whole: bool) -> Iterator[dict[str, Any]]:
    def line(text: str, **more: Any) -> dict[str, Any]:
        said = (
            {"message": {"role": "assistant", "content": text}} if path == "/api/chat" else {"response": text}
        )
        return {"model": body.get("model"), "created_at": "2026-01-01T00:00:00Z", **said, **more}

    for word in WORDS:
        yield line(word, done=False)
    counts = {"prompt_eval_count": 111, "prompt_eval_duration": 12_500_000, "eval_count": 22,
              "eval_duration": 99_250_000}  # fmt: skip
    yield line(TEXT if whole else "", done=True, done_reason="stop", **counts)


def responses_events(body: dict[str, Any], words: set[str]) -> Iterator[tuple[bytes, bool]]:
    number = 0

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        number += 1
        data = json.dumps({"type": kind, "sequence_number": number, **fields})
        return f"event: {kind}\ndata: {data}\n\n".encode()

    yield event("response.created", response=_response(body, words, "in_progress")), False
    final = _response(body, words, "completed")
    for index, item in enumerate(final["output"]):
        empty = {**item, "content": []} if item["type"] == "message" else {**item, "arguments": ""}
        is_call = item["type"] == "function_call"
        yield event("response.output_item.added", output_index=index, item=empty), is_call
        place = {"output_index": index, "item_id": item["id"]}
        if is_call:
            yield event("response.function_call_arguments.delta", delta=item["arguments"], **place), True
        else:
            part = {"type": "output_text", "text": "", "annotations": []}
            yield event("response.content_part.added", content_index=0, part=part, **place), False
            for word in WORDS:
                yield (
                    event("response.output_text.delta", content_index=0, delta=word, logprobs=[], **place),
                    True,
                )
            yield event("response.output_text.done", content_index=0, text=TEXT, logprobs=[], **place), False
        yield event("response.output_item.done", output_index=index, item=item), False
    yield event("response.completed", response=final), False


def _messages_events(body: dict[str, Any]) -> Iterator[tuple[bytes, bool]]:
    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

    usage = {
        "input_tokens": 40,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 11,
        "output_tokens": 1,
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "usage": usage,
    }
    yield event("message_start", message=message), False
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""}), False
    for word in WORDS:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}), True
    yield event("content_block_stop", index=0), False
    tool = {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}
    yield event("content_block_start", index=1, content_block=tool), True
    yield (
        event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"q":1}'}),
        True,
    )
    yield event("content_block_stop", index=1), False
    yield event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 22}), False
    yield event("message_stop"), False
