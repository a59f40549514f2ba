"""http.client and what stands on it: an error that may be the server's refusal of what the recorder added.

If it is, the agent's own request is sent over the same connection, and its answer is all that the agent gets. If
not, the agent reads the error from the beginning as if nobody had.
"""

from __future__ import annotations

from .http_framing import Framing
from .state import STATE
from .wire_file import Ahead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .exchange import Exchange

READ_BYTES = 64 * 1024  # what follows is read by the agent alone


def may_refuse(response: Any, exchange: Exchange | None) -> bool:
    """Whether the answer to a changed request is an error that can be looked at."""
    return (
        exchange is not None
        and exchange.body is not None
        and response.status >= 400
        and hasattr(response.fp, "read1")
    )


def look(response: Any, exchange: Exchange) -> tuple[bool, Ahead]:
    """Whether the error is such a refusal, and what was read of it."""
    ahead, answer, framing = Ahead(), b"", _framing(response)
    try:
        while len(answer) < READ_BYTES and not framing.is_complete and not framing.is_broken:
            data = response.fp.read1(READ_BYTES)
            if not data:
                break
            ahead.data += data
            answer += framing.payload(data)
    except OSError as error:
        ahead.error = error
    ahead.is_whole = framing.is_complete
    try:
        encoding = response.headers.get("content-encoding") or ""
        return exchange.refused(response.status, answer, encoding), ahead
    except Exception as error:
        STATE.failed("refused", error)
        return False, ahead


def is_free(response: Any, ahead: Ahead, *, is_last: bool) -> bool:
    """Whether another request can go over the same connection: nothing of the answer is still to come."""
    return ahead.is_whole and not response.will_close and not is_last


def can_open(connection: Any) -> bool:
    """Whether a connection that was closed opens by itself as it was; urllib3's forget their tunnel."""
    return bool(connection.auto_open) and not getattr(connection, "_tunnel_host", None)


def _framing(response: Any) -> Framing:
    return Framing(is_chunked=bool(response.chunked), length=response.length)
