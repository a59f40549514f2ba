"""How servers word the same API: what each of them is known to send, and what is read from it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tracekit.collectors.inside import encoding, request, wire
from tracekit.collectors.inside.identity import Hashing
from tracekit.collectors.inside.response import Reading

HASHING = Hashing(b"test key")


def streamed(api: str, *events: Any, kind: str = "text/event-stream") -> Reading:
    chunks = [b"data: %s\n\n" % json.dumps(event).encode() for event in events]
    return Reading(api, chunks, list(range(len(chunks))), "", kind)


def delta(**fields: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def counts(reading: Reading) -> Any:
    usage = json.loads(reading.text(HASHING))["usage"]
    return None if usage is None else (usage["input"], usage["cached"], usage["output"], usage["reasoning"])


def test_mistral_thinks_in_pieces_of_content() -> None:
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    reading = streamed(
        "chat", delta(role="assistant", content=""), delta(content=thought), delta(content="a")
    )
    assert reading.output_ns == [1, 2]
    assert (reading.answer.text, reading.answer.output_bytes) == ("a", 3)


def test_openrouter_reasons_in_details() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "so"},
        {"type": "reasoning.encrypted", "data": "eA=="},
    ]
    assert streamed("chat", delta(content="", reasoning_details=details)).output_ns == [0]
    both = streamed(
        "chat", delta(reasoning="so", reasoning_details=[{"type": "reasoning.text", "text": "so"}])
    )
    assert both.answer.output_bytes == 2


def test_openrouter_fails_in_the_middle() -> None:
    error = {"id": "c", "error": {"code": 502, "message": "secret"},
             "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}  # fmt: skip
    assert streamed("chat", delta(content="a"), error).answer.error_type == "http_502"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (
            {"object": "error", "message": "secret", "type": "NotFoundError", "code": 404},
            "NotFoundError",
        ),  # vLLM
        (
            {"error": {"message": "secret", "type": "BadRequestError", "param": None, "code": 400}},
            "BadRequestError",
        ),
        ({"error": "model 'x' not found"}, "server_error"),  # Ollama
        (
            [{"error": {"code": 429, "message": "secret", "status": "RESOURCE_EXHAUSTED"}}],
            "RESOURCE_EXHAUSTED",
        ),
    ],
)
def test_names_of_errors(body: Any, name: str) -> None:
    reading = Reading("chat", [json.dumps(body).encode()], [1], "", "application/json")
    assert reading.answer.error_type == name


def test_groq_and_moonshot_count_in_places_of_their_own() -> None:
    last = {"id": "c", "choices": [], "x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}}
    assert counts(streamed("chat", delta(content="a"), last)) == (7, None, 3, None)
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": 5}
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}
    assert counts(streamed("chat", delta(content="a"), {"choices": [choice]})) == (7, 5, 3, None)


def test_running_counts_end_with_the_last() -> None:
    """vLLM's continuous usage, Gemini, Perplexity: a count in every chunk, and null in others."""
    chunks = [
        {**delta(content="a"), "usage": {"prompt_tokens": 7, "completion_tokens": n}} for n in (1, 2, 3)
    ]
    assert counts(streamed("chat", *chunks, {**delta(), "usage": None})) == (7, None, 3, None)


def test_gemini_numbers_every_call_0_and_names_none() -> None:
    calls = [[{"index": 0, "id": "", "function": {"name": name, "arguments": "{}"}}] for name in ("a", "b")]
    answer = streamed("chat", *(delta(tool_calls=call) for call in calls)).answer
    assert [call["name"] for call in answer.tool_calls] == ["a", "b"]


def test_a_name_that_is_said_again_is_no_other_call() -> None:
    calls = [[{"index": 0, "id": "x", "function": {"name": "a", "arguments": part}}] for part in ("{", "}")]
    answer = streamed("chat", *(delta(tool_calls=call) for call in calls)).answer
    assert answer.tool_calls == [{"id": "x", "name": "a"}]


def test_ollama_line_by_line() -> None:
    call = {"function": {"name": "f", "arguments": {"q": 1}}}
    lines = [
        {"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "a"}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False},
        {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
         "prompt_eval_count": 7, "eval_count": 3, "eval_duration": 2_500_000},
    ]  # fmt: skip
    chunks = [json.dumps(line).encode() + b"\n" for line in lines]
    for kind in ("application/x-ndjson", "application/json"):  # some proxies change it
        reading = Reading("chat", chunks, [1, 2, 3, 4], "", kind)
        assert (reading.output_ns, reading.is_stream, reading.answer.is_complete) == ([1, 2, 3], True, True)
        assert counts(reading) == (7, None, 3, None)
        facts = json.loads(reading.text(HASHING))
        assert (facts["engine_decode_ms"], facts["engine_prefill_ms"]) == (2.5, None)
        assert facts["tool_calls"] == [{"id": None, "name": "f"}]
    cut = Reading("chat", chunks[:2], [1, 2], "", "application/x-ndjson")
    assert not cut.answer.is_complete


def test_what_is_ollamas() -> None:
    messages = [{"role": "user", "content": "Hi."}]
    assert wire.api_of("POST", "/api/chat") == "chat"
    assert wire.is_call("chat", {"model": "m", "messages": messages}, "/api/chat")
    assert not wire.is_call("chat", {"messages": messages}, "/api/chat")  # a web page's own chat
    asked = {"model": "m", "messages": messages}
    for body, path, is_streamed in (
        (asked, "/api/chat", True),
        ({**asked, "stream": False}, "/api/chat", False),
        (asked, "/v1/chat/completions", False),
        ({"model": "m", "input": "x"}, "/api/embed", False),
        ({"type": "response.create", "model": "m"}, "/v1/responses", True),
    ):
        assert wire.is_streamed(body, path) is is_streamed
    facts = json.loads(request.request_text("chat", asked, json.dumps(asked).encode(), "/api/chat", HASHING))
    assert facts["stream"] is True


def test_azures_embeddings_name_their_model_in_the_path() -> None:
    path = "/openai/deployments/ada/embeddings"
    assert wire.is_call("embeddings", {"input": "x"}, path)
    assert wire.model_of({"input": "x"}, path) == "ada"


def test_azures_first_chunk_has_no_choices_and_no_name() -> None:
    first = {"choices": [], "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]}
    reading = streamed("chat", first, delta(content="a"))
    assert (reading.answer.response_id, reading.output_ns) == ("c", [1])


def test_a_call_that_only_its_last_event_names() -> None:
    item = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    reading = streamed(
        "responses",
        {"type": "response.function_call_arguments.delta", "delta": "{}"},
        {"type": "response.output_item.done", "item": item},
        {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [item]}},
    )
    assert reading.answer.tool_calls == [{"id": "c1", "name": "f"}]
    assert reading.output_ns == [0]


def test_an_error_in_a_stream_that_never_began() -> None:
    body = b'{"error":{"code":"overloaded","message":"secret"}}'
    assert Reading("chat", [body], [1], "", "text/event-stream").answer.error_type == "overloaded"


def test_a_stream_with_a_byte_order_mark() -> None:
    event = b"\xef\xbb\xbfdata: %s\n\n" % json.dumps(delta(content="a")).encode()
    assert Reading("chat", [event], [1], "", "text/event-stream").answer.text == "a"


def test_encodings_as_they_come() -> None:
    body = b'{"id":"x"}'
    members = gzip.compress(body[:4]) + gzip.compress(body[4:])
    twice = gzip.compress(gzip.compress(body))
    for data, name in (
        (members, "gzip"),
        (twice, "gzip, gzip"),
        (body, "gzip"),
        (body, "zstd"),
        (body, "Identity"),
    ):
        for size in (1, 7, 1000):
            chunks = [data[at : at + size] for at in range(0, len(data), size)]
            reading = Reading("chat", chunks, list(range(len(chunks))), name, "application/json")
            assert (name, reading.answer.response_id) == (name, "x")
    assert encoding.decoded_body(gzip.compress(body)) == body
    assert encoding.decoded_body(b"\x1f\x8bbroken") is None
    assert encoding.decoded_body(body) is body
