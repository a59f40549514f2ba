"""Hooks for httpx and httpx2, one level under their clients: every SDK on top of them passes here.

The response's stream is replaced by one that passes everything through; it is a stream of that library's own
class, so nothing the client looks at changes.
"""

from __future__ import annotations

import functools

from . import httpx_upload
from .exchange import Exchange, observe
from .httpx_address import address_of
from .httpx_headers import content_headers, retry_count
from .httpx_refusal import accepted, accepted_async, may_refuse
from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import ModuleType
    from typing import Any


def patch(library: ModuleType) -> None:
    """Hook this library's clients, once."""
    sync_tee, async_tee = _tees(library)
    _wrap(library.Client, _sync_send(library.Client._send_single_request, library, sync_tee))
    _wrap(
        library.AsyncClient,
        _async_send(library.AsyncClient._send_single_request, library, async_tee),
    )


def _wrap(client: Any, send: Any) -> None:
    if not hasattr(client._send_single_request, "__tracekit__"):
        send.__tracekit__ = True
        client._send_single_request = send


def _sync_send(original: Any, library: ModuleType, tee: Any) -> Any:
    def attach(response: Any, exchange: Exchange, request: Any) -> None:
        _attach(response, exchange, tee, request)

    @functools.wraps(original)
    def _send_single_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _observe(library.__name__, request)
        if exchange is None:
            return httpx_upload.send(original, self, request, attach, *args, **kwargs)
        token = STATE.observed.set(True)
        try:
            if exchange.body is None and not exchange.added_headers:
                response = original(self, request, *args, **kwargs)
            else:
                response = _sent_changed(library, exchange, original, self, request, *args, **kwargs)
        except BaseException as error:
            _quietly_end(exchange, error)
            raise
        finally:
            _leave(token)
        _attach(response, exchange, tee, request)
        return response

    return _send_single_request


def _async_send(original: Any, library: ModuleType, tee: Any) -> Any:
    def attach(response: Any, exchange: Exchange, request: Any) -> None:
        _attach(response, exchange, tee, request)

    @functools.wraps(original)
    async def _send_single_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _observe(library.__name__, request)
        if exchange is None:
            return await httpx_upload.send_async(original, self, request, attach, *args, **kwargs)
        token = STATE.observed.set(True)
        try:
            if exchange.body is None and not exchange.added_headers:
                response = await original(self, request, *args, **kwargs)
            else:
                response = await _sent_changed_async(
                    library, exchange, original, self, request, *args, **kwargs
                )
        except BaseException as error:
            _quietly_end(exchange, error)
            raise
        finally:
            _leave(token)
        _attach(response, exchange, tee, request)
        return response

    return _send_single_request


def _observe(transport: str, request: Any) -> Exchange | None:
    try:
        if request.method != "POST":
            return None
        body = getattr(request, "_content", None)
        if not isinstance(body, bytes):
            body = _redirected_body(request)
            if body is None and httpx_upload.is_streamed(request):
                return None
        return observe(transport, "POST", address_of(request.url), body, retry_count(request.headers))
    except Exception as error:
        STATE.failed("observe", error)
        return None


def _redirected_body(request: Any) -> bytes | None:
    """The request's bytes, if they are in memory although the request has none: behind a redirect its stream does."""
    body = getattr(getattr(request, "stream", None), "_stream", None)
    return body if isinstance(body, bytes) else None


def _sent_changed(
    library: ModuleType, exchange: Exchange, send: Any, client: Any, request: Any, *args: Any, **kwargs: Any
) -> Any:
    response = send(client, _changed(request, exchange), *args, **kwargs)
    if may_refuse(response, exchange):
        again = lambda: send(client, _changed(request, exchange), *args, **kwargs)  # noqa: E731
        response = accepted(library, response, exchange, again)
    return response


async def _sent_changed_async(
    library: ModuleType, exchange: Exchange, send: Any, client: Any, request: Any, *args: Any, **kwargs: Any
) -> Any:
    response = await send(client, _changed(request, exchange), *args, **kwargs)
    if may_refuse(response, exchange):
        again = lambda: send(client, _changed(request, exchange), *args, **kwargs)  # noqa: E731
        response = await accepted_async(library, response, exchange, again)
    return response


def _changed(request: Any, exchange: Exchange) -> Any:
    """The request that goes over the wire; the agent's own object never changes."""
    if exchange.body is None and not exchange.added_headers:  # refused meanwhile
        return request
    try:
        headers = request.headers.copy()
        headers.update(exchange.added_headers)
        if exchange.body is None:
            return type(request)(
                request.method,
                request.url,
                headers=headers,
                stream=request.stream,
                extensions=request.extensions,
            )
        headers["content-length"] = str(len(exchange.body))
        return type(request)(
            request.method, request.url, headers=headers, content=exchange.body, extensions=request.extensions
        )
    except Exception as error:
        STATE.failed("sent", error)
        return request


def _attach(response: Any, exchange: Exchange, tee: Any, request: Any) -> None:
    try:
        if exchange.body is not None or exchange.added_headers:
            response.request = request  # another one went out
        content = getattr(response, "_content", None)
        content_type, encoding = content_headers(response.headers)
        exchange.headers(response.status_code, content_type, "" if isinstance(content, bytes) else encoding)
        if isinstance(
            content, bytes
        ):  # a transport of the agent's own, a cache or a mock: nobody will read a stream
            shown = exchange.chunk(content) + exchange.rest()
            if shown != content:
                response._content = shown
                response.headers["content-length"] = str(len(shown))
            exchange.end()
            return
        response.stream = tee(response.stream, exchange)
    except Exception as error:
        STATE.failed("attach", error)
        exchange.end()


def _leave(token: Any) -> None:
    try:
        STATE.observed.reset(token)
    except ValueError:  # a coroutine that was carried into another context
        STATE.observed.set(False)


def _tees(library: ModuleType) -> tuple[type[Any], type[Any]]:
    class Tee:
        """What both tees share: the stream behind, and the end when nobody holds the stream any more."""

        __slots__ = ("_tracekit_exchange", "_tracekit_stream")

        def __init__(self, stream: Any, exchange: Exchange) -> None:
            self._tracekit_stream = stream
            self._tracekit_exchange = exchange

        def __getattr__(self, name: str) -> Any:
            if name in Tee.__slots__:  # of one that was never made whole, such as a copy
                raise AttributeError(name)
            return getattr(self._tracekit_stream, name)

        def __del__(self) -> None:
            exchange = getattr(self, "_tracekit_exchange", None)
            if exchange is not None and not exchange.is_over:
                _quietly_end(exchange, closed_early=True)

    class SyncTee(Tee, library.SyncByteStream):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Iterator[bytes]:
            exchange = self._tracekit_exchange
            chunk = exchange.chunk
            try:
                for data in self._tracekit_stream:
                    shown = chunk(data)
                    if shown or not data:
                        yield shown
                rest = b"" if exchange.body is None else exchange.rest()
                if rest:
                    yield rest
            except GeneratorExit:
                _quietly_end(exchange, closed_early=True)
                raise
            except BaseException as error:
                _quietly_end(exchange, error)
                raise
            _quietly_end(exchange)

        def close(self) -> None:
            try:
                self._tracekit_stream.close()
            finally:
                if not self._tracekit_exchange.is_over:
                    _quietly_end(self._tracekit_exchange, closed_early=True)

    class AsyncTee(Tee, library.AsyncByteStream):  # type: ignore[name-defined,misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            exchange = self._tracekit_exchange
            chunk = exchange.chunk
            stream = self._tracekit_stream.__aiter__()
            try:
                async for data in stream:
                    shown = chunk(data)
                    if shown or not data:
                        yield shown
                rest = b"" if exchange.body is None else exchange.rest()
                if rest:
                    yield rest
            except GeneratorExit:
                _quietly_end(exchange, closed_early=True)
                raise
            except BaseException as error:
                _quietly_end(exchange, error)
                raise
            finally:
                close = getattr(stream, "aclose", None)
                if close is not None:
                    await close()
            _quietly_end(exchange)

        async def aclose(self) -> None:
            try:
                await self._tracekit_stream.aclose()
            finally:
                if not self._tracekit_exchange.is_over:
                    _quietly_end(self._tracekit_exchange, closed_early=True)

    return SyncTee, AsyncTee


def _quietly_end(
    exchange: Exchange, error: BaseException | None = None, *, closed_early: bool = False
) -> None:
    try:
        exchange.end(error, closed_early=closed_early)
    except Exception:  # an interpreter that is shutting down has taken its modules apart
        return
