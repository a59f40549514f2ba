"""Usage asked for on the agent's behalf: the request changes by one option, and the agent sees none of the answer's."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.collectors.inside.state import STATE
from tracekit.collectors.inside.usage_request import asking, says_nothing
from tracekit.collectors.inside.usage_stream import LONGEST_LINE, UsageStream

URL = "http://server/v1/chat/completions"
BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@pytest.fixture
def injecting(hooked: Any) -> Iterator[Any]:
    STATE.usage = "inject"
    STATE.usage_places.clear()
    yield hooked
    STATE.usage = "keep"
    STATE.usage_places.clear()


# the request

texts = st.text(max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(
    more=st.dictionaries(texts, values, max_size=4),
    options=st.none() | st.dictionaries(texts, values, max_size=2) | st.just("absent"),
    style=st.sampled_from([None, 0, 2, "\t"]),
    ascii_only=st.booleans(),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]),
    around=st.sampled_from(["", "\n", " \r\n"]),
)
def test_only_the_option_is_added(
    more: dict[str, Any], options: Any, style: Any, ascii_only: bool, separators: Any, around: str
) -> None:
    request = {**more, "stream": True, "messages": []}
    request.pop("stream_options", None)
    if options != "absent":
        request["stream_options"] = options
    if not says_nothing("chat", request):
        assert isinstance(options, dict)
        assert "include_usage" in options or options.get("continuous_usage_stats")
        return
    text = around + json.dumps(request, indent=style, ensure_ascii=ascii_only, separators=separators) + around
    body = text.encode("utf-8", "surrogatepass")
    asked = asking(request, body)
    assert asked is not None
    wanted = request.get("stream_options") or {}
    assert json.loads(asked) == {**request, "stream_options": {"include_usage": True, **wanted}}
    added = {
        "absent": b',"stream_options":{"include_usage":true}',
        None: b'{"include_usage":true}',
        False: b'"include_usage":true',
        True: b'"include_usage":true,',
    }[options if options in (None, "absent") else bool(options)]
    before, after = asked.rsplit(added, 1)
    assert before + (b"null" if options is None else b"") + after == body


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": []},
        {"messages": [], "stream": False},
        {"messages": [], "stream": 1},
        {"messages": [], "stream": True, "stream_options": {"include_usage": False}},
        {"messages": [], "stream": True, "stream_options": {"include_usage": True}},
        {"messages": [], "stream": True, "stream_options": {"include_usage": None}},
        {"messages": [], "stream": True, "stream_options": {"continuous_usage_stats": True}},
        {"messages": [], "stream": True, "stream_options": []},
    ],
)
def test_what_the_client_said_is_respected(request_: dict[str, Any]) -> None:
    assert not says_nothing("chat", request_)


def test_other_apis_and_other_texts_are_left_alone() -> None:
    assert not says_nothing("responses", {"input": "x", "stream": True})
    assert not says_nothing("messages", {"messages": [], "stream": True})
    assert asking(BODY, json.dumps(BODY).encode("utf-16")) is None
    double = b'{"stream": true, "stream_options": {}, "messages": [], "stream_options": null}'
    assert asking(json.loads(double), double) is None


# the stream

END = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


def event(value: Any, ascii_only: bool = True) -> str:
    return "data: " + json.dumps(value, ensure_ascii=ascii_only) + "\n\n"


def chunk(text: str, **more: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}], **more}


LAST = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [],
    "usage": USAGE,
}


@st.composite
def streams(draw: Any) -> tuple[bytes, bytes]:
    """What a server sends to one that asked, and to one that did not."""
    ends = END[draw(st.sampled_from(sorted(END)))]
    nulls = draw(st.booleans())
    ascii_only = draw(st.booleans())
    asked, plain = "", ""
    for text in draw(
        st.lists(
            st.sampled_from(["a", "ü€😀", '"usage":null', ',"usage": null}', "\n\n", "data: "]), max_size=4
        )
    ):
        before = draw(st.sampled_from(["", ": ping\n\n", ": ping\n", "id: 7\n", "event: message\n"]))
        behind = draw(
            st.sampled_from([{}, {"obfuscation": "aX9"}, {"service_tier": "a}b"}, {"x": {"y": []}}])
        )
        ahead = {"usage": None} if nulls else {}
        said = chunk(text)
        first = draw(st.booleans())
        whole = {**ahead, **said, **behind} if first else {**said, **ahead, **behind}
        asked += before + event(whole, ascii_only)
        plain += before + event({**said, **behind}, ascii_only)
    has_usage = draw(st.booleans())
    if has_usage:
        asked += draw(st.sampled_from(["", "id: 9\n", "event: x\n"])) + event(LAST)
    tail = draw(st.sampled_from(["data: [DONE]\n\n", "data: [DONE]\n", "data: [DONE]", ": bye\n\n", ""]))
    asked, plain = asked + tail, plain + tail
    if not tail and draw(st.booleans()):
        lacking = draw(st.integers(0, 2)) if has_usage else 0
        asked = asked[: len(asked) - lacking]
    return tuple(side.replace("\n", ends).encode() for side in (asked, plain))  # type: ignore[return-value]


@settings(max_examples=400, deadline=None)
@given(stream=streams(), cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_the_agent_sees_what_it_would_have_seen(stream: tuple[bytes, bytes], cuts: list[int]) -> None:
    asked, plain = stream
    places = sorted({min(cut, len(asked)) for cut in cuts} | {0, len(asked)})
    usage = UsageStream()
    shown = b"".join(usage.show(asked[start:end]) for start, end in pairwise(places))
    assert shown + usage.rest() == plain


@given(
    pieces=st.lists(
        st.binary(max_size=40) | st.sampled_from([b"\r", b"\n", b'data: {"usage"', b"data:", b":"]),
        max_size=12,
    )
)
def test_what_is_no_usage_passes_whatever_it_is(pieces: list[bytes]) -> None:
    usage = UsageStream()
    assert b"".join(map(usage.show, pieces)) + usage.rest() == b"".join(pieces)


def test_every_whole_event_passes_at_once() -> None:
    usage = UsageStream()
    for number in range(3):
        data = event(chunk(str(number), usage=None)).encode()
        assert usage.show(data[:-1]) == event(chunk(str(number))).encode()[:-1]
        assert usage.show(data[-1:]) == b"\n"
    assert usage.show(event(LAST).encode()) == b""
    assert usage.show(b"data: [DONE]\n\n") == b"data: [DONE]\n\n"


def test_a_line_without_end_is_not_held_for_ever() -> None:
    usage = UsageStream()
    long = b'data: {"choices": [{"delta": {"content": "' + b"x" * LONGEST_LINE
    assert usage.show(long) == long
    assert usage.show(b"y") == b"y"
    assert usage.show(b'"}}]}\n\n' + event(LAST).encode()) == b'"}}]}\n\n'


@pytest.mark.parametrize(
    "kept",
    [
        {**LAST, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**LAST, "prompt_filter_results": [{}]},
        {**LAST, "error": {"message": "x"}},
        {"choices": [], "usage": {}},
        {"usage": USAGE},
        {"choices": [], "prompt_filter_results": []},
    ],
)
def test_other_events_with_usage_are_kept(kept: dict[str, Any]) -> None:
    data = event(kept).encode()
    usage = UsageStream()
    assert usage.show(data) + usage.rest() == data


def test_an_event_over_several_lines() -> None:
    spread = "".join(f"data: {line}\n" for line in json.dumps(LAST, indent=1).splitlines()) + "\n"
    usage = UsageStream()
    assert usage.show(spread.encode()) == b""
    content = "".join(f"data: {line}\n" for line in json.dumps(chunk("a"), indent=1).splitlines()) + "\n"
    assert usage.show(content.encode()) == content.encode()


# over the wire


class Server:
    """Answers as OpenAI does: usage only for those who asked."""

    def __init__(
        self, library: Any = httpx, refuses: bytes | None = None, status: int = 400, coding: str = ""
    ) -> None:
        self.library, self.refuses, self.status, self.coding = library, refuses, status, coding
        self.requests: list[Any] = []

    def plain(self) -> bytes:
        return "".join(event(chunk(text)) for text in "abc").encode() + b"data: [DONE]\n\n"

    def __call__(self, request: Any) -> Any:
        self.requests.append(request)
        options = json.loads(request.content).get("stream_options") or {}
        if options.get("include_usage") and self.refuses is not None:
            return self.library.Response(self.status, stream=Body(self.library, [self.refuses]))
        body = self.plain()
        if options.get("include_usage"):
            asked = [event(chunk(text, usage=None)) for text in "abc"] + [event(LAST)]
            body = "".join(asked).encode() + b"data: [DONE]\n\n"
        headers = {"content-type": "text/event-stream"}
        if self.coding:
            headers["content-encoding"] = self.coding
            body = gzip.compress(body) if self.coding == "gzip" else zlib.compress(body)
        return self.library.Response(
            200, headers=headers, stream=Body(self.library, [body[i : i + 9] for i in range(0, len(body), 9)])
        )


def Body(library: Any, pieces: list[bytes]) -> Any:  # noqa: N802
    class Both(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[name-defined,misc]
        def __iter__(self) -> Any:
            yield from pieces

        async def __aiter__(self) -> Any:
            for piece in pieces:
                yield piece

    return Both()


def ask(server: Server, body: dict[str, Any] = BODY) -> Any:
    with server.library.Client(transport=server.library.MockTransport(server)) as client:
        return client.post(URL, json=body)


async def ask_async(server: Server) -> Any:
    async with server.library.AsyncClient(transport=server.library.MockTransport(server)) as client:
        return await client.post(URL, json=BODY)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("is_async", [False, True])
def test_usage_comes_and_is_hidden(injecting: Any, library: Any, coding: str, is_async: bool) -> None:
    server = Server(library, coding=coding)
    answer = asyncio.run(ask_async(server)) if is_async else ask(server)
    assert answer.content == server.plain()
    [request] = server.requests
    assert json.loads(request.content) == {**BODY, "stream_options": {"include_usage": True}}
    assert request.headers["content-length"] == str(len(request.content))
    assert request.headers["accept-encoding"] == "identity"
    assert json.loads(answer.request.content) == BODY
    [start], [end] = injecting("attempt_start"), injecting("attempt_end")
    assert end["response"]["usage"]["output"] == 7
    assert (end["response"]["usage_source"], end["status"]) == ("injected", "ok")
    assert start["request"]["include_usage"] is None
    assert start["request"]["body_bytes"] == len(answer.request.content)


def test_null_goes_from_an_event_over_several_lines() -> None:
    plain = b'data: {\ndata:  "id": "x",\ndata:  "choices": [{}]\ndata: }\n\n'
    asked = plain.replace(b'data:  "choices"', b'data:  "usage": null,\ndata:  "choices"')
    stream = UsageStream()
    assert stream.show(asked) + stream.rest() == plain


def test_nothing_is_added_unless_wanted(hooked: Any) -> None:
    server = Server()
    assert ask(server).content == server.plain()
    assert json.loads(server.requests[0].content) == BODY
    assert hooked("attempt_end")[0]["response"]["usage_source"] == "missing"


def test_an_explicit_false_stands(injecting: Any) -> None:
    server = Server()
    body = {**BODY, "stream_options": {"include_usage": False}}
    assert ask(server, body).content == server.plain()
    assert json.loads(server.requests[0].content) == body


REFUSALS = [
    (400, b'{"error":{"message":"Unrecognized request argument supplied: stream_options"}}'),
    (
        422,
        b'{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"Extra inputs are not permitted"}]}',
    ),
    (500, b"TypeError: create() got an unexpected keyword argument 'stream_options'"),
]


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize(("status", "refusal"), REFUSALS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_refusal_is_not_the_agents(
    injecting: Any, library: Any, status: int, refusal: bytes, is_async: bool
) -> None:
    server = Server(library, refusal, status)
    for _ in range(2):
        answer = asyncio.run(ask_async(server)) if is_async else ask(server)
        assert (answer.status_code, answer.content) == (200, server.plain())
    sent = ["stream_options" in json.loads(request.content) for request in server.requests]
    assert sent == [True, False, False]
    assert [end["status"] for end in injecting("attempt_end")] == ["ok", "ok"]
    assert [(note["what"], note["detail"]) for note in injecting("note")] == [("usage_refused", "server")]


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("is_async", [False, True])
def test_the_agents_own_error_is_the_agents(injecting: Any, library: Any, is_async: bool) -> None:
    error = {"message": "This model's maximum context length is 8192", "code": "context_length_exceeded"}
    fault = json.dumps({"error": error}).encode()
    server = Server(library, fault)
    answer = asyncio.run(ask_async(server)) if is_async else ask(server)
    assert (answer.status_code, answer.content) == (400, fault)
    assert len(server.requests) == 1
    [end] = injecting("attempt_end")
    assert (end["status"], end["error_type"]) == ("error", "context_length_exceeded")


def test_the_agents_own_error_is_read_as_a_stream(injecting: Any) -> None:
    server = Server(httpx, b"x" * 200_000)
    with (
        httpx.Client(transport=httpx.MockTransport(server)) as client,
        client.stream("POST", URL, json=BODY) as answer,
    ):
        assert b"".join(answer.iter_raw()) == b"x" * 200_000


def test_who_tells_anyway_is_not_asked(injecting: Any) -> None:
    server = Server()
    with httpx.Client(transport=httpx.MockTransport(server)) as client:
        client.post("https://openrouter.ai/api/v1/chat/completions", json=BODY)
    assert json.loads(server.requests[0].content) == BODY


def test_llama_cpp_counts_without_being_asked(injecting: Any) -> None:
    """Its timings tell all; once they were seen it is not asked again, and they stay in the client's stream."""
    timings = {"cache_n": 4, "prompt_n": 7, "predicted_n": 7, "prompt_ms": 1.5}
    requests: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(json.loads(request.content))
        last = {**chunk("b"), "timings": timings}
        events = (
            [event(last)] if "stream_options" not in requests[-1] else [event({**LAST, "timings": timings})]
        )
        body = event(chunk("a")) + "".join(events) + "data: [DONE]\n\n"
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert client.post(URL, json=BODY).text == event(chunk("a")) + "data: [DONE]\n\n"
        assert json.dumps(timings) in client.post(URL, json=BODY).text
    assert ["stream_options" in request for request in requests] == [True, False]
    first, second = (end["response"] for end in injecting("attempt_end"))
    assert (first["usage"]["input"], second["usage"]["input"]) == (11, 11)
    assert (first["usage_source"], second["usage_source"]) == ("injected", "server")
    assert injecting("note") == []


def test_a_refusal_within_a_stream_is_the_last(injecting: Any) -> None:
    """Some gateways answer 200 and refuse in the first event: the client sees it once, and is not asked again."""
    requests: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(json.loads(request.content))
        refusal = event({"error": {"message": "unknown field stream_options", "code": "bad_request"}})
        body = refusal if "stream_options" in requests[-1] else event(chunk("a")) + "data: [DONE]\n\n"
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        for _ in range(3):
            client.post(URL, json=BODY)
    assert ["stream_options" in request for request in requests] == [True, False, False]
    assert [note["what"] for note in injecting("note")] == ["usage_refused"]


def test_an_answer_that_is_no_stream_passes(injecting: Any) -> None:
    body = json.dumps({"choices": [], "usage": USAGE}).encode()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "application/json"}, content=body)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert client.post(URL, json=BODY).content == body
    assert injecting("attempt_end")[0]["response"]["usage_source"] == "injected"
