"""Requests on their way to the server and answers on their way back, byte for byte, as they come."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from weakref import WeakKeyDictionary

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    hdrs,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from tracekit.collectors.inside.exchange import Exchange, observe
from tracekit.collectors.inside.loopback import TWIN_HEADER
from tracekit.collectors.inside.state import STATE
from tracekit.collectors.inside.wire import api_of
from tracekit.collectors.proxy import websocket
from tracekit.collectors.proxy.caller import caller_of, flow_of
from tracekit.collectors.proxy.ending import break_off, end, no_answer, refusal
from tracekit.collectors.proxy.headers import end_to_end, request_headers
from tracekit.collectors.proxy.route import forward_proxy
from tracekit.collectors.proxy.upstream import Origin, Upstreams

READ_BYTES = 32 * 1024 * 1024
"""Of a request's body that are held to be read; a longer one is passed on unread."""
REFUSAL_BYTES = 64 * 1024
_AUTOMATIC = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)


class Answer(web.StreamResponse):
    """A response with the server's own headers: none is added that it did not send."""

    async def _prepare_headers(self) -> None:
        given = [name for name in (hdrs.CONTENT_TYPE, hdrs.DATE, hdrs.SERVER) if name in self.headers]
        await super()._prepare_headers()
        for name in (hdrs.CONTENT_TYPE, hdrs.DATE, hdrs.SERVER):
            if name not in given:
                self.headers.pop(name, None)


class Forwarding:
    """The proxy's way of answering.

    Parameters
    ----------
    upstreams : the servers behind it.
    session : the client that asks them; it neither decompresses nor follows redirects nor keeps cookies.
    tls : what it trusts; None if no server is asked over TLS.
    run : the process whose descendants call.
    """

    def __init__(
        self, upstreams: Upstreams, session: ClientSession, tls: ssl.SSLContext | None, run: int
    ) -> None:
        self.upstreams = upstreams
        self.session = session
        self.tls = True if tls is None else tls
        self._run = run
        self._callers: WeakKeyDictionary[asyncio.Transport, dict[str, object]] = WeakKeyDictionary()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Ask the server that the path names, and hand on what it says."""
        found = self.upstreams.find(request.raw_path)
        if found is None:
            return refusal(404, "not_found", "This address of tracekit's recording proxy leads to no server.")
        token, origin, target = found
        if _wants_upgrade(request):
            return await websocket.pass_through(self, request, origin, target)
        await _continue(request)
        head, rest = await _head(request, target)
        exchange = None if rest else self.observe(request, origin, target, head)
        try:
            return await self._ask(request, token, origin, target, head, rest, exchange)
        except asyncio.CancelledError:
            end(exchange, closed_early=True)
            raise
        except BaseException as error:
            end(exchange, error)
            raise

    def observe(self, request: web.BaseRequest, origin: Origin, target: str, body: bytes) -> Exchange | None:
        """The exchange to record, if this is an LLM call; whatever goes wrong here, the call goes on."""
        try:
            path = target.partition("?")[0]
            if api_of(request.method, path) is None:
                return None
            return observe(
                "proxy", request.method, (origin.scheme, origin.host, origin.port, path), body,
                request.headers.get("x-stainless-retry-count"),
                clock_point="proxy_arrival", twin=request.headers.get(TWIN_HEADER), caller=self.caller(request),
            )  # fmt: skip
        except Exception as error:
            STATE.failed("proxy", error)
            return None

    def caller(self, request: web.BaseRequest) -> dict[str, object]:
        """Where the call comes from, for the record: the process and, as its flow of control, its connections."""
        connection = request.transport
        if connection is None:
            return {}
        known = self._callers.get(connection)
        if known is None:
            pid = None
            if TWIN_HEADER not in request.headers:  # a hook knows better
                peer = connection.get_extra_info("peername")
                pid = caller_of(peer[1], self.upstreams.port, self._run) if peer else None
            scope = f"proxy-{flow_of(pid)}" if pid else f"proxy-{id(connection):x}"
            known = self._callers[connection] = {"pid": pid, "thread": None, "task": None, "scope": scope}
        return known

    async def _ask(
        self,
        request: web.BaseRequest,
        token: str,
        origin: Origin,
        target: str,
        head: bytes,
        rest: AsyncIterator[bytes] | None,
        exchange: Exchange | None,
    ) -> web.StreamResponse:
        if rest is not None:
            body: bytes | AsyncIterator[bytes] | None = _joined(head, rest)
        elif exchange is not None and exchange.body is not None:
            body = exchange.body
        else:
            body = head or None
        try:
            reply = await self._send(request, origin, target, body, exchange)
            said = b""
            if exchange is not None and exchange.body is not None and reply.status >= 400:
                said = await _beginning(reply)
                if exchange.refused(reply.status, said, reply.headers.get(hdrs.CONTENT_ENCODING, "")):
                    reply.close()
                    said, reply = b"", await self._send(request, origin, target, head, exchange)
        except (ClientError, OSError) as error:
            end(exchange, error)
            return await no_answer(request, origin, error)
        try:
            return await self._hand_on(request, reply, token, origin, exchange, said)
        finally:
            if reply.content.at_eof():
                reply.release()
            else:
                reply.close()

    async def _send(
        self,
        request: web.BaseRequest,
        origin: Origin,
        target: str,
        body: bytes | AsyncIterator[bytes] | None,
        exchange: Exchange | None,
    ) -> ClientResponse:
        headers = request_headers(request, origin)
        if exchange is not None:
            headers.update(exchange.added_headers)
        if isinstance(body, bytes):
            headers[hdrs.CONTENT_LENGTH] = str(len(body))
        return await self.session.request(
            request.method, URL(f"{origin}{target}", encoded=True), data=body, headers=headers,
            skip_auto_headers=_AUTOMATIC, allow_redirects=False, ssl=self.tls, proxy=forward_proxy(origin),
        )  # fmt: skip

    async def _hand_on(
        self,
        request: web.BaseRequest,
        reply: ClientResponse,
        token: str,
        origin: Origin,
        exchange: Exchange | None,
        said: bytes,
    ) -> web.StreamResponse:
        answer = Answer(status=reply.status, reason=reply.reason, headers=self._headers(reply, token, origin))
        if exchange is not None:
            exchange.headers(
                reply.status,
                reply.headers.get(hdrs.CONTENT_TYPE, ""),
                reply.headers.get(hdrs.CONTENT_ENCODING, ""),
            )
            if exchange.body is not None:
                answer.headers.popall(hdrs.CONTENT_LENGTH, None)
        try:
            await answer.prepare(request)
            await _copy(said, reply, answer, exchange)
        except (ClientError, OSError) as error:
            if request.transport is None or request.transport.is_closing():
                end(exchange, closed_early=True)
                return answer
            end(exchange, error)
            await break_off(request, is_reset=_was_reset(reply))
        return answer

    def _headers(self, reply: ClientResponse, token: str, origin: Origin) -> CIMultiDict[str]:
        headers = end_to_end(reply.raw_headers)
        location = headers.get(hdrs.LOCATION)
        if location is not None:
            headers[hdrs.LOCATION] = self.upstreams.location(location, token, origin)
        return headers


async def _copy(
    said: bytes, reply: ClientResponse, answer: web.StreamResponse, exchange: Exchange | None
) -> None:
    """The body as it comes, behind what was read of it; writing waits for a slow reader, and then so does reading."""
    data = said or await reply.content.readany()
    while data:
        shown = data if exchange is None else exchange.chunk(data)
        if shown:
            await answer.write(shown)
        data = await reply.content.readany()
    rest = b"" if exchange is None else exchange.rest()
    if rest:
        await answer.write(rest)
    end(exchange)  # before the agent can know that it has everything
    await answer.write_eof()


async def _beginning(reply: ClientResponse) -> bytes:
    """An error's body, or as much of it as is worth reading."""
    said = b""
    while len(said) < REFUSAL_BYTES and (piece := await reply.content.readany()):
        said += piece
    return said


def _was_reset(reply: ClientResponse) -> bool:
    """Whether the server's connection was reset, and not just closed."""
    protocol = None if reply.connection is None else reply.connection.protocol
    return protocol is not None and isinstance(protocol.exception(), OSError)


def _wants_upgrade(request: web.BaseRequest) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


async def _continue(request: web.BaseRequest) -> None:
    """Let a client that asks first send its body."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _head(request: web.BaseRequest, target: str) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """What is held of the body, and the rest if there is more: all of a call's, nothing of other requests'."""
    if not request.body_exists:
        return b"", None
    if api_of(request.method, target.partition("?")[0]) is None:
        return b"", request.content.iter_any()
    pieces: list[bytes] = []
    size = 0
    while size <= READ_BYTES:
        piece = await request.content.readany()
        if not piece:
            return b"".join(pieces), None
        pieces.append(piece)
        size += len(piece)
    STATE.note("request_not_read", api_of(request.method, target.partition("?")[0]) or "")
    return b"".join(pieces), request.content.iter_any()


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for piece in rest:
        yield piece
