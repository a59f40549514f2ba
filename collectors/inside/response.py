"""The facts of a finished response, read from the bytes that the agent received."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate

from .answer import Answer, error_name
from .dialects import BODY, EVENT
from .encoding import decoder
from .json_text import or_null, parsed, quoted, spelled
from .sse import events, lines
from .usage import engine_times, timed_usage, usage_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .identity import Hashing

_LARGEST = 256 * 1024 * 1024  # of a decoded answer, of which a few bytes may say that it is endless
_NO_ENGINE = '"engine_prefill_ms":null,"engine_decode_ms":null,"engine_cached_tokens":null'
_LINES = ("ndjson", "jsonl", "json-lines", "json-seq")  # in content types of objects line by line


class Reading:
    """What reading a response's bytes gave: the answer and, for a stream, when its output came.

    Parameters
    ----------
    api : which API's wording to expect.
    chunks, stamps : the bytes as they came, and when each was read.
    encoding, content_type : the response's headers.
    """

    def __init__(
        self, api: str, chunks: list[bytes], stamps: list[int], encoding: str, content_type: str
    ) -> None:
        self.answer = Answer()
        self.output_ns: list[int] = []
        self.is_stream = False
        self.is_unreadable = False
        self._api = api
        decoded = self._decoded(chunks, encoding) if encoding else chunks
        body = self.body = b"".join(decoded)
        is_object = body[:64].lstrip()[:1] in (b"{", b"[", b"")
        if _is_lines(content_type):
            self._read_stream(lines(body), decoded, stamps)
        elif not is_object and "json" not in content_type:
            self._read_stream(events(body), decoded, stamps)
        elif not self._read_body(body) and body.count(b"}\n{"):
            self._read_stream(lines(body), decoded, stamps)
        self.is_stream = self.is_stream or "event-stream" in content_type

    def _decoded(self, chunks: list[bytes], encoding: str) -> list[bytes]:
        decode = decoder(encoding)
        decoded: list[bytes] = []
        if decode is None:
            self.is_unreadable = True
            return decoded
        size = 0
        try:
            for chunk in chunks:
                decoded.append(decode(chunk))
                size += len(decoded[-1])
                if size > _LARGEST:
                    self.is_unreadable = True
                    break
        except Exception:
            if not size and _is_text(chunks[0]):  # whoever undid the encoding left the header
                return chunks
            self.is_unreadable = True  # and what came before the damage is kept
        return decoded

    def _read_body(self, body: bytes) -> bool:
        """Read the whole answer; whether it is one JSON value."""
        try:
            value = parsed(body.decode("utf-8", "replace")) if body else None
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, dict):
            BODY[self._api](self.answer, value)
        elif body:
            self.is_unreadable = True
        return value is not None

    def _read_stream(
        self, found: Iterator[tuple[int, bytes]], decoded: list[bytes], stamps: list[int]
    ) -> None:
        self.is_stream = True
        ends = list(accumulate(map(len, decoded)))
        read = EVENT[self._api]
        answer = self.answer
        for offset, data in found:
            if data == b"[DONE]":
                answer.is_complete = True
                continue
            try:
                event = parsed(data.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict) and read(answer, event):
                self.output_ns.append(stamps[bisect_left(ends, offset)])

    def text(self, hashing: Hashing, usage_source: str = "server") -> str:
        """The `response` of an attempt's end, as `tracekit.spool` lists it, in JSON.

        Parameters
        ----------
        usage_source : whose the usage is, if there is any.
        """
        answer, engine = self.answer, _NO_ENGINE
        usage, calls = usage_of(answer.usage), answer.tool_calls
        if answer.timings:
            usage = usage or timed_usage(answer.timings)
            engine = spelled(engine_times(answer.timings))[1:-1]
        return (
            f'{{"response_id":{quoted(answer.response_id)},'
            f'"model":{quoted(answer.model)},'
            f'"finish_reason":{quoted(answer.finish_reason)},'
            f'"usage":{_usage_text(usage) if usage else "null"},'
            f'"usage_source":"{usage_source if usage else "missing"}","tool_calls":{spelled(calls) if calls else "[]"},'
            f'"output_bytes":{answer.output_bytes},"output_hash":{quoted(hashing.of_text(answer.text))},{engine}}}'
        )

    def times(self) -> dict[str, Any]:
        """When output came; all unknown unless it was streamed."""
        came = self.output_ns
        return {
            "first_token_ns": came[0] if came else None,
            "last_token_ns": came[-1] if came else None,
            "chunk_count": len(came) if self.is_stream else None,
            "chunk_gap_us": [round((after - before) / 1000) for before, after in zip(came, came[1:])]
            if came
            else None,
        }


def _usage_text(usage: dict[str, int | None]) -> str:
    given, cached, written = usage["input"], usage["cached"], usage["cache_write"]
    output, reasoning = usage["output"], usage["reasoning"]
    return (
        f'{{"input":{or_null(given, given)},"cached":{or_null(cached, cached)},'
        f'"cache_write":{or_null(written, written)},"output":{or_null(output, output)},'
        f'"reasoning":{or_null(reasoning, reasoning)}}}'
    )


@lru_cache(maxsize=64)
def _is_lines(content_type: str) -> bool:
    return any(kind in content_type for kind in _LINES)


def _is_text(data: bytes) -> bool:
    return data[:16].lstrip()[:1] in (b"{", b"[", b"d", b"e", b":")


def http_error_type(status: int, reading: Reading | None) -> str:
    """What to call a refused request: the server's own name for the error, else the status.

    A redirect is an attempt that failed as well: the client sends the same body once more, elsewhere.
    """
    if 300 <= status < 400:
        return "redirect"
    named = reading.answer.error_type if reading is not None else None
    return named if named and named != "server_error" else f"http_{status}"


__all__ = ["Reading", "error_name", "http_error_type"]
