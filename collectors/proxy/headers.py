"""Headers on their way through: those of the connection itself stay behind."""

from __future__ import annotations

from aiohttp import hdrs, web
from multidict import CIMultiDict, MultiMapping

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
    headers = end_to_end(request.headers)
    headers.popall(TWIN_HEADER, None)
    headers.popall(hdrs.EXPECT, None)  # answered here
    headers[hdrs.HOST] = origin.authority
    return headers


def end_to_end(headers: MultiMapping[str]) -> CIMultiDict[str]:
    """All headers, in their order, spelling and number, but those of one connection."""
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named:
            kept.add(name, value)
    return kept
