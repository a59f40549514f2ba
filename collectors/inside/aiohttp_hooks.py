"""Hooks for aiohttp's client, where one attempt begins (a connection is asked for) and where its bytes arrive.

An attempt begins before there is a connection, so `connect` is where a request is seen. The reader of a response
may hold bytes before the client has the response; from then on every byte passes `feed_data`, decompressed.
"""

from __future__ import annotations

import functools
import sys
from weakref import ref

from . import aiohttp_refusal
from .aiohttp_refusal import CAN_REPEAT
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .exchange import Exchange

_KEY = (
    "_tracekit_attempt"  # in a request's own dictionary, then in its response's, until the headers are there
)
_CLOSED = "Connection closed"  # what aiohttp lets readers raise when their response was closed
_REASONS = ("TimeoutError", "CancelledError", "KeyboardInterrupt")  # for which a response is closed early


def patch(library: ModuleType) -> None:
    """Hook this library's client, once."""
    _wrap(library.ClientSession, "_request", aiohttp_refusal.hooked)
    _wrap(library.BaseConnector, "connect", _connect)
    _wrap(library.ClientRequest, "send", _send)
    _wrap(library.ClientResponse, "start", _start)
    for name, hooked in (
        ("feed_data", _feed_data),
        ("feed_eof", _feed_eof),
        ("set_exception", _set_exception),
    ):
        _wrap(library.StreamReader, name, hooked)


def _wrap(owner: Any, name: str, hooked: Any) -> None:
    original = getattr(owner, name)
    if not hasattr(original, "__tracekit__"):
        wrapper: Any = functools.wraps(original)(hooked(original))
        wrapper.__tracekit__ = True
        setattr(owner, name, wrapper)


class Attempt:
    """One request until its response's headers are there.

    Attributes
    ----------
    exchange : None until the body is known, and of a request that is no LLM call.
    payload : the agent's own body, where the exchange sends another.
    """

    __slots__ = (
        "_address",
        "_pieces",
        "_retry_count",
        "_start_ns",
        "exchange",
        "payload",
        "request",
        "session",
    )

    def __init__(self, request: Any, start_ns: int) -> None:
        url = request.url
        self.exchange: Exchange | None = None
        self.payload: Any = None
        self.request: Any = None
        self.session = getattr(request, "_session", None)
        self._address = (url.scheme, url.host or "", url.port, url.path)
        self._retry_count = request.headers.get("x-stainless-retry-count")
        self._start_ns = start_ns
        self._pieces: list[bytes] = []

    def observe(self, body: bytes | None, *, is_late: bool = False) -> None:
        """Watch the request if it is an LLM call, now that its body is known."""
        from .exchange import observe

        self.exchange = observe(
            "aiohttp",
            "POST",
            self._address,
            body,
            self._retry_count,
            start_ns=self._start_ns if is_late else None,
            may_change=CAN_REPEAT.get(),
        )

    def piece(self, data: Any) -> None:
        """The next part of a body that is made while it is sent."""
        if isinstance(data, (bytes, bytearray, memoryview)):
            self._pieces.append(bytes(data))

    def sent(self) -> None:
        """Such a body is over."""
        pieces, self._pieces = self._pieces, []
        try:
            if pieces and self.exchange is None:
                self.observe(b"".join(pieces), is_late=True)
        except Exception as error:
            STATE.failed("observe", error)

    def end(self, error: BaseException) -> None:
        """There will be no response."""
        try:
            self.sent()
            self.restore()
            if self.exchange is not None:
                self.exchange.end(error)
        except Exception as failure:
            STATE.failed("end", failure)

    def restore(self) -> None:
        """Give the request its own body back: a redirect sends it once more."""
        request, self.request = self.request, None
        if request is not None:
            setattr(request, _body_name(request), self.payload)


class Pieces:
    """The iterator over a body that is made while it is sent, telling an attempt of every piece."""

    def __init__(self, body: Any, attempt: Attempt) -> None:
        self._body = body
        self._attempt = attempt

    def __aiter__(self) -> Pieces:
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_body"], name)

    async def __anext__(self) -> Any:
        try:
            piece = await self._body.__anext__()
        except StopAsyncIteration:
            self._attempt.sent()
            raise
        self._attempt.piece(piece)
        return piece


def _body_name(request: Any) -> str:
    return "_body" if "_body" in request.__dict__ else "body"


def _is_decoded(response: Any, session: Any) -> bool:
    """Whether the client reads the response's body without its compression; older readers do not say so."""
    compressed = getattr(response.content, "total_compressed_bytes", _UNKNOWN)
    return bool(session._auto_decompress) if compressed is _UNKNOWN else compressed is not None


_UNKNOWN: Any = object()


def _connect(original: Any) -> Any:
    async def connect(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = _attempt(req)
        if attempt is None:
            return await original(self, req, *args, **kwargs)
        try:
            return await original(self, req, *args, **kwargs)
        except BaseException as error:
            req.__dict__.pop(_KEY, None)
            attempt.end(error)
            raise

    return connect


def _attempt(request: Any) -> Attempt | None:
    """The attempt that this request is, if its method and path may be an LLM call's."""
    writer = STATE.writer
    if writer is None or request.method != "POST" or STATE.observed.get():
        return None
    try:
        from .wire import api_of

        if api_of("POST", request.url.path) is None:
            return None
        attempt = Attempt(request, writer.clock.now_ns())
        request.__dict__[_KEY] = attempt
        _read_body(request, attempt)
    except Exception as error:
        STATE.failed("observe", error)
        return None
    return attempt


def _read_body(request: Any, attempt: Attempt) -> None:
    payload = request.body
    data: Any = payload if isinstance(payload, (bytes, bytearray)) else getattr(payload, "_value", None)
    if hasattr(data, "getvalue"):  # a file in memory, and what is left of it
        data = data.getvalue()[data.tell() :]
    if isinstance(data, (bytes, bytearray)):
        attempt.observe(bytes(data))
        _change(request, attempt)
    elif getattr(payload, "_iter", None) is not None:
        payload._iter = Pieces(payload._iter, attempt)
    else:
        attempt.observe(None)


def _change(request: Any, attempt: Attempt) -> None:
    """Let the request carry what the exchange wants sent."""
    exchange = attempt.exchange
    if exchange is None:
        return
    for name, value in exchange.added_headers.items():
        request.headers[name] = value
    if exchange.body is not None:
        aiohttp: Any = sys.modules["aiohttp"]
        changed, place = aiohttp.BytesPayload(exchange.body), _body_name(request)
        attempt.request, attempt.payload = request, getattr(request, place)
        setattr(request, place, changed)
        if "Content-Length" in request.headers:
            request.headers["Content-Length"] = str(len(exchange.body))


def _send(original: Any) -> Any:
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        attempt: Attempt | None = self.__dict__.pop(_KEY, None)
        if attempt is None:
            return await original(self, *args, **kwargs)
        try:
            response = await original(self, *args, **kwargs)
        except BaseException as error:
            attempt.end(error)
            raise
        response.__dict__[_KEY] = attempt
        return response

    return send


def _start(original: Any) -> Any:
    async def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        attempt: Attempt | None = self.__dict__.pop(_KEY, None)
        if attempt is None:
            return await original(self, *args, **kwargs)
        try:
            result = await original(self, *args, **kwargs)
        except BaseException as error:
            attempt.end(error)
            raise
        _attach(self, attempt)
        return result

    return start


def _attach(response: Any, attempt: Attempt) -> None:
    """Listen to what the response's reader is fed."""
    try:
        attempt.sent()
        attempt.restore()
        exchange = attempt.exchange
        if exchange is None:
            return
        headers = response.headers
        encoding = headers.get("Content-Encoding", "")
        if encoding and _is_decoded(response, attempt.session):
            encoding = ""
        if exchange.body is not None:
            aiohttp_refusal.asked(response, exchange)
        exchange.headers(response.status, headers.get("Content-Type", ""), encoding)
        Listener(response.content, exchange)
    except Exception as error:
        STATE.failed("attach", error)
        if attempt.exchange is not None:
            attempt.exchange.end()


class Listener:
    """Listens to one reader. The reader itself holds it, among those it tells of its end, so they go together."""

    __slots__ = ("__weakref__", "_exchange", "_is_over", "_key")

    def __init__(self, reader: Any, exchange: Exchange) -> None:
        self._exchange = exchange
        self._is_over = False
        self._key = id(reader)
        buffer = getattr(reader, "_buffer", None)
        if buffer:  # what came along with the headers
            self._replay(reader, buffer)
        if reader.is_eof() or reader.exception() is not None:
            self._finish(reader)
        else:
            _LISTENERS[self._key] = ref(self)
            reader.on_eof(self)

    def __call__(self) -> None:
        """The reader is at its end."""
        self.end()

    def __del__(self) -> None:
        try:
            self.end(closed_early=True)
        except Exception:  # an interpreter that is shutting down has taken its modules apart
            return

    def chunk(self, data: bytes) -> bytes:
        """The next bytes of the body; what the client is to see of them."""
        try:
            return self._exchange.chunk(data)
        except Exception as error:
            STATE.failed("chunk", error)
            return data

    def rest(self) -> bytes:
        """What the client is still to see."""
        if self._is_over:
            return b""
        try:
            return self._exchange.rest()
        except Exception as error:
            STATE.failed("chunk", error)
            return b""

    def end(self, error: BaseException | None = None, *, closed_early: bool = False) -> None:
        """Nothing more will come."""
        if not self._is_over:
            self._is_over = True
            _LISTENERS.pop(self._key, None)
            self._exchange.end(error, closed_early=closed_early)

    def _replay(self, reader: Any, buffer: Any) -> None:
        chunks = list(buffer)
        shown = [self.chunk(data) for data in chunks]
        if shown != chunks:
            buffer.clear()
            buffer.extend(data for data in shown if data)
            _resize(reader, sum(map(len, shown)) - sum(map(len, chunks)))

    def _finish(self, reader: Any) -> None:
        error = reader.exception()
        rest = self.rest() if error is None else b""
        if rest:
            reader._buffer.append(rest)
            _resize(reader, len(rest))
        self.end(error)


def _resize(reader: Any, by: int) -> None:
    """Keep the reader's books, from which it tells where the server's chunks end."""
    reader._size += by
    reader.total_bytes += by
    splits = reader._http_chunk_splits
    if splits:
        splits.clear()
        splits.append(reader.total_bytes)


_LISTENERS: dict[int, ref[Listener]] = {}  # by the identity of the reader, which has no room for more


def _listener(reader: Any) -> Listener | None:
    held = _LISTENERS.get(id(reader))
    return None if held is None else held()


def _feed_data(original: Any) -> Any:
    find = _LISTENERS.get

    def feed_data(self: Any, data: bytes, *args: Any) -> Any:
        held = find(id(self))
        listener = None if held is None else held()
        if listener is None or not data:
            return original(self, data, *args)
        return original(self, listener.chunk(bytes(data)), *args)

    return feed_data


def _feed_eof(original: Any) -> Any:
    def feed_eof(self: Any) -> Any:
        listener = _listener(self)
        if listener is not None:
            rest = listener.rest()
            if rest:
                type(self).feed_data.__wrapped__(self, rest, len(rest))
        return original(self)

    return feed_eof


def _set_exception(original: Any) -> Any:
    def set_exception(self: Any, exc: Any, *args: Any, **kwargs: Any) -> Any:
        listener = _listener(self)
        if listener is not None:
            try:
                _broken(listener, exc)
            except Exception as error:
                STATE.failed("end", error)
        return original(self, exc, *args, **kwargs)

    return set_exception


def _broken(listener: Listener, error: Any) -> None:
    """Reading fails from here on, because the connection did or because the client closed its response.

    What made the client close it is what it is just handling, if that is a time-out or a cancellation.
    """
    if str(error) != _CLOSED:
        listener.end(error if isinstance(error, BaseException) else None)
        return
    reason = sys.exc_info()[1]
    is_reason = reason is not None and any(base.__name__ in _REASONS for base in type(reason).__mro__)
    listener.end(reason if is_reason else None, closed_early=True)
