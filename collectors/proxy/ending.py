"""How an exchange ends that did not go well: the agent is to see what it would have seen without us."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct

from aiohttp import ClientConnectorCertificateError, ClientConnectorError, ClientHttpProxyError, web

from tracekit.collectors.inside.exchange import Exchange
from tracekit.collectors.inside.state import STATE
from tracekit.collectors.proxy.upstream import Origin

_DRAIN_SECONDS = 5.0


def end(exchange: Exchange | None, error: BaseException | None = None, *, closed_early: bool = False) -> None:
    """Write the end of the exchange's record; a failure of ours is noted."""
    try:
        if exchange is not None:
            exchange.end(error, closed_early=closed_early)
    except Exception as failure:
        STATE.failed("proxy", failure)


def refusal(status: int, code: str, text: str) -> web.Response:
    """An answer of the proxy's own, worded as model servers word errors."""
    error = {"error": {"message": text, "type": "tracekit_proxy_error", "code": code, "param": None}}
    return web.Response(status=status, text=json.dumps(error), content_type="application/json")


async def no_answer(request: web.BaseRequest, origin: Origin, error: Exception) -> web.StreamResponse:
    """What the agent gets when the server gave nothing: a lost connection is a lost connection again."""
    reason = _unreachable(error)
    if reason is None:
        await break_off(request, is_reset=isinstance(error, OSError))
        return web.Response(status=502)
    return refusal(
        502, "upstream_unreachable", f"tracekit's recording proxy cannot reach {origin}: {reason}."
    )


def _unreachable(error: Exception) -> str | None:
    """Why no connection came about; None if there was one."""
    if isinstance(error, ClientConnectorCertificateError):
        return (
            f"its certificate is not trusted ({error.certificate_error}). Name your authority's file in SSL_CERT_FILE, "
            "or record with --proxy never"
        )
    if isinstance(error, ClientConnectorError):
        return str(error.os_error)
    if isinstance(error, ClientHttpProxyError):
        return f"your own proxy refused ({error.status} {error.message})"
    return None


async def break_off(request: web.BaseRequest, *, is_reset: bool) -> None:
    """End the agent's connection behind what was received, as the server ended ours."""
    connection = request.transport
    if connection is None:
        return
    if not is_reset:
        connection.close()
        return
    end = asyncio.get_running_loop().time() + _DRAIN_SECONDS
    while connection.get_write_buffer_size() and not connection.is_closing():
        if asyncio.get_running_loop().time() > end:
            break
        await asyncio.sleep(0.002)
    with contextlib.suppress(OSError):
        connection.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    connection.abort()
