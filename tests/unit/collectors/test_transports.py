"""What every transport does with an exchange: sends its body and headers, shows what it shows, once for each call."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
import urllib3

from tests.unit.collectors import fake_server
from tests.unit.collectors.client_cases import MESSAGES
from tracekit.collectors.inside import exchange
from tracekit.collectors.inside.http_framing import Framing

BODY = {"model": "m-usage", "messages": MESSAGES, "stream": True}
HIDDEN = b'"usage"'


def by_httpx(url: str) -> bytes:
    with httpx.Client() as client:
        return client.post(url, json=BODY).content


def by_httpx2(url: str) -> bytes:
    with httpx2.Client() as client:
        return client.post(url, json=BODY).content


def by_requests(url: str) -> bytes:
    with requests.Session() as session:
        headers = session.headers.copy()
        answers = [session.post(url, json=BODY, timeout=5) for _ in range(2)]  # on one connection
        assert session.headers == headers
        assert all(answer.request.body == json.dumps(BODY).encode() for answer in answers)
        return answers[-1].content


def by_urllib3(url: str) -> bytes:
    with urllib3.PoolManager() as pool:
        response = pool.request("POST", url, json=BODY, preload_content=False)
        data = b"".join(response.stream(16))
        assert pool.request("GET", url.replace("/chat/completions", "/models")).status == 200
        return data


def by_http_client(url: str) -> bytes:
    link = http.client.HTTPConnection(url.split("/")[2])
    given = {"Content-Type": "application/json"}
    link.request("POST", "/v1/chat/completions", json.dumps(BODY), given)
    response = link.getresponse()
    data = b"".join(iter(lambda: response.read1(7), b""))
    assert given == {"Content-Type": "application/json"}
    link.close()
    return data


def by_aiohttp(url: str) -> bytes:
    async def ask() -> bytes:
        async with aiohttp.ClientSession() as session, session.post(url, json=BODY) as response:
            return b"".join([data async for data, _ in response.content.iter_chunks()])

    return asyncio.run(ask())


def by_aiohttp_after_a_redirect(url: str) -> bytes:
    return by_aiohttp(url.replace("/v1", "/moved/v1"))


CLIENTS: list[Callable[[str], bytes]] = [
    by_httpx,
    by_httpx2,
    by_requests,
    by_urllib3,
    by_http_client,
    by_aiohttp,
    by_aiohttp_after_a_redirect,
]


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every exchange sends another body and a header, and hides whole events, as injected usage is."""

    class Changing(exchange.Exchange):
        __slots__ = ("held",)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.body = json.dumps({**BODY, "stream_options": {"include_usage": True}}).encode()
            self.added_headers = {"x-added": "yes", "accept-encoding": "identity"}
            self.held = b""

        def chunk(self, data: bytes) -> bytes:
            super().chunk(data)
            *events, self.held = (self.held + data).split(b"\n\n")
            return b"".join(event + b"\n\n" for event in events if HIDDEN not in event)

        def rest(self) -> bytes:
            return self.held

    monkeypatch.setattr(exchange, "Exchange", Changing)


@pytest.mark.parametrize("ask", CLIENTS)
@pytest.mark.parametrize("kind", ["", "-untold", "-split"])
def test_what_the_exchange_sends_and_shows(
    fake: Any, hooked: Any, changing: None, ask: Callable[[str], bytes], kind: str, monkeypatch: Any
) -> None:
    monkeypatch.setitem(BODY, "model", "m-usage" + kind)
    fake.seen.clear()
    data = ask(f"{fake.base_url}/chat/completions")
    assert fake.seen
    for seen in fake.seen:
        assert seen.body["stream_options"] == {"include_usage": True}
        assert (seen.headers["x-added"], seen.headers["accept-encoding"]) == ("yes", "identity")
        assert int(seen.headers["content-length"]) > 0
    assert HIDDEN not in data
    assert data.endswith(b"data: [DONE]\n\n")
    assert data.count(b"data: ") == len(fake_server.WORDS) + 3
    end = hooked("attempt_end")[-1]
    assert (end["status"], end["response"]["usage"]["output"]) == ("ok", 22)
    assert [note["detail"] for note in hooked("note")] == []


@pytest.mark.parametrize("ask", CLIENTS)
def test_no_recorder_no_change(fake: Any, ask: Callable[[str], bytes]) -> None:
    fake.seen.clear()
    assert HIDDEN in ask(f"{fake.base_url}/chat/completions")
    assert all("x-added" not in seen.headers and seen.body == BODY for seen in fake.seen)


def test_a_body_of_known_length_is_filled_up(hooked: Any, changing: None) -> None:
    """What is hidden is replaced by line feeds, or the reader would wait for the rest."""
    body = b'data: {"usage":{}}\n\ndata: [DONE]\n\n'
    with OneAnswer(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(body), body
    ) as port:
        response = requests.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=BODY, timeout=5)
    assert response.content == b"data: [DONE]\n\n" + b"\n" * (len(body) - 14)


def test_the_answer_of_a_server_that_stops_reading(hooked: Any) -> None:
    """A server may refuse before it has the whole request; urllib3 reads what it said nevertheless."""
    refused = b'{"error":{"code":"too_large"}}'
    head = b"HTTP/1.1 413 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(refused)
    big = {**BODY, "messages": [{"role": "user", "content": "a" * 30_000_000}]}
    with OneAnswer(head, refused, reads=100) as port:
        try:
            status: Any = requests.post(
                f"http://127.0.0.1:{port}/v1/chat/completions", json=big, timeout=5
            ).status_code
        except requests.exceptions.ConnectionError:
            status = None
    [end] = hooked("attempt_end")
    assert (end["http_status"], end["status"]) == (status, "error")


class OneAnswer:
    """A server that gives one answer, as it is."""

    def __init__(self, *pieces: bytes, reads: int = 1 << 20) -> None:
        self._pieces = pieces
        self._reads = reads
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *error: object) -> None:
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        link, _ = self._socket.accept()
        with link, contextlib.suppress(OSError):  # the client may keep its end open, or be gone
            link.recv(self._reads)
            for piece in self._pieces:
                link.sendall(piece)
            link.shutdown(socket.SHUT_WR)
            link.settimeout(1)
            while self._reads > 100 and link.recv(1 << 16):
                pass


def test_threads_have_their_own_calls(fake: Any, hooked: Any) -> None:
    together = threading.Barrier(8)

    def ask(number: int) -> None:
        together.wait(5)
        body = {"model": f"thread-{number}", "messages": MESSAGES}
        requests.post(f"{fake.base_url}/chat/completions", json=body, timeout=5)
        together.wait(5)  # or the next thread gets this one's id

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    starts = hooked("attempt_start")
    assert len({start["thread"] for start in starts}) == len(starts) == 8
    assert {end["response"]["model"] for end in hooked("attempt_end")} == {
        f"thread-{n}-2026" for n in range(8)
    }


def test_a_child_leaves_its_parents_call_alone(fake: Any, hooked: Any) -> None:
    body = {**BODY, "model": "m-stall"}
    response = requests.post(f"{fake.base_url}/chat/completions", json=body, stream=True, timeout=5)
    child = os.fork()
    if child == 0:
        response.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert hooked("attempt_end") == []
    response.close()
    [end] = hooked("attempt_end")
    assert (end["status"], end["error_type"]) == ("cancelled", None)


def test_other_requests_are_not_touched(fake: Any, hooked: Any) -> None:
    link = http.client.HTTPConnection(fake.base_url.split("/")[2])
    link.request("GET", "/v1/models")
    response = link.getresponse()
    assert type(response.fp.raw) is socket.SocketIO
    response.read()
    link.request("POST", "/v1/models/chat", b"{}")
    assert type(link.getresponse().fp.raw) is socket.SocketIO
    link.close()
    assert hooked("attempt_start") == []


def test_a_request_whose_place_is_taken(fake: Any, hooked: Any) -> None:
    """A connection on which no answer was fetched is closed and used again."""
    link = http.client.HTTPConnection(fake.base_url.split("/")[2])
    for _ in range(2):
        link.request("POST", "/v1/chat/completions", json.dumps(BODY))
        link.close()
    del link
    ends = hooked("attempt_end")
    assert [(end["status"], end["http_status"]) for end in ends] == [("cancelled", None)] * 2


def test_a_connection_that_is_asked_in_words_of_python_2(fake: Any, hooked: Any) -> None:
    """As urllib3 1 asks first; http.client refuses that, and the response is still to come."""
    link = http.client.HTTPConnection(fake.base_url.split("/")[2])
    link.request("POST", "/v1/chat/completions", json.dumps(BODY))
    with pytest.raises(TypeError):
        link.getresponse(buffering=True)  # type: ignore[call-arg]
    link.getresponse().read()
    link.close()
    assert [end["status"] for end in hooked("attempt_end")] == ["ok"]


def test_a_failing_recorder_fails_no_transport(
    fake: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    for name in ("headers", "chunk", "rest"):
        with monkeypatch.context() as patch:
            patch.setattr(exchange.Exchange, name, broken)
            for ask in (by_requests, by_urllib3, by_http_client, by_aiohttp):
                assert ask(f"{fake.base_url}/chat/completions").endswith(b"data: [DONE]\n\n")
    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_request_text", broken)
        for ask in (by_requests, by_urllib3, by_http_client, by_aiohttp):
            assert ask(f"{fake.base_url}/chat/completions").endswith(b"data: [DONE]\n\n")
    assert {note["what"] for note in hooked("note")} == {"hook_error"}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_chunks_in_any_pieces(size: int) -> None:
    wire = b"3;name=value\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext answer"
    framing = Framing(is_chunked=True, length=None)
    body = b"".join(framing.payload(wire[at : at + size]) for at in range(0, len(wire), size))
    assert (body, framing.is_complete, framing.is_broken) == (b"abc0123456789", True, False)


@pytest.mark.parametrize("wire", [b"xyz\r\n", b"-3\r\nabc", b"3\r\nabcdef\r\n", b"1" * 70000])
def test_what_is_not_chunked(wire: bytes) -> None:
    framing = Framing(is_chunked=True, length=None)
    framing.payload(wire)
    assert framing.is_broken
    assert framing.payload(b"3\r\nabc\r\n") == b""
