"""Hooks for http.client, which urllib, urllib3 and with it requests stand on.

urllib3 reads chunked bodies past http.client's own `read`, so the place where everything passes is the file under
the response. Requests are seen where a connection sends them; only what replaces a body needs `request` itself,
which urllib3 2 words anew.
"""

from __future__ import annotations

import functools

from .http_body import Body
from .http_client_refusal import can_open, is_free, look, may_refuse
from .http_framing import Framing
from .outgoing import Outgoing, outgoing
from .state import STATE
from .wire_file import listened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .exchange import Exchange
    from .wire_file import Ahead

_KEY = "_tracekit_outgoing"  # in a connection's own dictionary, from its request to its response


def patch(library: ModuleType) -> None:
    """Hook the connections of http.client, or what urllib3's have of their own, once."""
    connection = library.HTTPConnection
    for name, hooked in (
        ("request", _request),
        ("putrequest", _putrequest),
        ("send", _send),
        ("getresponse", _getresponse),
    ):
        original = vars(connection).get(name)
        if original is None or hasattr(original, "__tracekit__"):
            continue
        if library.__name__ != "http.client" and name != "request":
            continue  # they call http.client's
        wrapper: Any = functools.wraps(original)(hooked(original))
        wrapper.__tracekit__ = True
        setattr(connection, name, wrapper)


_NOT_GIVEN: Any = object()


def _request(original: Any) -> Any:
    def request(
        self: Any,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = _NOT_GIVEN,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        known: Outgoing | None = self.__dict__.get(_KEY)
        is_inner = known is not None and known.is_sending
        sent = None if is_inner else _observed(self, method, url, body, headers)
        if headers is not _NOT_GIVEN:
            kwargs["headers"] = headers
        if sent is None:
            return original(self, method, url, body, *args, **kwargs)
        exchange = sent.exchange

        def send(connection: Any) -> Any:
            words = dict(kwargs)
            changed = body if exchange is None else _change(exchange, body, words)
            return original(connection, method, url, changed, *args, **words)

        sent.again = send
        sent.is_sending = True
        try:
            return send(self)
        except BaseException as error:
            _failed(self, sent, error)
            raise
        finally:
            sent.is_sending = False

    return request


def _observed(connection: Any, method: str, url: str, body: Any, headers: Any) -> Outgoing | None:
    """The request, if its body is in memory and its place that of an LLM call."""
    if method != "POST" or not isinstance(body, (bytes, bytearray, str)):
        return None
    sent = None
    try:
        sent = outgoing(connection, method, url)
        if sent is not None:
            connection.__dict__[_KEY] = sent
            data = body.encode("utf-8", "replace") if isinstance(body, str) else bytes(body)
            sent.is_last = "close" in (_header(headers, "connection") or "").lower()
            sent.observe(data, _header(headers, "x-stainless-retry-count"))
    except Exception as error:
        STATE.failed("observe", error)
    return sent


def _header(headers: Any, name: str) -> str | None:
    if headers is _NOT_GIVEN or headers is None:
        return None
    for key, value in headers.items():
        if isinstance(key, str) and key.lower() == name:
            return value if isinstance(value, str) else None
    return None


def _change(exchange: Exchange, body: Any, kwargs: dict[str, Any]) -> Any:
    """The body to send; `kwargs` gets the headers that go with it. The agent's own objects never change."""
    if exchange.body is None and not exchange.added_headers:
        return body
    try:
        headers = kwargs.get("headers")
        headers = {} if headers is None else headers.copy()
        added = dict(exchange.added_headers)
        if exchange.body is not None:
            added["Content-Length"] = str(len(exchange.body))
        names = {name.lower() for name in added}
        for name in [name for name in headers if _lower(name) in names]:
            del headers[name]
        headers.update(added)
        kwargs["headers"] = headers
        return body if exchange.body is None else exchange.body
    except Exception as error:
        STATE.failed("sent", error)
        return body


def _lower(name: Any) -> str:
    name = name.decode("latin-1") if isinstance(name, bytes) else name
    return str(name).lower()


def _failed(connection: Any, sent: Outgoing, error: BaseException) -> None:
    """Sending raised this; of a broken connection urllib3 may still read what the server said before it broke."""
    try:
        if isinstance(error, ConnectionError):
            sent.failure = type(error)()  # without its traceback, which would hold the connection
        else:
            connection.__dict__.pop(_KEY, None)
            sent.end(error)
    except Exception as failure:
        STATE.failed("sending", failure)


def _putrequest(original: Any) -> Any:
    def putrequest(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        sent: Outgoing | None = self.__dict__.get(_KEY)
        if sent is None or not sent.is_sending:
            try:
                if sent is not None:
                    del self.__dict__[_KEY]
                    sent.end()
                sent = outgoing(self, method, url)
                if sent is not None:
                    self.__dict__[_KEY] = sent
            except Exception as error:
                STATE.failed("observe", error)
        return original(self, method, url, *args, **kwargs)

    return putrequest


def _send(original: Any) -> Any:
    def send(self: Any, data: Any) -> Any:
        sent: Outgoing | None = self.__dict__.get(_KEY)
        if sent is None or sent.is_read or sent.is_sending:
            return original(self, data)
        try:
            sent.sending(data)
        except Exception as error:
            STATE.failed("observe", error)
            sent.is_read = True
        sent.is_sending = True  # the first send opens the connection, and what that sends is no part of this
        try:
            return original(self, data)
        except BaseException as error:
            _failed(self, sent, error)
            raise
        finally:
            sent.is_sending = False

    return send


def _getresponse(original: Any) -> Any:
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        sent: Outgoing | None = self.__dict__.get(_KEY)
        if sent is None or args or kwargs:  # urllib3 1 first asks in the words of Python 2, and is refused
            return original(self, *args, **kwargs)
        del self.__dict__[_KEY]
        try:
            sent.sent()
        except Exception as error:
            STATE.failed("observe", error)
        ahead = None
        try:
            response = original(self)
            exchange = sent.exchange
            if exchange is not None and may_refuse(response, exchange):
                is_refused, ahead = look(response, exchange)
                is_same = is_free(response, ahead, is_last=sent.is_last)
                if is_refused and sent.again is not None and (is_same or can_open(self)):
                    response.close()
                    if not is_same:
                        self.close()
                    _send_again(self, sent)
                    response, ahead = original(self), None
        except BaseException as error:
            _quietly_end(sent, error)
            raise
        sent.exchange = sent.again = None
        if exchange is not None:
            _attach(response, exchange, ahead)
        return response

    return getresponse


def _send_again(connection: Any, sent: Outgoing) -> None:
    """Send the agent's own request, which nobody is to take for another one."""
    connection.__dict__[_KEY] = sent
    sent.is_sending = True
    try:
        sent.again(connection)  # type: ignore[misc]  # the caller looked
    finally:
        sent.is_sending = False
        connection.__dict__.pop(_KEY, None)


def _quietly_end(sent: Outgoing, error: BaseException) -> None:
    try:
        sent.end(error)
    except Exception as failure:
        STATE.failed("end", failure)


def _attach(response: Any, exchange: Exchange, ahead: Ahead | None) -> None:
    """Listen to what the response reads from here on."""
    try:
        headers = response.headers
        exchange.headers(
            response.status, headers.get("content-type") or "", headers.get("content-encoding") or ""
        )
        if response.fp is None or response.length == 0 or not hasattr(response.fp, "readinto1"):
            exchange.end()  # no body, or a stand-in's
            return
        framing = Framing(is_chunked=bool(response.chunked), length=response.length)
        response.fp = listened(response.fp, Body(exchange, framing), ahead)
    except Exception as error:
        STATE.failed("attach", error)
        exchange.end()
