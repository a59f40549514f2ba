"""aiohttp: an error that may be the server's refusal of what the recorder added, looked at before the agent.

If it is, the agent's own request is made, and its answer is all that the agent gets. If not, the error lies in its
reader as if nobody had looked. Requests that could not be made again, or whose error others see first, are not
changed.
"""

from __future__ import annotations

import asyncio
import functools
from contextvars import ContextVar

from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Exchange

CAN_REPEAT: ContextVar[bool] = ContextVar("tracekit_can_repeat", default=False)
LONGEST = 64 * 1024
WAIT_S = 1.0  # for the rest of an error that is still coming
_KEY = "_tracekit_asked"  # in a response's own dictionary: the exchange that changed its request


def asked(response: Any, exchange: Exchange) -> None:
    """The response answers a request that was changed."""
    response.__dict__[_KEY] = exchange


def hooked(original: Any) -> Any:
    """`ClientSession._request`, which makes a request and follows its redirects."""

    @functools.wraps(original)
    async def _request(self: Any, method: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        if STATE.usage != "inject" or args or not _is_repeatable(self, kwargs):
            return await original(self, method, url, *args, **kwargs)
        token = CAN_REPEAT.set(True)
        try:
            response = await original(self, method, url, **kwargs)
        finally:
            _reset(token)
        if not await _is_refusal(response):
            return response
        response.release()
        return await original(self, method, url, **kwargs)

    return _request


def _reset(token: Any) -> None:
    try:
        CAN_REPEAT.reset(token)
    except ValueError:  # a coroutine that was carried into another context
        CAN_REPEAT.set(False)


def _is_repeatable(session: Any, kwargs: dict[str, Any]) -> bool:
    """Whether the body can be sent twice, and nobody judges the answer before it is returned."""
    if kwargs.get("json") is None and not isinstance(kwargs.get("data"), (bytes, bytearray, str)):
        return False
    raises = kwargs.get("raise_for_status")
    if getattr(session, "_raise_for_status", True) if raises is None else raises:
        return False
    between = kwargs.get("middlewares")
    return not (getattr(session, "_middlewares", None) if between is None else between)


async def _is_refusal(response: Any) -> bool:
    exchange: Exchange | None = getattr(response, "__dict__", {}).pop(_KEY, None)
    if exchange is None or response.status < 400 or (response.content_length or 0) > LONGEST:
        return False
    try:
        await asyncio.wait_for(response.content.wait_eof(), WAIT_S)
    except asyncio.TimeoutError:
        return False
    except asyncio.CancelledError:
        response.close()
        raise
    except Exception:  # the agent meets it when it reads
        return False
    return exchange.was_refused
