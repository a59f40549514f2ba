"""WebSockets through the proxy, message by message; the Responses API's calls over them are recorded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import (
    ClientError,
    ClientWebSocketResponse,
    WSCloseCode,
    WSMsgType,
    WSServerHandshakeError,
    hdrs,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from tracekit.collectors.inside.exchange import Exchange, observe
from tracekit.collectors.inside.state import STATE
from tracekit.collectors.proxy.ending import end
from tracekit.collectors.proxy.headers import end_to_end, request_headers
from tracekit.collectors.proxy.route import forward_proxy

if TYPE_CHECKING:
    from tracekit.collectors.proxy.forwarding import Forwarding
    from tracekit.collectors.proxy.upstream import Origin

_Side = web.WebSocketResponse | ClientWebSocketResponse
_HANDSHAKE = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-accept",
              "sec-websocket-protocol")  # fmt: skip
_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled", "error")


async def pass_through(
    forwarding: Forwarding, request: web.BaseRequest, origin: Origin, target: str
) -> web.StreamResponse:
    """Open the server's WebSocket, then the agent's, and carry messages, pings and the close both ways."""
    headers = _without_handshake(request_headers(request, origin))
    extensions = request.headers.get(hdrs.SEC_WEBSOCKET_EXTENSIONS, "")
    try:
        server = await forwarding.session.ws_connect(
            URL(f"{origin}{target}", encoded=True),
            headers=headers,
            protocols=_words(request, hdrs.SEC_WEBSOCKET_PROTOCOL),
            autoping=False,
            autoclose=False,
            max_msg_size=0,
            compress=15 if "permessage-deflate" in extensions else 0,
            ssl=forwarding.tls,
            proxy=forward_proxy(origin),
        )
    except WSServerHandshakeError as error:
        return web.Response(status=error.status, reason=error.message, headers=_refused(error))
    except (ClientError, OSError) as error:
        return web.Response(
            status=502, text=f"tracekit's recording proxy cannot reach {origin}: {type(error).__name__}."
        )
    async with server:
        agent = web.WebSocketResponse(
            protocols=(server.protocol,) if server.protocol else (),
            autoping=False,
            autoclose=False,
            max_msg_size=0,
        )
        agent.headers.update(_accepted(server))
        await agent.prepare(request)
        calls = _Calls(forwarding, request, origin, target)
        await _carry(agent, server, calls)
        return agent


async def _carry(agent: web.WebSocketResponse, server: ClientWebSocketResponse, calls: _Calls) -> None:
    """Carry both ways until one side closes; what the other still says is not waited for, its answer is."""
    out = asyncio.create_task(_one_way(agent, server, calls.asked))
    back = asyncio.create_task(_one_way(server, agent, calls.answered))
    try:
        await asyncio.wait((out, back), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (out, back):
            task.cancel()
        await asyncio.gather(out, back, return_exceptions=True)
        calls.end()
    code = agent.close_code or server.close_code or WSCloseCode.GOING_AWAY
    await server.close(code=code)
    await agent.close(code=code)


async def _one_way(source: _Side, sink: _Side, saw: Callable[[str], None]) -> None:
    while True:
        message = await source.receive()
        if message.type is WSMsgType.TEXT:
            saw(message.data)
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type is WSMsgType.PING:
            await sink.ping(message.data)
        elif message.type is WSMsgType.PONG:
            await sink.pong(message.data)
        elif message.type is WSMsgType.CLOSE:
            await sink.close(code=message.data or WSCloseCode.OK, message=(message.extra or "").encode())
            return
        else:  # the connection is gone without a word
            return


class _Calls:
    """The calls on one socket: each `response.create` is one, answered in the order in which they were asked."""

    def __init__(self, forwarding: Forwarding, request: web.BaseRequest, origin: Origin, target: str) -> None:
        self._forwarding = forwarding
        self._request = request
        self._url = (origin.scheme, origin.host, origin.port, target.partition("?")[0])
        self._open: list[Exchange] = []

    def asked(self, text: str) -> None:
        """The agent sent this."""
        if '"response.create"' in text:
            self._quietly(self._begin, text)

    def answered(self, text: str) -> None:
        """The server sent this."""
        if self._open:
            self._quietly(self._add, text)

    def end(self) -> None:
        """The socket is closed; what was not answered to its end was left."""
        for exchange in self._open:
            end(exchange, closed_early=True)

    def _begin(self, text: str) -> None:
        if json.loads(text).get("type") != "response.create":
            return
        caller = self._forwarding.caller(self._request)
        exchange = observe(
            "proxy", "POST", self._url, text.encode(), None, clock_point="proxy_arrival", caller=caller
        )
        if exchange is not None:
            exchange.headers(101, "text/event-stream", "")
            self._open.append(exchange)

    def _add(self, text: str) -> None:
        exchange = self._open[0]
        exchange.chunk(b"data: " + text.encode() + b"\n\n")
        if any(f'"{name}"' in text for name in _LAST_EVENTS) and json.loads(text).get("type") in _LAST_EVENTS:
            self._open.pop(0)
            exchange.end()

    @staticmethod
    def _quietly(step: Callable[[str], None], text: str) -> None:
        try:
            step(text)
        except Exception as error:
            STATE.failed("proxy", error)


def _words(request: web.BaseRequest, name: str) -> list[str]:
    return [word.strip() for word in request.headers.get(name, "").split(",") if word.strip()]


def _accepted(server: ClientWebSocketResponse) -> CIMultiDict[str]:
    """What the server said beside the handshake itself."""
    headers = end_to_end(server._response.raw_headers)
    return _without_handshake(headers)


def _refused(error: WSServerHandshakeError) -> CIMultiDict[str]:
    headers = CIMultiDict(error.headers.items()) if error.headers else CIMultiDict()
    headers.popall(hdrs.CONTENT_LENGTH, None)  # its body is not known
    headers.popall(hdrs.CONTENT_ENCODING, None)
    return _without_handshake(headers)


def _without_handshake(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    for name in _HANDSHAKE:
        headers.popall(name, None)
    return headers
