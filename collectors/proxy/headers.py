"""Headers on their way through: those of the connection itself stay behind."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import hdrs, web
from multidict import CIMultiDict

from tracekit.collectors.inside.loopback import TWIN_HEADER
from tracekit.collectors.proxy.upstream import Origin

_HOP_BY_HOP = frozenset(
    (
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade",
    )
)  # fmt: skip


def request_headers(request: web.BaseRequest, origin: Origin) -> CIMultiDict[str]:
    """The agent's headers as the server is to see them."""
    headers = end_to_end(request.raw_headers)
    headers.popall(TWIN_HEADER, None)
    headers.popall(hdrs.EXPECT, None)  # answered here
    headers[hdrs.HOST] = origin.authority
    return headers


def end_to_end(raw: Iterable[tuple[bytes, bytes]]) -> CIMultiDict[str]:
    """All headers, in their order, number and (first) spelling, but those of one connection."""
    headers = [(_text(name), _text(value)) for name, value in raw]
    dropped = set(_HOP_BY_HOP)
    for name, value in headers:
        if name.lower() == "connection":
            dropped.update(word.strip().lower() for word in value.split(","))
    spelling: dict[str, str] = {}  # aiohttp's client takes another spelling of a name for its replacement
    return CIMultiDict(
        (spelling.setdefault(name.lower(), name), value)
        for name, value in headers
        if name.lower() not in dropped
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
