"""A request on its way out of an http.client connection, and the exchange that watches it."""

from __future__ import annotations

from .http_framing import Framing
from .state import STATE
from .wire import api_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .exchange import Exchange

LARGEST_BODY = 64 * 1024 * 1024


class Outgoing:
    """Reads a request's body at once where it is in memory, else as it is sent, and observes it when it is whole.

    Attributes
    ----------
    exchange : None before that, and of a request that is no LLM call.
    is_read : whether there is nothing more to learn from what is sent.
    is_last : whether the client asked for the connection to be closed behind the answer.
    is_sending : whether the connection is in the middle of a send.
    again : sends the request over a connection, as the exchange now wants it; None if its body was not in memory.
    """

    __slots__ = (
        "_address", "_body", "_framing", "_retry_count", "_size", "_start_ns", "_transport",
        "again", "exchange", "failure", "is_last", "is_read", "is_sending",
    )  # fmt: skip

    def __init__(self, transport: str, address: tuple[str, str, int | None, str], start_ns: int) -> None:
        self.exchange: Exchange | None = None
        self.failure: BaseException | None = None
        self.is_read = False
        self.is_sending = False
        self.is_last = False
        self.again: Callable[[Any], Any] | None = None
        self._transport = transport
        self._address = address
        self._start_ns = start_ns
        self._framing: Framing | None = None
        self._retry_count: str | None = None
        self._body: list[bytes] = []
        self._size = 0

    def observe(self, body: bytes | None, retry_count: str | None, *, is_late: bool = False) -> None:
        """Watch the request if it is an LLM call, now that its body is known."""
        self.is_read = True
        self._body = []
        from .exchange import observe

        self.exchange = observe(
            self._transport,
            "POST",
            self._address,
            body,
            retry_count,
            start_ns=self._start_ns if is_late else None,
        )

    def sending(self, data: Any) -> None:
        """The next bytes are about to be sent: first the headers, then the body."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            self.observe(None, None)
            return
        data = bytes(data)
        if self._framing is None:
            head, _, data = data.partition(b"\r\n\r\n")
            self._begin(head)
        framing = self._framing
        if framing is None:
            return
        piece = framing.payload(data)
        self._body.append(piece)
        self._size += len(piece)
        if self._size > LARGEST_BODY or framing.is_broken:
            self.observe(None, None)
        elif framing.is_complete:
            self.sent()

    def sent(self) -> None:
        """Whatever is to be sent has been."""
        if not self.is_read:
            self.observe(b"".join(self._body) or None, self._retry_count, is_late=True)

    def end(self, error: BaseException | None = None) -> None:
        """There will be no response."""
        exchange, self.exchange = self.exchange, None
        self.is_read = True
        if exchange is not None:
            error = error if error is not None else self.failure
            exchange.end(error, closed_early=error is None)

    def __del__(self) -> None:
        try:
            self.end()
        except Exception:  # an interpreter that is shutting down has taken its modules apart
            return

    def _begin(self, head: bytes) -> None:
        fields = {}
        for line in head.decode("iso-8859-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        self._retry_count = fields.get("x-stainless-retry-count")
        length = fields.get("content-length", "")
        self._framing = Framing(
            is_chunked="chunked" in fields.get("transfer-encoding", "").lower(),
            length=int(length) if length.isdigit() else None,
        )


def outgoing(connection: Any, method: str, url: str) -> Outgoing | None:
    """A request that this connection is about to send, if its method and path may be an LLM call's."""
    writer = STATE.writer
    if method != "POST" or writer is None or STATE.observed.get():
        return None
    address = _address(connection, url)
    if api_of(method, address[3]) is None:
        return None
    library = "urllib3" if "urllib3" in type(connection).__module__ else "http.client"
    return Outgoing(library, address, writer.clock.now_ns())


def _address(connection: Any, url: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path; a proxy is told the whole address, or tunnels to it."""
    scheme = "https" if connection.default_port == 443 else "http"
    host, port = connection.host, connection.port
    if isinstance(port, str):  # as an agent may give it, and as a connection then keeps it
        port = int(port) if port.isdigit() else None
    tunnel = getattr(connection, "_tunnel_host", None)
    if tunnel:
        host, port = tunnel, connection._tunnel_port or port
    path = url.partition("?")[0].partition("#")[0]
    if not path.startswith("/"):
        from urllib.parse import urlsplit

        parts = urlsplit(url)
        if parts.hostname:
            scheme, host = parts.scheme, parts.hostname
            port = parts.port or (443 if scheme == "https" else 80)
            path = parts.path
    return scheme, host, port, path
