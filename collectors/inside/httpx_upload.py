"""Requests of httpx and httpx2 whose body is made as it is sent: read as it passes, and observed when it is whole."""

from __future__ import annotations

from .exchange import Exchange, observe
from .httpx_address import address_of
from .state import STATE
from .wire import api_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

LARGEST_BODY = 64 * 1024 * 1024


class Upload:
    """One such request.

    Attributes
    ----------
    exchange : None until the body is over, and of a request that is no LLM call.
    """

    def __init__(self, library: str, request: Any, start_ns: int) -> None:
        self.exchange: Exchange | None = None
        self._transport = library
        self._address = address_of(request.url)
        self._retry_count = request.headers.get("x-stainless-retry-count")
        self._start_ns = start_ns
        self._pieces: list[bytes] = []
        self._size = 0

    def piece(self, data: Any) -> None:
        """The next part of the body."""
        if isinstance(data, bytes) and self._size <= LARGEST_BODY:
            self._pieces.append(data)
            self._size += len(data)

    def over(self) -> None:
        """The body is whole, as far as it ever will be."""
        pieces, self._pieces = self._pieces, []
        if not pieces or self.exchange is not None:
            return
        token = STATE.observed.set(False)
        try:
            body = b"".join(pieces) if self._size <= LARGEST_BODY else None
            self.exchange = observe(
                self._transport, "POST", self._address, body, self._retry_count, start_ns=self._start_ns
            )
        except Exception as error:
            STATE.failed("observe", error)
        finally:
            STATE.observed.reset(token)


def send(original: Any, client: Any, request: Any, attach: Any, *args: Any, **kwargs: Any) -> Any:
    """Send a request that `observe` could not read, and attach its exchange to the response if it has one."""
    upload = _upload(request)
    if upload is None:
        return original(client, request, *args, **kwargs)
    token = STATE.observed.set(True)
    try:
        response = original(client, _listened(request, upload), *args, **kwargs)
    except BaseException as error:
        _end(upload, error)
        raise
    finally:
        STATE.observed.reset(token)
    _attach(upload, response, request, attach)
    return response


async def send_async(original: Any, client: Any, request: Any, attach: Any, *args: Any, **kwargs: Any) -> Any:
    """Do what `send` does, for clients that await."""
    upload = _upload(request)
    if upload is None:
        return await original(client, request, *args, **kwargs)
    token = STATE.observed.set(True)
    try:
        response = await original(client, _listened(request, upload), *args, **kwargs)
    except BaseException as error:
        _end(upload, error)
        raise
    finally:
        try:
            STATE.observed.reset(token)
        except ValueError:  # a coroutine that was carried into another context
            STATE.observed.set(False)
    _attach(upload, response, request, attach)
    return response


def is_streamed(request: Any) -> bool:
    """Whether the body is not in memory but made, or read, while it is sent."""
    if isinstance(getattr(request, "_content", None), bytes):
        return False
    stream = getattr(request, "stream", None)
    inner = getattr(stream, "_stream", None)
    return stream is not None and not isinstance(inner, bytes)


def _upload(request: Any) -> Upload | None:
    writer = STATE.writer
    try:
        if writer is None or request.method != "POST" or STATE.observed.get() or not is_streamed(request):
            return None
        if api_of("POST", request.url.path) is None:
            return None
        return Upload(type(request).__module__.partition(".")[0], request, writer.clock.now_ns())
    except Exception as error:
        STATE.failed("observe", error)
        return None


def _listened(request: Any, upload: Upload) -> Any:
    """The request that goes over the wire, whose stream tells the upload of every piece."""
    try:
        stream = _stream_class(type(request))(request.stream, upload)
        return type(request)(
            request.method,
            request.url,
            headers=request.headers,
            stream=stream,
            extensions=request.extensions,
        )
    except Exception as error:
        STATE.failed("sent", error)
        return request


def _stream_class(request_class: Any) -> Any:
    """A stream of the library's own two kinds in one; which one is asked, the client knows."""
    import sys

    library = sys.modules[request_class.__module__.partition(".")[0]]

    class Listened(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __init__(self, stream: Any, upload: Upload) -> None:
            self._tracekit_stream = stream
            self._tracekit_upload = upload

        def __iter__(self) -> Iterator[bytes]:
            for data in self._tracekit_stream:
                self._tracekit_upload.piece(data)
                yield data
            self._tracekit_upload.over()

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for data in self._tracekit_stream:
                self._tracekit_upload.piece(data)
                yield data
            self._tracekit_upload.over()

        def close(self) -> None:
            self._tracekit_stream.close()

        async def aclose(self) -> None:
            await self._tracekit_stream.aclose()

    return Listened


def _attach(upload: Upload, response: Any, request: Any, attach: Any) -> None:
    upload.over()
    response.request = request
    if upload.exchange is not None:
        attach(response, upload.exchange, request)


def _end(upload: Upload, error: BaseException) -> None:
    try:
        upload.over()
        if upload.exchange is not None:
            upload.exchange.end(error)
    except Exception as failure:
        STATE.failed("end", failure)
