"""A server that refuses what `--usage inject` adds, behind clients that stand on http.client or are aiohttp."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import pytest
import urllib3

from tests.unit.collectors.test_usage_injection import BODY, chunk, event
from tracekit.collectors.inside.state import STATE

REFUSAL = b'{"error":{"message":"Unrecognized request argument supplied: stream_options"}}'
FAULT = b'{"error":{"message":"This model is not there","code":"model_not_found"}}'
STREAM = (event(chunk("a")) + event(chunk("b")) + "data: [DONE]\n\n").encode()
Ask = Callable[[str], tuple[int, bytes]]


class Refusing:
    """Keeps the bodies of its requests; refuses those that ask for usage, or all with `fault`."""

    def __init__(self, fault: bytes = b"", *, closes: bool = False, chunked: bool = False) -> None:
        self.requests: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(request)
                refused = fault or (REFUSAL if "stream_options" in request else b"")
                self.send_response(400 if refused else 200)
                kind = "application/json" if refused else "text/event-stream"
                self.send_header("Content-Type", kind)
                self._body(refused or STREAM)

            def _body(self, body: bytes) -> None:
                if closes:
                    self.send_header("Connection", "close")
                    self.close_connection = True
                elif chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                    body = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
                else:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:  # a client that has enough hangs up
                    self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/chat/completions"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Refusing:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


DATA = json.dumps(BODY).encode()


def by_urllib(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, DATA)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def by_http_client(url: str) -> tuple[int, bytes]:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host)
    for _ in range(2):  # the second over the same connection, if that is still there
        connection.request("POST", "/" + path, DATA, {"Authorization": "x"})
        answer = connection.getresponse()
        body = b"".join(iter(lambda: answer.read(7), b""))  # noqa: B023  (read at once)
    connection.close()
    return answer.status, body


def by_urllib3(url: str) -> tuple[int, bytes]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("POST", url, body=DATA, preload_content=False, retries=False)
        return answer.status, b"".join(answer.stream(5))


def by_aiohttp(url: str) -> tuple[int, bytes]:
    async def ask() -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session, session.post(url, json=BODY) as answer:
            return answer.status, b"".join([data async for data in answer.content.iter_any()])

    return asyncio.run(ask())


@pytest.fixture
def injecting(hooked: Any) -> Iterator[Any]:
    STATE.usage = "inject"
    STATE.usage_places.clear()
    yield hooked
    STATE.usage = "keep"
    STATE.usage_places.clear()


WAYS = [by_urllib, by_http_client, by_urllib3, by_aiohttp]
SERVERS: list[dict[str, bool]] = [{}, {"closes": True}, {"chunked": True}]


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("kind", SERVERS)
def test_the_agent_sees_the_answer_to_its_own_request(
    injecting: Any, ask: Ask, kind: dict[str, bool]
) -> None:
    with Refusing(**kind) as server:
        assert [ask(server.url), ask(server.url)] == [(200, STREAM)] * 2
    sent = ["stream_options" in request for request in server.requests]
    assert sent[:2] == [True, False]
    assert not any(sent[1:])
    assert [note["what"] for note in injecting("note")] == ["usage_refused"]
    assert injecting("attempt_end")[-1]["status"] == "ok"
    assert len(injecting("attempt_start")) == len(injecting("attempt_end"))


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("fault", [FAULT, b"y" * 200_000])
def test_the_agents_own_error_stays_whole(
    injecting: Any, ask: Ask, kind: dict[str, bool], fault: bytes
) -> None:
    if len(fault) > 1000 and kind.get("chunked"):
        fault = fault[:70_000]  # one byte a chunk
    with Refusing(fault, **kind) as server:
        assert ask(server.url) == (400, fault)
    assert all("stream_options" in request for request in server.requests)
    assert {end["http_status"] for end in injecting("attempt_end")} == {400}
    assert injecting("note") == []
