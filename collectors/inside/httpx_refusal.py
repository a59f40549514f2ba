"""httpx and httpx2: an error that may be the server's refusal of what the recorder added, looked at before the agent.

If it is, the agent's own request is sent, and its answer is all that the agent gets. If not, the agent reads the
error from the beginning as if nobody had.
"""

from __future__ import annotations

from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import ModuleType
    from typing import Any

    from .exchange import Exchange

READ_BYTES = 64 * 1024  # what follows is read by the agent alone


def may_refuse(response: Any, exchange: Exchange) -> bool:
    """Whether the answer to a changed request is an error."""
    return exchange.body is not None and response.status_code >= 400


def accepted(library: ModuleType, response: Any, exchange: Exchange, send: Callable[[], Any]) -> Any:
    """The response to go on with: this one, unread, or that of the agent's own request, which `send` sends."""
    if isinstance(getattr(response, "_content", None), bytes):
        return send() if _refused(response, exchange, response._content, "") else response
    stream = response.stream
    pieces: list[bytes] = []
    error: Exception | None = None
    rest = iter(stream)
    try:
        while sum(map(len, pieces)) < READ_BYTES:
            pieces.append(next(rest))
    except StopIteration:
        pass
    except Exception as failure:
        error = failure
    except BaseException:
        stream.close()
        raise
    if _refused(response, exchange, b"".join(pieces), response.headers.get("content-encoding", "")):
        stream.close()
        return send()
    response.stream = _sync_again(library)(stream, pieces, rest, error)
    return response


async def accepted_async(
    library: ModuleType, response: Any, exchange: Exchange, send: Callable[[], Any]
) -> Any:
    """As `accepted`, for asyncio and trio."""
    if isinstance(getattr(response, "_content", None), bytes):
        return await send() if _refused(response, exchange, response._content, "") else response
    stream = response.stream
    pieces: list[bytes] = []
    error: Exception | None = None
    rest = stream.__aiter__()
    try:
        while sum(map(len, pieces)) < READ_BYTES:
            pieces.append(await rest.__anext__())
    except StopAsyncIteration:
        pass
    except Exception as failure:
        error = failure
    except BaseException:
        await stream.aclose()
        raise
    if _refused(response, exchange, b"".join(pieces), response.headers.get("content-encoding", "")):
        await stream.aclose()
        return await send()
    response.stream = _async_again(library)(stream, pieces, rest, error)
    return response


def _refused(response: Any, exchange: Exchange, answer: bytes, encoding: str) -> bool:
    try:
        return exchange.refused(response.status_code, answer, encoding)
    except Exception as error:
        STATE.failed("refused", error)
        return False


class _Again:
    """What both kinds share: a stream of which some pieces were read already, and perhaps an error behind them."""

    def __init__(self, stream: Any, pieces: list[bytes], rest: Any, error: Exception | None) -> None:
        self._tracekit_stream = stream
        self._pieces = pieces
        self._rest = rest
        self._error = error

    def __getattr__(self, name: str) -> Any:
        stream = self.__dict__.get("_tracekit_stream")
        if stream is None:
            raise AttributeError(name)
        return getattr(stream, name)


def _sync_again(library: ModuleType) -> type[Any]:
    class SyncAgain(_Again, library.SyncByteStream):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Iterator[bytes]:
            yield from self._pieces
            if self._error is not None:
                raise self._error
            yield from self._rest

        def close(self) -> None:
            self._tracekit_stream.close()

    return SyncAgain


def _async_again(library: ModuleType) -> type[Any]:
    class AsyncAgain(_Again, library.AsyncByteStream):  # type: ignore[name-defined,misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self._pieces:
                yield piece
            if self._error is not None:
                raise self._error
            async for piece in self._rest:
                yield piece

        async def aclose(self) -> None:
            await self._tracekit_stream.aclose()

    return AsyncAgain
