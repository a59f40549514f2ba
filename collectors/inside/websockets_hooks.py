"""Hooks for websockets, over which the Responses API takes requests and sends events on a connection that stays.

Each `response.create` is one attempt, up to the event that says that its response is over. Requests of one lane
(a connection, or a `stream_id` on it) are answered in the order in which they were sent.
"""

from __future__ import annotations

import functools
import inspect
import json

from .state import STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .exchange import Exchange

_KEY = "_tracekit_lanes"  # in a connection's own dictionary
_LAST = frozenset(
    ("response.completed", "response.failed", "response.incomplete", "response.cancelled", "error")
)


def patch(library: ModuleType) -> None:
    """Hook the connections of this module, once."""
    connection: Any = library.Connection
    is_async = inspect.iscoroutinefunction(connection.recv)
    for name, hooked in (
        ("send", _async_send if is_async else _sync_send),
        ("recv", _async_recv if is_async else _sync_recv),
        ("close", _async_close if is_async else _sync_close),
    ):
        original = getattr(connection, name)
        if not hasattr(original, "__tracekit__"):
            wrapper: Any = functools.wraps(original)(hooked(original))
            wrapper.__tracekit__ = True
            setattr(connection, name, wrapper)


class Lanes:
    """The attempts of one connection whose end is awaited."""

    def __init__(self) -> None:
        self._waiting: dict[Any, list[Exchange]] = {}

    def opened(self, lane: Any, exchange: Exchange) -> None:
        """A request was sent."""
        exchange.headers(200, "application/x-ndjson", "")
        self._waiting.setdefault(lane, []).append(exchange)

    def came(self, message: bytes) -> None:
        """An event was read."""
        if not self._waiting:
            return
        kind, lane = _kind_and_lane(message)
        waiting = self._waiting.get(lane)
        if not waiting:
            return
        waiting[0].chunk(message.replace(b"\n", b" ") + b"\n")
        if kind in _LAST:
            waiting.pop(0).end()
            if not waiting:
                del self._waiting[lane]

    def end(self, error: BaseException | None = None) -> None:
        """The connection is over."""
        waiting, self._waiting = self._waiting, {}
        for exchanges in waiting.values():
            for exchange in exchanges:
                exchange.end(error, closed_early=error is None)

    def __del__(self) -> None:
        try:
            self.end()
        except Exception:  # an interpreter that is shutting down has taken its modules apart
            return


def _kind_and_lane(message: bytes) -> tuple[str | None, str | None]:
    """What kind of event this is and which lane it is for; only those that may end one are decoded."""
    if b"stream_id" not in message and b".delta" in message[:80]:
        return None, None
    try:
        event = json.loads(message)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(event, dict):
        return None, None
    kind, lane = event.get("type"), event.get("stream_id")
    return kind if isinstance(kind, str) else None, lane if isinstance(lane, str) else None


def _sent(connection: Any, message: Any) -> None:
    """Watch a message that is about to be sent, if it asks for a response."""
    try:
        if STATE.writer is None or not isinstance(message, (str, bytes, bytearray)):
            return
        data = message.encode("utf-8", "replace") if isinstance(message, str) else bytes(message)
        if b"response.create" not in data:
            return
        request = getattr(connection, "request", None)
        event = json.loads(data)
        if request is None or not isinstance(event, dict) or event.get("type") != "response.create":
            return
        from .exchange import observe

        exchange = observe("websockets", "POST", _address(connection, request), data, None)
        if exchange is not None:
            lanes = connection.__dict__.get(_KEY)
            if lanes is None:
                lanes = connection.__dict__[_KEY] = Lanes()
            lane = event.get("stream_id")
            lanes.opened(lane if isinstance(lane, str) else None, exchange)
    except (ValueError, RecursionError):
        return
    except Exception as error:
        STATE.failed("observe", error)


def _address(connection: Any, request: Any) -> tuple[str, str, int | None, str]:
    protocol = getattr(connection, "protocol", None)
    uri: Any = getattr(protocol, "uri", None) or getattr(protocol, "wsuri", None)
    scheme = "wss" if getattr(uri, "secure", False) else "ws"
    return scheme, getattr(uri, "host", ""), getattr(uri, "port", None), request.path.partition("?")[0]


def _received(connection: Any, message: Any) -> None:
    try:
        lanes: Lanes | None = connection.__dict__.get(_KEY)
        if lanes is not None:
            lanes.came(message.encode("utf-8", "replace") if isinstance(message, str) else bytes(message))
    except Exception as error:
        STATE.failed("event", error)


def _over(connection: Any, error: BaseException | None = None) -> None:
    """The connection is closed, by the other side if there is an error."""
    try:
        if error is None or any(base.__name__ == "ConnectionClosed" for base in type(error).__mro__):
            lanes: Lanes | None = connection.__dict__.get(_KEY)
            if lanes is not None:
                lanes.end(error)
    except Exception as failure:
        STATE.failed("end", failure)


def _sync_send(original: Any) -> Any:
    def send(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        _sent(self, message)
        try:
            return original(self, message, *args, **kwargs)
        except BaseException as error:
            _over(self, error)
            raise

    return send


def _async_send(original: Any) -> Any:
    async def send(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        _sent(self, message)
        try:
            return await original(self, message, *args, **kwargs)
        except BaseException as error:
            _over(self, error)
            raise

    return send


def _sync_recv(original: Any) -> Any:
    def recv(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            message = original(self, *args, **kwargs)
        except BaseException as error:
            _over(self, error)
            raise
        _received(self, message)
        return message

    return recv


def _async_recv(original: Any) -> Any:
    async def recv(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            message = await original(self, *args, **kwargs)
        except BaseException as error:
            _over(self, error)
            raise
        _received(self, message)
        return message

    return recv


def _sync_close(original: Any) -> Any:
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        _over(self)
        return original(self, *args, **kwargs)

    return close


def _async_close(original: Any) -> Any:
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        _over(self)
        return await original(self, *args, **kwargs)

    return close
