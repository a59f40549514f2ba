"""What goes through the proxy comes out as it went in, when it did, and is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.unit.collectors import client_cases, fake_server
from tests.unit.collectors.proxy.conftest import Loop, Scripted
from tests.unit.collectors.test_clients import NOT_OK, USAGE, attempts
from tracekit.collectors.inside.exchange import Exchange
from tracekit.collectors.proxy import forwarding

CHAT = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def connect(url: str) -> tuple[socket.socket, str]:
    """A connection to the address, and its path."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20), parts.path


def exchange(url: str, request: bytes, until: bytes = b"") -> bytes:
    """Send bytes (PATH stands for the address's path); what came until the end, or until these bytes."""
    connection, path = connect(url)
    with connection:
        connection.sendall(request.replace(b"PATH", path.encode()))
        received = b""
        while not (until and until in received) and (data := connection.recv(65536)):
            received += data
    return received


def settled(records: Callable[..., list[dict[str, Any]]], count: int = 1) -> list[dict[str, Any]]:
    """The ends of attempts, once there are so many."""
    end = time.monotonic() + 10
    while len(records("attempt_end")) < count and time.monotonic() < end:
        time.sleep(0.005)
    return records("attempt_end")


def answering(response: bytes) -> Callable[..., Any]:
    async def play(reader: Any, writer: Any, head: bytes) -> None:
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
        writer.write(response)

    return play


# cases that go to an address of their own, or tell their headers or the pieces that bytes came in; sockets have tests
# of their own
APART = ("http_client_", "requests_nobody", "aiohttp_nobody", "responses_socket", "urllib3_stream")
TOLD_IN_PIECES = ("requests_stream_content", "httpx_generator")
THROUGH = [name for name in client_cases.CASES if not name.startswith(APART) and name not in TOLD_IN_PIECES]


@pytest.mark.parametrize("name", THROUGH)
def test_clients_see_no_difference_and_are_recorded(
    name: str, fake: Any, through: Any, recorded: Any
) -> None:
    alone = client_cases.CASES[name](fake.base_url)
    assert client_cases.CASES[name](through(fake.base_url)) == alone
    if name == "chat_nobody_there":  # an address of its own
        return
    settled(recorded, len(recorded("attempt_start")))
    if name == "not_an_llm_call":
        assert recorded("attempt_start") == []
        return
    start, end = attempts(recorded, name)[-1]
    assert end is not None
    assert (start["transport"], start["clock_point"]) == ("proxy", "proxy_arrival")
    assert (start["host"], start["port"]) == ("127.0.0.1", fake.port)
    if name not in NOT_OK:
        assert end["status"] == "ok"
    assert recorded("note") == []


def test_an_answer_is_the_servers_to_the_byte(through: Any, scripted: Any, recorded: Any) -> None:
    body = b'{"choices": [], "usage": {"prompt_tokens": 7}}'
    answer = (
        b"HTTP/1.1 203 Quite All Right\r\nX-Odd-CASE: a\r\nset-cookie: a=1; Path=/\r\nset-cookie: b=2\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    server = scripted(answering(answer))
    got = exchange(
        through(server.url) + CHAT,
        b"POST PATH?a=%2Fb&c HTTP/1.1\r\nhost: there\r\nAuthorization: Bearer sk-1\r\nX-Mine: 1\r\nx-mine: 2\r\n"
        b"Connection: X-Hop\r\nX-Hop: 1\r\nx-tracekit-id: 1-2\r\nContent-Length: 29\r\n\r\n"
        b'{"model":"m", "messages":[]} ',
        until=body,
    )
    assert got == answer
    [request] = server.requests
    lines = request.rstrip().split(b"\r\n")
    assert lines[0] == b"POST /v1/chat/completions?a=%2Fb&c HTTP/1.1"
    assert sorted(lines[1:]) == sorted(
        [
            b"Host: " + server.url.removeprefix("http://").encode(),
            b"Authorization: Bearer sk-1", b"X-Mine: 1", b"X-Mine: 2", b"Content-Length: 29",
        ]
    )  # fmt: skip
    [end] = settled(recorded)
    assert (end["status"], end["http_status"], end["response"]["usage"]["input"]) == ("ok", 203, 7)
    assert recorded("attempt_start")[0]["twin"] == "1-2"
    assert b"sk-1" not in b"".join(json.dumps(record).encode() for record in recorded())


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", None),
        ("GET", b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: 1\r\n\r\n", None),
        ("DELETE", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        ("GET", b"HTTP/1.1 500 \r\nContent-Length: 1\r\n\r\nx", None),
        (
            "GET",
            b"HTTP/1.0 200 OK\r\nX: 1\r\n\r\nuntil the end",
            b"HTTP/1.1 200 OK\r\nX: 1\r\nTransfer-Encoding: chunked\r\n\r\nd\r\nuntil the end\r\n0\r\n\r\n",
        ),
    ],
)
def test_answers_of_every_shape(
    through: Any, scripted: Any, method: str, answer: bytes, expected: Any
) -> None:
    async def play(reader: Any, writer: Any, head: bytes) -> None:
        writer.write(answer)
        if b"HTTP/1.0" in answer:
            writer.close()

    server = scripted(play)
    expected = expected or answer
    request = method.encode() + b" PATH HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    got = exchange(through(server.url) + "/v1/models", request)
    assert got.replace(b"Connection: close\r\n", b"") == expected


def test_encodings_stay(through: Any, scripted: Any, recorded: Any) -> None:
    body = gzip.compress(json.dumps({"choices": [], "usage": {"prompt_tokens": 7}}).encode())
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    server = scripted(answering(answer))
    request = json.dumps(ASK).encode()
    head = b"POST PATH HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(request)
    assert exchange(through(server.url) + CHAT, head + request, until=body) == answer
    assert settled(recorded)[0]["response"]["usage"]["input"] == 7


def test_a_connection_is_kept(through: Any, fake: Any) -> None:
    connection, path = connect(through(fake.base_url) + "/models")
    with connection:
        for _ in range(3):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            received = b""
            while not received.endswith(b'"list"}'):
                received += connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 200 OK")


def test_bodies_in_chunks_and_after_a_question(through: Any, scripted: Any, recorded: Any) -> None:
    bodies: list[bytes] = []

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    server = scripted(play)
    url = through(server.url) + CHAT
    body = json.dumps(ASK).encode()
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:])
    exchange(
        url, b"POST PATH HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, until=b"{}"
    )
    connection, path = connect(url)
    with connection:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(8) == b"HTTP/1.1"
    assert bodies == [body, body]
    assert not any(b"xpect" in request for request in server.requests)
    assert len(settled(recorded, 2)) == 2


def test_a_thousand_chunks_come_unchanged_and_one_by_one(
    through: Any, scripted: Any, recorded: Any, loop: Loop
) -> None:
    """Each chunk is sent when the one before it has arrived: a proxy that waits for more would wait for ever."""
    events = [
        b'data: {"choices": [{"delta": {"content": "%d"}, "finish_reason": null}]}\n\n' % n
        for n in range(1000)
    ]
    arrived = asyncio.Semaphore(0)
    stamps: list[int] = []

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for event in events:
            stamps.append(time.time_ns())
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await asyncio.wait_for(arrived.acquire(), 10)
        writer.write(b"0\r\n\r\n")

    server = scripted(play)
    got = b""
    with httpx.stream(
        "POST", through(server.url) + CHAT, json={**ASK, "stream": True}, timeout=20
    ) as response:
        for data in response.iter_raw():
            got += data
            for _ in range(data.count(b"data:")):
                loop.loop.call_soon_threadsafe(arrived.release)
    assert got == b"".join(events)
    [end] = settled(recorded)
    assert end["chunk_count"] == 1000
    assert end["first_token_ns"] >= stamps[0]
    assert end["last_token_ns"] >= stamps[-1]


BROKEN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n"
)


@pytest.mark.parametrize("is_reset", [True, False])
def test_a_broken_answer_breaks_the_same_way(
    through: Any, scripted: Any, recorded: Any, is_reset: bool
) -> None:
    async def play(reader: Any, writer: Any, head: bytes) -> None:
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        writer.write(BROKEN)
        await writer.drain()
        if is_reset:
            reset(writer)
        else:
            writer.close()

    url = through(scripted(play).url) + CHAT
    connection, path = connect(url)
    body = json.dumps(ASK).encode()
    with connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        received, error = b"", None
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError as raised:
            error = raised
    assert received == BROKEN
    assert (error is not None) == is_reset
    [end] = settled(recorded)
    assert (end["status"], end["http_status"]) == ("error", 200)


def reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_a_server_that_hangs_up_without_an_answer(through: Any, scripted: Any, recorded: Any) -> None:
    async def play(reader: Any, writer: Any, head: bytes) -> None:
        writer.close()

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(through(scripted(play).url) + CHAT, json=ASK)
    [end] = settled(recorded)
    assert (end["status"], end["http_status"], end["error_type"]) == (
        "error",
        None,
        "ServerDisconnectedError",
    )


def test_a_server_that_is_not_there(through: Any, recorded: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = httpx.post(through(f"http://127.0.0.1:{port}") + CHAT, json=ASK)
    assert answer.status_code == 502
    assert f"cannot reach http://127.0.0.1:{port}" in answer.json()["error"]["message"]
    [end] = settled(recorded)
    assert (end["status"], end["http_status"], end["error_type"]) == ("error", None, "ClientConnectorError")


def test_only_who_knows_the_token_gets_through(through: Any, fake: Any) -> None:
    parts = urlsplit(through(fake.base_url))
    for path in ("/", "/v1/models", parts.path[:-9] + "/v1/models"):
        assert httpx.get(f"http://{parts.netloc}{path}").status_code == 404


def test_an_agent_that_goes_away_ends_the_servers_work(
    through: Any, scripted: Any, recorded: Any, loop: Loop
) -> None:
    gone = asyncio.Event()

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writer.write(b"7\r\ndata: 1\r\n")
        await reader.read(1)
        gone.set()

    with httpx.stream("POST", through(scripted(play).url) + CHAT, json={**ASK, "stream": True}) as response:
        next(response.iter_raw())
    loop.run(asyncio.wait_for(gone.wait(), 10))
    [end] = settled(recorded)
    assert (end["status"], end["error_type"]) == ("cancelled", None)


PIECE = bytes(64 * 1024)
MOST_BYTES = 48 * 1024 * 1024  # what sockets of this kind hold at most, four of them, and more
WHOLE_BYTES = 256 * 1024 * 1024


@pytest.mark.parametrize("path", ["/v1/files/1/content", CHAT])
def test_a_reader_that_waits_stops_the_server(through: Any, scripted: Any, recorded: Any, path: str) -> None:
    sent = [0]

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % WHOLE_BYTES)
        while sent[0] < WHOLE_BYTES:
            writer.write(PIECE)
            sent[0] += len(PIECE)
            await writer.drain()

    connection, path = connect(through(scripted(play).url) + path)
    with connection:
        body = json.dumps(ASK).encode()
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        assert until_it_rests(sent) < MOST_BYTES
        received = 0
        while received < WHOLE_BYTES:
            received += len(connection.recv(1 << 20))


def until_it_rests(count: list[int]) -> int:
    """The count once it has not grown for a while."""
    before = -1
    while before != count[0] or not before:
        before = count[0]
        time.sleep(0.3)
    return before


def test_a_server_that_waits_stops_the_sender(through: Any, scripted: Any, loop: Loop) -> None:
    go_on = asyncio.Event()
    taken = [0]

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        await go_on.wait()
        while taken[0] < WHOLE_BYTES:
            taken[0] += len(await reader.read(1 << 20))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    connection, path = connect(through(scripted(play).url) + "/v1/files")
    with connection:
        connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {WHOLE_BYTES}\r\n\r\n".encode()
        )
        sent = 0
        connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while sent < WHOLE_BYTES:
                sent += connection.send(PIECE)
        assert sent < MOST_BYTES
        loop.loop.call_soon_threadsafe(go_on.set)
        connection.settimeout(20)
        while sent < WHOLE_BYTES:
            sent += connection.send(PIECE[: WHOLE_BYTES - sent])
        received = b""
        while not received.endswith(b"{}"):
            received += connection.recv(65536)
    assert taken[0] == WHOLE_BYTES


def test_a_huge_call_is_passed_on_unread_and_that_is_said(
    through: Any, scripted: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "READ_BYTES", 100_000)
    bodies: list[bytes] = []

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        bodies.append(
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        )
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    body = json.dumps({**ASK, "user": "x" * 1_000_000}).encode()
    assert httpx.post(through(scripted(play).url) + CHAT, content=body).json() == {}
    assert bodies == [body]
    assert recorded("attempt_start") == []
    assert [(note["what"], note["detail"]) for note in recorded("note")] == [("request_not_read", "chat")]


@pytest.mark.parametrize(
    ("location", "leads_on"),
    [("/v2/x?a=1", True), ("SERVER/v2/x?a=1", True), ("https://elsewhere.example/v1", False), ("x", False)],
)
def test_redirects_go_on_through_the_proxy(
    through: Any, scripted: Any, location: str, leads_on: bool
) -> None:
    here: list[Scripted] = []

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        target = location.replace("SERVER", here[0].url)
        writer.write(f"HTTP/1.1 307 T\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

    here.append(scripted(play))
    url = through(here[0].url)
    answer = httpx.get(url + "/v1/models", follow_redirects=False)
    assert answer.status_code == 307
    told = answer.headers["location"]
    if leads_on:
        assert str(answer.next_request.url) == url + "/v2/x?a=1"  # type: ignore[union-attr]
    else:
        assert told == location


def test_a_failing_recorder_does_not_fail_the_agent(
    through: Any, fake: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    url = through(fake.base_url) + "/chat/completions"
    with monkeypatch.context() as patch:
        patch.setattr(forwarding, "observe", broken)
        assert httpx.post(url, json=ASK).json()["id"] == "cmpl-1"
    with monkeypatch.context() as patch:
        patch.setattr("tracekit.collectors.inside.exchange.Reading", broken)
        assert httpx.post(url, json=ASK).json()["id"] == "cmpl-1"
        settled(recorded)
    assert [note["detail"] for note in recorded("note")] == [
        "proxy: ZeroDivisionError",
        "response: ZeroDivisionError",
    ]


def test_nothing_secret_is_written(through: Any, fake: Any, recorded: Any, tmp_path: Any) -> None:
    url = through(fake.base_url.replace("://", "://user:pass-word@")) + "/chat/completions"
    headers = {"x-api-key": "sk-secret-1", "api-key": "sk-secret-2"}
    httpx.post(url + "?key=sk-secret-3", json=ASK, headers=headers)
    settled(recorded)
    written = b"".join(file.read_bytes() for file in tmp_path.glob("*.jsonl"))
    for secret in (
        b"sk-secret",
        b"pass-word",
        fake_server.TEXT.encode(),
        urlsplit(url).path.split("/")[1].encode(),
    ):
        assert secret not in written
    assert recorded("attempt_end")[0]["response"]["usage"] == USAGE


@pytest.mark.parametrize("is_refused", [True, False])
def test_what_an_exchange_adds_is_taken_back_if_the_server_will_not_have_it(
    through: Any, scripted: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    """The seam that hooks obey: another body, added headers, another view of the answer, the rest, a refusal."""
    bodies: list[bytes] = []
    refusals: list[tuple[int, bytes]] = []

    async def play(reader: Any, writer: Any, head: bytes) -> None:
        bodies.append(
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        )
        if b"more" in bodies[-1] and is_refused:
            writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes")

    class Adding(Exchange):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.body = b'{"more": 1}'
            self.added_headers = {"x-more": "1"}

        def chunk(self, data: bytes) -> bytes:
            return super().chunk(data).upper() if self.body else super().chunk(data)

        def rest(self) -> bytes:
            return b"!" if self.body else b""

        def refused(self, status: int, answer: bytes, encoding: str = "") -> bool:
            refusals.append((status, answer))
            self.body, self.added_headers = None, {}
            return True

    monkeypatch.setattr("tracekit.collectors.inside.exchange.Exchange", Adding)
    server = scripted(play)
    answer = httpx.post(through(server.url) + CHAT, json=ASK)
    assert (answer.status_code, answer.content) == ((200, b"yes") if is_refused else (200, b"YES!"))
    assert [b"x-more" in request for request in server.requests] == [True, False][: len(bodies)]
    assert refusals == ([(400, b"no")] if is_refused else [])
    assert bodies[0] == b'{"more": 1}'
    assert len(bodies) == 1 + is_refused


def test_an_error_is_handed_on_whole_when_nothing_is_taken_back(
    through: Any, scripted: Any, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Adding(Exchange):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.body = b"{}"

    monkeypatch.setattr("tracekit.collectors.inside.exchange.Exchange", Adding)
    body = b"e" * 500_000
    server = scripted(answering(b"HTTP/1.1 429 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)))
    answer = httpx.post(through(server.url) + CHAT, json=ASK)
    assert (answer.status_code, answer.content) == (429, body)
