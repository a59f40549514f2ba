"""The body of one observed response: its framed bytes go in as they come, what the client is to read comes out."""

from __future__ import annotations

from .http_framing import Framing
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .exchange import Exchange


class CutOffError(Exception):
    """The connection ended before the body did."""


CutOffError.__name__ = "IncompleteRead"  # as the library calls what its reader gets


class Body:
    """Passes the bytes on as they are, unless the exchange put a body of its own in place of the agent's request.

    Then the exchange may hide what the agent did not ask for, so the rest is framed anew: chunks become chunks
    of other sizes, and a body of a given length is filled up with line feeds, which no reader of events sees.
    """

    __slots__ = ("_exchange", "_framing", "_is_reframed", "_missing")

    def __init__(self, exchange: Exchange, framing: Framing) -> None:
        self._exchange: Exchange | None = exchange
        self._framing = framing
        self._is_reframed = exchange.body is not None
        self._missing = 0

    def came(self, data: bytes) -> bytes:
        """The next bytes of the connection; what the client is to read in their place, `data` itself if that."""
        exchange = self._exchange
        if exchange is None:
            return data
        try:
            payload = self._framing.payload(data)
            shown = exchange.chunk(payload) if payload else payload
            if self._is_reframed and not self._framing.is_broken:
                data = self._reframed(payload, shown)
            if self._framing.is_complete:
                self._end(None)
        except Exception as error:
            STATE.failed("body", error)
            self._end(None)
        return data

    def over(self) -> bytes:
        """The connection ended; what the client is still to read."""
        exchange = self._exchange
        if exchange is None:
            return b""
        is_cut = self._framing.is_chunked or self._framing.length is not None
        rest = b""
        try:
            rest = b"" if is_cut else exchange.rest()
        except Exception as error:
            STATE.failed("body", error)
        self._end(CutOffError() if is_cut else None)
        return rest

    def failed(self, error: BaseException) -> None:
        """Reading raised this."""
        self._end(error)

    def closed(self) -> None:
        """The client reads no more."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end(closed_early=True)

    def _end(self, error: BaseException | None) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.end(error)

    def _reframed(self, payload: bytes, shown: bytes) -> bytes:
        framing = self._framing
        exchange = self._exchange
        if framing.is_complete and exchange is not None:
            shown += exchange.rest()
        self._missing += len(payload) - len(shown)
        if framing.is_chunked:
            data = b"%x\r\n%s\r\n" % (len(shown), shown) if shown else b""
            return data + b"0\r\n\r\n" if framing.is_complete else data
        if framing.length is not None and framing.is_complete and self._missing > 0:
            shown += b"\n" * self._missing
        return shown
