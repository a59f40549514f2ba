"""WebSockets through the proxy: every message, ping and close, and the calls of the Responses API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.unit.collectors.fake_server import RESPONSES_USAGE, TEXT, responses_events
from tests.unit.collectors.proxy.conftest import Loop
from tests.unit.collectors.proxy.test_forwarding import settled


class Server:
    """Says back what it hears; answers the Responses API."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.closed: list[int | None] = []
        self.url = ""

    async def play(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/refused":
            return web.Response(status=401, reason="Who Are You", headers={"x-request-id": "7"})
        socket = web.WebSocketResponse(protocols=("chat", "talk"), autoping=False, max_msg_size=0)
        await socket.prepare(request)
        self.seen.append(dict(request.headers))
        async for message in socket:
            if message.type is WSMsgType.PING:
                await socket.pong(message.data + b"!")
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data[::-1])
            elif message.data == "close":
                await socket.close(code=4321, message=b"enough")
            elif "response.create" in message.data:
                await respond(socket, json.loads(message.data))
            else:
                await socket.send_str(message.data + "!")
        self.closed.append(socket.close_code)
        return socket


async def respond(socket: web.WebSocketResponse, body: dict[str, Any]) -> None:
    words = set(body["model"].split("-"))
    for event, _ in responses_events(body, words):
        await socket.send_str(event.split(b"data: ")[1].strip().decode())
        if "cut" in words and b"output_text.delta" in event:
            await socket.close()
            return


@pytest.fixture
def server(loop: Loop) -> Iterator[Server]:
    it = Server()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", it.play)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    runner = loop.run(start())
    yield it
    loop.run(runner.cleanup())


def test_everything_goes_through(loop: Loop, through: Any, server: Server, recorded: Any) -> None:
    url = server.url

    async def talk(address: str) -> list[Any]:
        heard: list[Any] = []
        headers = {"Authorization": "Bearer sk", "X-Mine": "1"}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                address,
                protocols=("other", "talk"),
                headers=headers,
                autoping=False,
                compress=15,
                max_msg_size=0,
            ) as socket,
        ):
            heard.append(socket.protocol)
            for text in ("hello", "ü" * 2_000_000):
                await socket.send_str(text)
                heard.append(await socket.receive_str())
            await socket.send_bytes(b"abc")
            heard.append(await socket.receive_bytes())
            await socket.ping(b"p")
            answer = await socket.receive()
            heard.append((answer.type, answer.data))
            await socket.send_str("close")
            answer = await socket.receive()
            heard.append((answer.type, answer.data, answer.extra))
        return heard

    alone = loop.run(talk(url + "/v1/realtime?a=%2F"))
    assert loop.run(talk(through(url) + "/v1/realtime?a=%2F")) == alone
    assert alone[-1] == (WSMsgType.CLOSE, 4321, "enough")
    direct, proxied = server.seen
    for name in ("Authorization", "X-Mine", "Sec-WebSocket-Protocol", "Host"):
        assert proxied[name] == direct[name]
    assert recorded() == recorded("process")


def test_who_is_refused_hears_why(loop: Loop, through: Any, server: Server) -> None:
    async def ask(address: str) -> tuple[int, str, str]:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
                await session.ws_connect(address)
        error = raised.value
        return error.status, error.message, (error.headers or {})["x-request-id"]

    assert loop.run(ask(through(server.url) + "/refused")) == loop.run(ask(server.url + "/refused"))


def test_a_client_that_leaves_closes_the_servers_side(loop: Loop, through: Any, server: Server) -> None:
    async def leave(address: str) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
            await socket.close(code=4000)

    loop.run(leave(through(server.url) + "/x"))
    loop.run(leave(server.url + "/x"))
    assert server.closed == [4000, 4000]


def test_responses_are_recorded_one_by_one(loop: Loop, through: Any, server: Server, recorded: Any) -> None:
    async def ask(address: str) -> list[str]:
        texts = []
        async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
            for model in ("one", "two-tools", "three-cut"):
                await socket.send_json({"type": "response.create", "model": model, "input": "hi"})
                async for message in socket:
                    texts.append(message.data)
                    if '"response.completed"' in message.data:
                        break
        return texts

    alone = loop.run(ask(server.url + "/v1/responses"))
    assert loop.run(ask(through(server.url) + "/v1/responses")) == alone
    assert recorded("note") == []
    ends = settled(recorded, 3)
    starts = recorded("attempt_start")
    assert [start["request"]["model"] for start in starts] == ["one", "two-tools", "three-cut"]
    assert [end["status"] for end in ends] == ["ok", "ok", "cancelled"]
    assert ends[0]["response"]["usage"]["input"] == RESPONSES_USAGE["input_tokens"]
    assert ends[0]["response"]["output_bytes"] == len(TEXT.encode())
    assert [call["id"] for call in ends[1]["response"]["tool_calls"]] == ["call_a", "call_b"]
    assert all(end["first_token_ns"] for end in ends)
