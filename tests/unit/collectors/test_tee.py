"""Whatever a server sends, the client reads those very bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
URL = "http://server/v1/chat/completions"


class Pieces(httpx.SyncByteStream):
    def __init__(self, pieces: list[bytes], error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.closed = 0

    def __iter__(self) -> Any:
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed += 1


def client(stream: Pieces, **headers: str) -> httpx.Client:
    return httpx.Client(
        transport=httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=stream))
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=st.lists(st.binary(max_size=40), max_size=6))
def test_bytes_pass_unchanged(hooked: Any, pieces: list[bytes]) -> None:
    stream = Pieces(pieces)
    with client(stream) as http, http.stream("POST", URL, json=BODY) as response:
        assert list(response.iter_raw()) == [piece for piece in pieces if piece]
    assert stream.closed == 1
    starts, ends = hooked("attempt_start"), hooked("attempt_end")
    assert len(starts) == len(ends)
    assert ends[-1]["response_bytes"] == sum(map(len, pieces))


def test_exceptions_pass_unchanged(hooked: Any) -> None:
    error = httpx.ReadError("gone")
    with client(Pieces([b"data: 1"], error)) as http, pytest.raises(httpx.ReadError) as caught:
        http.post(URL, json=BODY)
    assert caught.value is error
    [end] = hooked("attempt_end")
    assert (end["status"], end["error_type"], end["http_status"]) == ("error", "ReadError", 200)


def test_a_stream_that_just_stops_is_an_error(hooked: Any) -> None:
    stream = Pieces([b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'])
    with client(stream, **{"content-type": "text/event-stream"}) as http:
        http.post(URL, json=BODY)
    [end] = hooked("attempt_end")
    assert (end["status"], end["error_type"]) == ("error", "stream_truncated")


def test_closing_after_the_last_event_is_not_cancelling(hooked: Any) -> None:
    stream = Pieces(
        [b'data: {"choices":[{"finish_reason":"stop","delta":{}}]}\n\n', b"data: [DONE]\n\n", b"more"]
    )
    with client(stream) as http, http.stream("POST", URL, json=BODY) as response:
        pieces = response.iter_raw()
        next(pieces)
        next(pieces)
    assert hooked("attempt_end")[0]["status"] == "ok"


def test_the_stream_keeps_its_attributes(hooked: Any) -> None:
    stream = Pieces([b"{}"])
    stream.colour = "blue"  # type: ignore[attr-defined]
    with client(stream) as http, http.stream("POST", URL, json=BODY) as response:
        assert isinstance(response.stream, httpx.SyncByteStream)
        assert response.stream._stream.colour == "blue"  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            _ = response.stream.no_such_thing  # type: ignore[attr-defined]


def test_a_nested_request_is_counted_once(hooked: Any) -> None:
    def forward(request: httpx.Request) -> httpx.Response:
        with httpx.Client(
            transport=httpx.MockTransport(lambda inner: httpx.Response(200, json={"id": "x"}))
        ) as inner:
            return inner.post(URL, json=BODY)

    with httpx.Client(transport=httpx.MockTransport(forward)) as http:
        assert http.post(URL, json=BODY).json() == {"id": "x"}
    assert len(hooked("attempt_start")) == 1


def test_a_transport_that_has_the_answer_already(hooked: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json={"id": "x", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
        )

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        assert client.post("http://x/v1/chat/completions", json=body).json()["id"] == "x"
        (end,) = hooked("attempt_end")
    assert end["status"] == "ok"
    assert end["response"]["usage"]["output"] == 4


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("status", [307, 308])
def test_the_call_behind_a_redirect_is_seen(hooked: Any, library: Any, status: int) -> None:
    """The client sends the body once more, as a stream; the hop is an attempt of the same body that failed."""

    def answer(request: Any) -> Any:
        if request.url.path.startswith("/old"):
            return library.Response(status, headers={"location": "/new/chat/completions"}, text="moved")
        return library.Response(200, json={"id": "x", "usage": {"prompt_tokens": 3}})

    def check() -> None:
        [hop, call], ends = hooked("attempt_start")[-2:], hooked("attempt_end")[-2:]
        assert [start["path"] for start in (hop, call)] == ["/old/chat/completions", "/new/chat/completions"]
        assert hop["request"]["body_hash"] == call["request"]["body_hash"]
        assert (hop["retry_count"], call["retry_count"]) == (0, 0)
        assert [(end["status"], end["http_status"], end["error_type"]) for end in ends] == [
            ("error", status, "redirect"),
            ("ok", 200, None),
        ]

    async def ask() -> None:
        async with library.AsyncClient(
            transport=library.MockTransport(answer), follow_redirects=True
        ) as client:
            await client.post("http://x/old/chat/completions", json=BODY, headers=retries)

    retries = {"x-stainless-retry-count": "0"}
    with library.Client(transport=library.MockTransport(answer), follow_redirects=True) as client:
        assert client.post("http://x/old/chat/completions", json=BODY, headers=retries).json()["id"] == "x"
    check()
    asyncio.run(ask())
    check()
    assert hooked("note") == []


@pytest.mark.parametrize(
    ("header", "count"), [("2", 2), ("\u00b2", None), ("-1", None), ("9" * 30, None), ("9" * 5000, None)]
)
def test_odd_retry_counts(hooked: Any, header: str, count: int | None) -> None:
    headers = {"x-stainless-retry-count": header.encode()}
    with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client:
        client.post(URL, json=BODY, headers=headers)  # type: ignore[arg-type]
    assert hooked("attempt_start")[0]["retry_count"] == count
