"""10,000 damaged answers: the client gets what it would get alone, and the recorder never raises."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import urllib3
import websockets.sync.client
import websockets.sync.server

from tests.unit.collectors import mutation
from tracekit.collectors.inside.exchange import observe
from tracekit.collectors.inside.http_body import Body
from tracekit.collectors.inside.http_framing import Framing
from tracekit.collectors.inside.wire_file import listened

ANSWERS = mutation.answers()
READ = 10_000
PARSED = 1_000
SENT = 150
REQUEST = json.dumps({"model": "m", "messages": [], "input": "x", "prompt": "x", "max_tokens": 1}).encode()
KINDS = ("text/event-stream", "application/json", "application/x-ndjson", "text/plain", "")


def started(path: str) -> Any:
    exchange = observe("test", "POST", ("http", "h", 80, path), REQUEST, None)
    assert exchange is not None
    return exchange


def test_damaged_answers_are_read(recorded: Any) -> None:
    draw = random.Random(5)
    for _ in range(READ):
        path, data = draw.choice(ANSWERS)
        encoding, data = mutation.encoded(draw, mutation.damaged(draw, data))
        exchange = started(path)
        exchange.headers(draw.choice((200, 200, 200, 500)), draw.choice(KINDS), encoding)
        for piece in mutation.cut(draw, data):
            assert exchange.chunk(piece) is piece
        assert exchange.rest() == b""
        exchange.end(closed_early=draw.random() < 0.2)
    records = recorded()
    assert {record["t"] for record in records} == {"process", "attempt_start", "attempt_end"}
    ends = [record for record in records if record["t"] == "attempt_end"]
    assert len(ends) == READ
    assert all(end["response"] is not None for end in ends if end["response_bytes"])
    assert {end["status"] for end in ends} == {"ok", "error", "cancelled"}


class Pieces(io.RawIOBase):
    """A socket's file: as much as has come at a time."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__()
        self._pieces = list(pieces)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        count = min(len(buffer), len(piece))
        buffer[:count] = piece[:count]
        if piece[count:]:
            self._pieces.insert(0, piece[count:])
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def parsed(pieces: list[bytes], path: str, sizes: list[int], *, is_recorded: bool) -> Any:
    """What http.client makes of a response, read in steps of these sizes; 0 reads a line, -1 the rest."""
    response = http.client.HTTPResponse(Pieces(pieces), method="POST")  # type: ignore[arg-type]
    found: list[Any] = []
    try:
        response.begin()
        found.append((response.status, response.headers.items()))
        if is_recorded:
            exchange = started(path)
            encoding = response.headers.get("content-encoding", "")
            exchange.headers(response.status, response.headers.get("content-type", ""), encoding)
            framing = Framing(is_chunked=bool(response.chunked), length=response.length)
            response.fp = listened(response.fp, Body(exchange, framing))  # type: ignore[attr-defined]
        for size in sizes:
            found += [response.readline()] if size == 0 else [response.read(size if size > 0 else None)]
    except Exception as error:
        found.append((type(error), str(error)))
    finally:
        response.close()
    return found


def test_damaged_wires_are_parsed_alike(recorded: Any) -> None:
    draw = random.Random(6)
    for _ in range(PARSED):
        path, data = draw.choice(ANSWERS)
        pieces = mutation.wire(draw, mutation.damaged(draw, data))
        sizes = [draw.choice((0, 1, 9, 5000)) for _ in range(4)] + [-1]
        alone = parsed(pieces, path, sizes, is_recorded=False)
        assert parsed(pieces, path, sizes, is_recorded=True) == alone
    assert recorded("note") == []
    assert len(recorded("attempt_start")) == len(recorded("attempt_end")) > PARSED * 0.9


def outcome(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except Exception as error:
        return type(error)


def by_http_client(port: int, path: str, body: bytes) -> Any:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request("POST", path, body)
        with link.getresponse() as response:
            return response.status, response.headers.items(), response.read()
    finally:
        link.close()


def by_urllib3(port: int, path: str, body: bytes) -> Any:
    with urllib3.PoolManager(retries=False, timeout=5) as pool:
        response = pool.request("POST", f"http://127.0.0.1:{port}{path}", body=body, preload_content=False)
        try:
            return response.status, list(response.headers.items()), b"".join(response.stream(64))
        finally:
            response.close()


def by_httpx(port: int, path: str, body: bytes) -> Any:
    with httpx.Client(timeout=5, verify=False, trust_env=False) as client:
        response = client.post(f"http://127.0.0.1:{port}{path}", content=body)
        return response.status_code, response.headers.multi_items(), response.content


def by_aiohttp(port: int, path: str, body: bytes) -> Any:
    async def ask() -> Any:
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"http://127.0.0.1:{port}{path}", data=body) as response,
        ):
            return response.status, list(response.headers.items()), await response.read()

    return asyncio.run(ask())


@pytest.fixture
def scripted() -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers each connection with what the list holds next.

    It sends all at once: what aiohttp raises on a body that it cannot decompress depends on whether that came
    together with the headers.
    """
    script: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            link, _ = listener.accept()
            with link, contextlib.suppress(OSError):  # the client may hang up on what it cannot read
                link.settimeout(5)
                asked = b""
                while b"max_tokens" not in asked:
                    if not (more := link.recv(65536)):
                        break
                    asked += more
                if not asked:
                    return
                link.sendall(script.pop(0))
                link.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], script
    socket.create_connection(listener.getsockname()).close()
    thread.join(5)
    listener.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("ask", [by_http_client, by_urllib3, by_httpx, by_aiohttp])
def test_damaged_wires_through_every_hook(
    scripted: Any, request: pytest.FixtureRequest, ask: Callable[[int, str, bytes], Any]
) -> None:
    port, script = scripted
    draw = random.Random(7)
    wires = []
    for _ in range(SENT):
        path, data = draw.choice(ANSWERS)
        wires.append((path, b"".join(mutation.wire(draw, mutation.damaged(draw, data)))))

    def all_outcomes() -> list[Any]:
        script[:] = [data for _, data in wires]
        return [outcome(lambda path=path: ask(port, path, REQUEST)) for path, _ in wires]  # type: ignore[misc]

    alone = all_outcomes()
    records = request.getfixturevalue("hooked")
    assert all_outcomes() == alone
    assert records("note") == []
    assert len(records("attempt_start")) == len(records("attempt_end")) == SENT
    assert sum(isinstance(seen, tuple) for seen in alone) > SENT / 2


def test_damaged_events_over_a_socket(hooked: Any) -> None:
    draw = random.Random(8)
    sent = [mutation.damaged(draw, draw.choice(ANSWERS)[1])[:2000] for _ in range(300)]

    def answer(link: websockets.sync.server.ServerConnection) -> None:
        for _ in link:
            for data in sent:
                link.send(data)

    with websockets.sync.server.serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.socket.getsockname()[1]
        with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/v1/responses") as link:
            link.send(json.dumps({"type": "response.create", "model": "m", "input": "x"}))
            assert [link.recv() for _ in sent] == sent
        server.shutdown()
        thread.join(5)
    assert hooked("note") == []
    assert len(hooked("attempt_start")) == len(hooked("attempt_end")) == 1
