"""One HTTP attempt being watched, whichever library carries it.

A hook calls `observe` before the send; sends `body` and `added_headers` where the exchange has any; then calls
`headers`, `chunk` for every piece of the body as the agent reads it (and hands on what that returns), `rest` behind
the last piece of a body that ended by itself, and `end` exactly when nothing more will come; further ends are ignored.

Where it sent `body` and the answer is an error, a hook that is able to asks `refused` first: if so, it sends the
agent's own request instead and goes on with that one's answer. A body that `chunk` shows may be shorter than its
content-length says.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache

from .beginning import Beginnings
from .context import place, scope_id
from .encoding import COMPRESSED, decoded_body
from .identity import hashing
from .injection import NEEDLESS, injected
from .json_text import or_null, parsed, quoted, spelled
from .loopback import TWIN_HEADER
from .plain import counted, digits, label
from .request import request_text
from .response import Reading, http_error_type
from .state import STATE
from .wire import api_of, is_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .injection import Injection
    from .spool import Writer

KEPT_BYTES = 64 * 1024 * 1024
TAIL_BYTES = 64 * 1024  # of what comes after that; the last events hold the token counts
_KNOWN_ADDRESSES = 256
_NO_TIMES = '"first_token_ns":null,"last_token_ns":null,"chunk_count":null,"chunk_gap_us":null'
_beginnings = Beginnings()
_CANCELLED = ("CancelledError", "GeneratorExit", "KeyboardInterrupt", "Cancelled")


def observe(  # noqa: PLR0913  (what a transport knows of a request)
    transport: str,
    method: str,
    url: tuple[str, str, int | None, str],
    body: bytes | None,
    retry_count: str | None,
    *,
    clock_point: str = "app_read",
    twin: str | None = None,
    start_ns: int | None = None,
    caller: dict[str, Any] | None = None,
    may_change: bool = True,
) -> Exchange | None:
    """Start watching a request if it is an LLM call; None if it is not, or somebody watches it already.

    Parameters
    ----------
    transport : the library that carries it.
    url : scheme, host, port and path.
    body : None if it is not in memory.
    retry_count : how often the client says that it tried before, as its header has it.
    clock_point : where times are taken: app_read or proxy_arrival.
    twin : the id of another record of the same attempt: the proxy's of what a hook has seen as well.
    start_ns : when the send began, if its body could only be read as it was sent; nothing in such a request, nor
        in one whose body is compressed, can be replaced.
    caller : keys that say where the call comes from, beside or in place of where this code runs.
    may_change : whether a server's refusal of what is added could be kept from the agent.
    """
    writer = STATE.writer
    api = api_of(method, url[3])
    if writer is None or api is None or STATE.observed.get():
        return None
    sent = body
    if body and body.startswith(COMPRESSED):
        body = decoded_body(body)
    true_url = None if STATE.loopback is None else STATE.loopback.true_url(url)
    if true_url is not None:
        if not body:
            return None  # the proxy will read it
        exchange = observe(
            transport, method, true_url, sent, retry_count,
            clock_point=clock_point, start_ns=start_ns, caller={"by_proxy": True}, may_change=may_change,
        )  # fmt: skip
        if exchange is not None:
            exchange.added_headers[TWIN_HEADER] = exchange.id
        return exchange
    if not body:
        STATE.note("request_not_read", api)  # a streamed or compressed body: perhaps a call, perhaps not
        return None
    text = _request_text(api, body, url[3])
    if text is None:
        return None
    address = _address_text(transport, clock_point, *url, retry_count)
    beside = dict(caller or {})
    if twin is not None:
        beside["twin"] = label(twin)
    elif STATE.content != "none":
        beside.update(_content(body))
    exchange = Exchange(writer, api, address, text, beside, start_ns)
    if may_change and start_ns is None and body is sent and STATE.usage == "inject":
        exchange.ask_for_usage(url, _value(body), body)
    return exchange


class Exchange:
    """An attempt whose start is written and whose end is awaited.

    Attributes
    ----------
    id : its record's.
    body : what to send in place of the agent's body; None to send that.
    added_headers : headers to send beside the agent's.
    was_refused : the answer, read to its end, was a refusal of what the exchange added.
    """

    __slots__ = (
        "_api", "_chunks", "_content_type", "_encoding", "_injection", "_keeps_content", "_now", "_pid", "_size",
        "_stamps", "_status", "_tail", "_writer", "added_headers", "body", "id", "is_over", "was_refused",
    )  # fmt: skip

    def __init__(
        self,
        writer: Writer,
        api: str,
        address: str,
        request: str,
        beside: dict[str, Any],
        start_ns: int | None,
    ) -> None:
        """Write the start; `address` and `request` are JSON, `beside` is what else there is to say."""
        self._writer = writer
        self._api = api
        self._now = writer.clock.now_ns
        self._pid = os.getpid()
        self.id = writer.new_id(self._pid)
        self.is_over = self.was_refused = False
        self.body: bytes | None = None
        self.added_headers: dict[str, str] = {}
        self._injection: Injection | None = None
        self._status: int | None = None
        self._content_type = self._encoding = ""
        self._chunks: list[bytes] = []
        self._stamps: list[int] = []
        self._tail = b""
        self._size = 0
        self._keeps_content = "content" in beside
        fields: dict[str, Any] = {"id": self.id, "pid": self._pid}
        fields.update(place())
        fields["scope"] = STATE.scope.get() or scope_id(writer.new_id)
        fields.update(beside)
        ns = self._now() if start_ns is None else start_ns
        where = spelled(fields)[1:-1]
        writer.write_text(
            f'{{"t":"attempt_start","ns":{ns},{where},{address},"request":{request}}}\n', self._pid
        )

    def ask_for_usage(
        self, url: tuple[str, str, int | None, str], request: dict[str, Any], body: bytes
    ) -> None:
        """Let the request go out with include_usage, if that is wanted and does no harm."""
        try:
            self._injection = injected(self._api, url, request, body)
        except Exception as error:
            STATE.failed("inject", error)
        if self._injection is not None:
            self.body = self._injection.body
            self.added_headers.update(self._injection.added_headers)

    def refused(self, status: int, answer: bytes, encoding: str = "") -> bool:
        """Whether the server refused what the exchange added, and the agent's own request is to be sent.

        Parameters
        ----------
        answer : the error's body, or its beginning, in this content encoding.
        """
        if self._injection is None or not self._injection.refused(status, answer, encoding):
            return False
        for name in self._injection.added_headers:
            self.added_headers.pop(name, None)
        self._injection, self.body = None, None
        return True

    def headers(self, status: int, content_type: str, encoding: str) -> None:
        """The response's status and headers are there."""
        self._status, self._content_type, self._encoding = status, content_type, encoding
        if self._injection is not None:
            self._injection.begin(status, content_type, encoding)

    def chunk(self, data: bytes) -> bytes:
        """The agent read this much of the body, as it came over the wire; what it is to see of it."""
        self._stamps.append(self._now())
        self._size += len(data)
        if self._size <= KEPT_BYTES:
            self._chunks.append(data)
        else:
            self._tail = (self._tail + data)[-TAIL_BYTES:]
        return data if self._injection is None else self._injection.show(data)

    def rest(self) -> bytes:
        """What the agent is still to see of a body that is over."""
        return b"" if self._injection is None else self._injection.rest()

    def end(self, error: BaseException | None = None, *, closed_early: bool = False) -> None:
        """Nothing more will come: the body is over, or `error` ended it, or the agent closed it early."""
        if self.is_over or self._pid != os.getpid():
            return
        self.is_over = True
        ns = self._now()
        try:
            text = self._outcome(error, closed_early)
        except Exception as failure:
            STATE.failed("response", failure)
            text = self._outcome_text(*self._bare_verdict(error, closed_early))
        self._chunks, self._stamps = [], []
        self._writer.write_text(f'{{"t":"attempt_end","ns":{ns},"id":"{self.id}",{text}}}\n', self._pid)

    def _outcome(self, error: BaseException | None, closed_early: bool) -> str:
        if self._status is None or not self._chunks:
            return self._outcome_text(*self._bare_verdict(error, closed_early))
        chunks, stamps = self._chunks, self._stamps
        if self._tail and not self._encoding:
            chunks, stamps = [*chunks, b"\n\n" + self._tail], [*stamps[: len(chunks)], stamps[-1]]
        reading = Reading(self._api, chunks, stamps, self._encoding, self._content_type)
        times = spelled(reading.times())[1:-1] if reading.is_stream else _NO_TIMES
        response = reading.text(
            STATE.hashing or hashing(), "server" if self._injection is None else "injected"
        )
        if self._injection is not None:
            self._learn(self._injection, reading)
        if self._keeps_content:
            response += self._content_text(reading)
        if error is None and self._status < 300:
            status, error_type = _verdict(reading, closed_early, cut=bool(self._tail))
        else:
            status, error_type = self._bare_verdict(error, closed_early)
            if self._status >= 300:
                error_type = http_error_type(self._status, reading)
        return self._outcome_text(status, error_type, times, response)

    def _outcome_text(
        self, status: str, error_type: str | None, times: str = _NO_TIMES, response: str = "null"
    ) -> str:
        http_status = counted(self._status, 32)
        first_byte_ns = self._stamps[0] if self._stamps else "null"
        return (
            f'"status":"{status}","http_status":{or_null(http_status, http_status)},'
            f'"error_type":{quoted(error_type)},"first_byte_ns":{first_byte_ns},{times},'
            f'"response_bytes":{self._size},"response":{response}'
        )

    def _content_text(self, reading: Reading) -> str:
        from .content import response_content

        return f',"content":{quoted(response_content(self._api, reading.body, reading.is_stream))}'

    def _learn(self, injection: Injection, reading: Reading) -> None:
        """Find out whether to ask this server again."""
        if self._status is not None and (self._status >= 400 or reading.answer.error_type):
            self.was_refused = injection.refused(
                max(self._status, 400), b"".join(self._chunks), self._encoding
            )
        elif reading.answer.timings:
            injection.remember(NEEDLESS)

    def _bare_verdict(self, error: BaseException | None, closed_early: bool) -> tuple[str, str | None]:
        """Status and type of the error as far as they are known without the body."""
        if error is not None:
            error_type = label(type(error).__name__)
            return "cancelled" if error_type in _CANCELLED else "error", error_type
        if self._status is not None and self._status >= 300:
            return "error", http_error_type(self._status, None)
        return "cancelled" if closed_early else "ok", None


def _request_text(api: str, body: bytes, path: str) -> str | None:
    """What is kept of a request, in JSON; None if it is no call."""
    keyed = STATE.hashing or hashing()
    text = _beginnings.text(api, body, path, keyed)
    if text is not None:
        return text
    request = _value(body)
    return request_text(api, request, body, path, keyed) if is_call(api, request, path) else None


def _value(body: bytes) -> Any:
    """The JSON value that a request is; None if it is none."""
    try:
        return parsed(body.decode())
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(body)  # UTF-16, a byte order mark, half a pair
    except (ValueError, RecursionError):
        return None


@lru_cache(maxsize=_KNOWN_ADDRESSES)
def _address_text(
    transport: str,
    clock_point: str,
    scheme: str,
    host: str,
    port: int | None,
    path: str,
    retry_count: str | None,
) -> str:
    """Where a request goes, as members of a JSON object."""
    fields = {
        "transport": transport,
        "clock_point": clock_point,
        "scheme": label(scheme),
        "host": label(_host(host)),
        "port": counted(port, 32),
        "path": label(_path(path)),
        "retry_count": digits(retry_count),
    }
    return spelled(fields)[1:-1]


def _content(body: bytes) -> dict[str, Any]:
    """The request's text for the record, if `--content` asks for it."""
    try:
        from .content import request_content

        return {"content": request_content(_value(body), body)}
    except Exception as error:
        STATE.failed("content", error)
        return {}


def _host(host: str) -> str:
    """Without the user and password that a transport may hand over with it."""
    return host.rpartition("@")[2] if isinstance(host, str) else host


def _path(path: str) -> str:
    """Without query and fragment, where keys may stand."""
    return path.partition("?")[0].partition("#")[0] if isinstance(path, str) else path


def _verdict(reading: Reading, closed_early: bool, *, cut: bool) -> tuple[str, str | None]:
    """How a response that raised nothing went; many clients stop reading at the last event."""
    answer = reading.answer
    if answer.error_type is not None:
        return "error", answer.error_type
    if answer.is_complete:
        return "ok", None
    if closed_early:
        return "cancelled", None
    if reading.is_stream and not reading.is_unreadable and not cut:
        return "error", "stream_truncated"
    return "ok", None
