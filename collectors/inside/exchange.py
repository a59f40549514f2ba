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

from .context import place, scope_id
from .encoding import decoded_body
from .identity import hashing
from .injection import NEEDLESS, injected
from .loopback import TWIN_HEADER
from .plain import counted, digits, label
from .request import request_facts
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
    """
    writer = STATE.writer
    api = api_of(method, url[3])
    if writer is None or api is None or STATE.observed.get():
        return None
    sent, body = body, decoded_body(body) if body else None
    true_url = None if STATE.loopback is None else STATE.loopback.true_url(url)
    if true_url is not None:
        if not body:
            return None  # the proxy will read it
        exchange = observe(
            transport, method, true_url, sent, retry_count,
            clock_point=clock_point, start_ns=start_ns, caller={"by_proxy": True},
        )  # fmt: skip
        if exchange is not None:
            exchange.added_headers[TWIN_HEADER] = exchange.id
        return exchange
    if not body:
        STATE.note("request_not_read", api)  # a streamed or compressed body: perhaps a call, perhaps not
        return None
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not is_call(api, request, url[3]):
        return None
    facts = request_facts(api, request, body, url[3], hashing())
    beside = dict(caller or {})
    beside.update(_content(request, body) if twin is None else {"twin": label(twin)})
    exchange = Exchange(writer, api, transport, url, facts, retry_count, clock_point, beside, start_ns)
    if start_ns is None and body is sent:
        exchange.ask_for_usage(url, request, body)
    return exchange


class Exchange:
    """An attempt whose start is written and whose end is awaited.

    Attributes
    ----------
    id : its record's.
    body : what to send in place of the agent's body; None to send that.
    added_headers : headers to send beside the agent's.
    """

    __slots__ = (
        "_api", "_chunks", "_content_type", "_encoding", "_ended", "_injection", "_keeps_content", "_now", "_pid",
        "_size", "_stamps", "_status", "_tail", "_writer", "added_headers", "body", "id",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917  (what `observe` was told, as it was told)
        self,
        writer: Writer,
        api: str,
        transport: str,
        url: tuple[str, str, int | None, str],
        facts: dict[str, Any],
        retry_count: str | None,
        clock_point: str = "app_read",
        beside: dict[str, Any] | None = None,
        start_ns: int | None = None,
    ) -> None:
        self._writer = writer
        self._api = api
        self._now = writer.clock.now_ns
        self._pid = os.getpid()
        self.id = writer.new_id()
        self._ended = False
        self.body: bytes | None = None
        self.added_headers: dict[str, str] = {}
        self._injection: Injection | None = None
        self._status: int | None = None
        self._content_type = self._encoding = ""
        self._chunks: list[bytes] = []
        self._stamps: list[int] = []
        self._tail = b""
        self._size = 0
        fields: dict[str, Any] = {"id": self.id, "pid": self._pid}
        fields.update(place())
        fields.update(
            scope=scope_id(writer.new_id),
            transport=transport,
            clock_point=clock_point,
            scheme=label(url[0]),
            host=label(_host(url[1])),
            port=counted(url[2], 32),
            path=label(_path(url[3])),
            retry_count=digits(retry_count),
            request=facts,
        )
        fields.update(beside or {})
        self._keeps_content = "content" in fields
        writer.write("attempt_start", self._now() if start_ns is None else start_ns, fields)

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
        if self._ended or self._pid != os.getpid():
            return
        self._ended = True
        ns = self._now()
        try:
            fields = self._outcome(error, closed_early)
        except Exception as failure:
            STATE.failed("response", failure)
            fields = self._bare_outcome(error, closed_early)
        self._chunks, self._stamps = [], []
        self._writer.write("attempt_end", ns, fields)

    def _outcome(self, error: BaseException | None, closed_early: bool) -> dict[str, Any]:
        fields = self._bare_outcome(error, closed_early)
        if self._status is None or not self._chunks:
            return fields
        chunks, stamps = self._chunks, self._stamps
        if self._tail and not self._encoding:
            chunks, stamps = [*chunks, b"\n\n" + self._tail], [*stamps[: len(chunks)], stamps[-1]]
        reading = Reading(self._api, chunks, stamps, self._encoding, self._content_type)
        fields.update(reading.times())
        fields["response"] = reading.facts(hashing())
        if self._injection is not None:
            self._learn(self._injection, fields["response"], reading)
        if self._keeps_content:
            from .content import response_content

            fields["content"] = response_content(self._api, reading.body, reading.is_stream)
        if self._status >= 300:
            fields["error_type"] = http_error_type(self._status, reading)
        elif error is None:
            fields.update(_verdict(reading, closed_early, cut=bool(self._tail)))
        return fields

    def _learn(self, injection: Injection, response: dict[str, Any], reading: Reading) -> None:
        """Say where the usage comes from, and whether to ask this server again."""
        if response["usage_source"] == "server":
            response["usage_source"] = "injected"
        if self._status is not None and (self._status >= 400 or reading.answer.error_type):
            injection.refused(max(self._status, 400), b"".join(self._chunks), self._encoding)
        elif reading.answer.timings:
            injection.remember(NEEDLESS)

    def _bare_outcome(self, error: BaseException | None, closed_early: bool) -> dict[str, Any]:
        status, error_type = "cancelled" if closed_early else "ok", None
        if error is not None:
            error_type = label(type(error).__name__)
            status = "cancelled" if error_type in _CANCELLED else "error"
        elif self._status is not None and self._status >= 300:
            status, error_type = "error", http_error_type(self._status, None)
        return {
            "id": self.id,
            "status": status,
            "http_status": counted(self._status, 32),
            "error_type": error_type,
            "first_byte_ns": self._stamps[0] if self._stamps else None,
            "first_token_ns": None,
            "last_token_ns": None,
            "chunk_count": None,
            "chunk_gap_us": None,
            "response_bytes": self._size,
            "response": None,
        }


def _content(request: dict[str, Any], body: bytes) -> dict[str, Any]:
    """The request's text for the record, if `--content` asks for it."""
    if STATE.content == "none":
        return {}
    try:
        from .content import request_content

        return {"content": request_content(request, body)}
    except Exception as error:
        STATE.failed("content", error)
        return {}


def _host(host: str) -> str:
    """Without the user and password that a transport may hand over with it."""
    return host.rpartition("@")[2] if isinstance(host, str) else host


def _path(path: str) -> str:
    """Without query and fragment, where keys may stand."""
    return path.partition("?")[0].partition("#")[0] if isinstance(path, str) else path


def _verdict(reading: Reading, closed_early: bool, *, cut: bool) -> dict[str, Any]:
    """How a response that raised nothing went; many clients stop reading at the last event."""
    answer = reading.answer
    if answer.error_type is not None:
        return {"status": "error", "error_type": answer.error_type}
    if answer.is_complete:
        return {"status": "ok"}
    if closed_early:
        return {"status": "cancelled"}
    if reading.is_stream and not reading.is_unreadable and not cut:
        return {"status": "error", "error_type": "stream_truncated"}
    return {"status": "ok"}
