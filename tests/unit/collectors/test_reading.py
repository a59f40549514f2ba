"""What is read from requests and responses, and that nothing on the wire can make reading fail."""

from __future__ import annotations

import base64
import json
import zlib
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.collectors.inside import encoding, prompt, sse, usage, wire
from tracekit.collectors.inside.identity import BLOCK_BYTES, BLOCKS_UP_TO, Hashing, PrefixHash
from tracekit.collectors.inside.request import request_text
from tracekit.collectors.inside.response import Reading

HASHING = Hashing(b"test key")
TOOLS = [{"type": "function", "function": {"name": "search"}}]


def facts(api: str, path: str = "/v1/x", **body: Any) -> dict[str, Any]:
    return json.loads(request_text(api, body, json.dumps(body).encode(), path, HASHING))


def read(api: str, *chunks: bytes, kind: str = "text/event-stream", coding: str = "") -> Reading:
    return Reading(api, list(chunks), list(range(1, len(chunks) + 1)), coding, kind)


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/gpt/chat/completions/", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/responses", "responses"),
        ("/v1/embeddings", "embeddings"),
        ("/anthropic/v1/messages", "messages"),
        ("/v1/models", None),
        ("/v1/responses/resp_1/cancel", None),
    ],
)
def test_paths(path: str, api: str | None) -> None:
    assert wire.api_of("POST", path) == api
    assert wire.api_of("GET", path) is None


def test_bodies() -> None:
    assert wire.is_call("chat", {"model": "m", "messages": []})
    assert wire.is_call("chat", {"messages": []})  # llama.cpp's server asks for no model
    assert wire.is_call("responses", {"model": "m", "previous_response_id": "r"})
    assert not wire.is_call("messages", {"messages": [], "subject": "an e-mail"})
    assert not wire.is_call("responses", {"input": "survey"})
    assert not wire.is_call("embeddings", ["model", "input"])
    assert wire.model_of({}, "/openai/deployments/gpt-x/chat/completions") == "gpt-x"


def test_parts_of_a_chat_are_in_template_order() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "s"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": " hello "},
                {"type": "image_url", "image_url": {"url": "x"}},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}, {"id": "b"}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
    ]
    found = facts(
        "chat", model="m", messages=messages, tools=TOOLS, max_completion_tokens=5, temperature=0, n=2
    )
    parts = found["parts"]
    assert [part["role"] for part in parts] == ["tools", "system", "user", "assistant", "tool", "tool"]
    assert parts[3]["tool_call_ids"] == ["a", "b"]
    assert [part["tool_result_id"] for part in parts[4:]] == ["a", "b"]
    assert parts[2]["content_hash"] == HASHING.of_text("hello")
    assert parts[3]["content_hash"] is None
    assert sum(part["bytes"] for part in parts) == found["prompt_bytes"]
    assert (found["max_tokens"], found["temperature"], found["choice_count"], found["tools_offered"]) == (
        5,
        0,
        2,
        1,
    )


def test_parts_of_a_responses_request() -> None:
    items: list[dict[str, Any]] = [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "done"}]},
    ]
    found = facts(
        "responses",
        model="m",
        input=items,
        instructions="be",
        conversation={"id": "conv"},
        previous_response_id="p",
    )
    parts = found["parts"]
    assert [part["role"] for part in parts] == [
        "system",
        "user",
        "reasoning",
        "assistant",
        "tool",
        "assistant",
    ]
    assert (parts[3]["tool_call_ids"], parts[4]["tool_result_id"]) == (["c"], "c")
    assert parts[5]["content_hash"] == HASHING.of_text("done")
    assert (found["conversation_id"], found["previous_response_id"]) == ("conv", "p")


def test_parts_of_a_messages_request() -> None:
    results = [{"type": "tool_result", "tool_use_id": name, "content": "x"} for name in ("t1", "t2")]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t1"}, {"type": "tool_use", "id": "t2"}],
        },
        {"role": "user", "content": [*results, {"type": "text", "text": "go on"}]},
    ]
    parts = facts("messages", model="m", system="s", messages=messages)["parts"]
    assert [part["role"] for part in parts] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert [part["tool_result_id"] for part in parts[3:5]] == ["t1", "t2"]
    messages[0] = {
        "role": "user",
        "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}],
    }
    marked = facts("messages", model="m", system="s", messages=messages)["parts"]
    messages[0] = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    assert facts("messages", model="m", system="s", messages=messages)["parts"] == marked


def test_a_longer_prompt_keeps_the_hashes_of_its_prefix() -> None:
    messages = [{"role": "user", "content": "x" * 700}]
    short = facts("chat", model="m", messages=messages)
    long = facts("chat", model="n", messages=[*messages, {"role": "assistant", "content": "y" * 300}])
    assert short["parts"][0]["prefix_hash"] == long["parts"][0]["prefix_hash"]
    short_blocks, long_blocks = (base64.b64decode(found["block_hashes"]) for found in (short, long))
    assert len(short_blocks) == 8 * (short["prompt_bytes"] // BLOCK_BYTES)
    assert long_blocks.startswith(short_blocks)
    assert len(long_blocks) > len(short_blocks)


def test_a_remembered_conversation_hashes_as_a_new_one() -> None:
    messages = [{"role": "user", "content": f"{number} " * 90} for number in range(12)]
    other = Hashing(b"test key")  # remembers nothing of what the first one hashed
    for end in (3, 5, 12, 4, 12):
        grown = facts("chat", model="m", messages=messages[:end], tools=TOOLS)
        body = {"model": "m", "messages": messages[:end], "tools": TOOLS}
        alone = json.loads(request_text("chat", body, json.dumps(body).encode(), "/v1/x", other))
        assert {**grown, "body_hash": 0, "body_bytes": 0} == {**alone, "body_hash": 0, "body_bytes": 0}
        other = Hashing(b"test key")


def alone(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts of a conversation that begins like none before."""
    body = {"model": "m", "messages": messages}
    return json.loads(request_text("chat", body, json.dumps(body).encode(), "/v1/x", Hashing(b"test key")))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(0, 3), max_size=4)), max_size=12))
def test_whatever_conversations_share_they_hash_as_new_ones(turns: list[tuple[int, list[int]]]) -> None:
    """Grown, cut short, branched, begun anew: each goes on from so many messages of the one before."""
    messages: list[dict[str, Any]] = []
    for kept, added in turns:
        messages = messages[:kept] + [{"role": "user", "content": f"{number} " * 150} for number in added]
        assert facts("chat", model="m", messages=messages) == alone(messages)


def no_parts(_item: Any) -> list[Any]:
    return []


def test_only_what_is_new_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    real = prompt._facts
    monkeypatch.setattr(prompt, "_facts", lambda part, *rest: hashed.append(part.text) or real(part, *rest))
    memory = prompt.Memory()
    for words, new in (
        ("abc", "abc"),
        ("abcde", "de"),
        ("abcde", ""),
        ("abxy", "xy"),
        ("abcdef", "f"),
        ("q", "q"),
    ):
        hashed.clear()
        memory.prompt([prompt.Part("user", word, word, [], None) for word in words], no_parts, HASHING)
        assert "".join(hashed) == new


def test_the_same_messages_to_another_api_have_parts_of_their_own() -> None:
    used = [{"role": "assistant", "content": [{"type": "tool_use", "id": "a"}], "tool_calls": [{"id": "b"}]}]
    assert facts("chat", model="m", messages=used)["parts"][0]["tool_call_ids"] == ["b"]
    assert facts("messages", model="m", messages=used)["parts"][0]["tool_call_ids"] == ["a"]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=1000), max_size=8))
def test_prefix_hashes_are_plain_keyed_hashes(pieces: list[bytes]) -> None:
    prefix = PrefixHash(HASHING)
    ends = [prefix.add(piece) for piece in pieces]
    whole = b"".join(pieces)
    for number, end in enumerate(ends, 1):
        assert end == blake2b(b"".join(pieces[:number]), digest_size=8, key=b"test key").hexdigest()
    blocks = base64.b64decode(prefix.blocks())
    expected = [
        blake2b(whole[:end], digest_size=8, key=b"test key").digest()
        for end in range(BLOCK_BYTES, len(whole) + 1, BLOCK_BYTES)
    ]
    assert blocks == b"".join(expected)


def test_events() -> None:
    data = b": hi\r\n\r\nevent: x\r\ndata: 1\r\ndata:2\r\n\r\nid: 3\n\ndata: [DONE]\n\ndata: tail"
    assert [event for _, event in sse.events(data)] == [b"1\n2", b"[DONE]", b"tail"]
    assert [data[:end].splitlines()[-1] for end, _ in sse.events(data)] == [
        b"data:2",
        b"data: [DONE]",
        b"data: tail",
    ]


def test_a_number_per_call_is_not_needed_to_tell_calls_apart() -> None:
    """Some servers number every tool call 0 and tell them apart by id alone."""
    deltas = [
        {"index": 0, "id": name, "function": {"name": "f", "arguments": "{}"}} for name in ("a", "b", "c")
    ]
    chunks = [
        b"data: %s\n\n" % json.dumps({"choices": [{"delta": {"tool_calls": [delta]}}]}).encode()
        for delta in deltas
    ]
    answer = read("chat", *chunks).answer
    assert [call["id"] for call in answer.tool_calls] == ["a", "b", "c"]


def test_first_token_is_not_the_role_prelude() -> None:
    chunks = [
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
        b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\n',
    ]
    reading = read("chat", *chunks)
    assert reading.output_ns == [2, 3, 3]
    assert reading.times()["chunk_count"] == 3
    assert reading.answer.text == "ab"
    assert reading.answer.output_bytes == 4


@pytest.mark.parametrize("api", ["chat", "responses", "messages"])
def test_errors_in_a_stream(api: str) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "the prompt was: secret"}}
    reading = read(api, f"data: {json.dumps(error)}\n\n".encode())
    assert reading.answer.error_type == "overloaded_error"
    sentence = {"type": "error", "error": {"type": "a sentence, not a name", "message": "x"}}
    assert read(api, f"data: {json.dumps(sentence)}\n\n".encode()).answer.error_type == "server_error"


def test_refused_responses() -> None:
    failed = {
        "type": "response.failed",
        "response": {"id": "r", "status": "failed", "error": {"code": "server_error"}},
    }
    assert read("responses", f"data: {json.dumps(failed)}\n\n".encode()).answer.error_type == "server_error"
    cut = {"id": "r", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    answer = read("responses", json.dumps(cut).encode(), kind="application/json").answer
    assert (answer.finish_reason, answer.is_complete, answer.error_type) == ("max_output_tokens", True, None)


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
def test_deflate_with_and_without_header(wbits: int) -> None:
    compressor = zlib.compressobj(wbits=wbits)
    data = compressor.compress(b'{"id":"x"}') + compressor.flush()
    assert read("chat", data, kind="application/json", coding="deflate").answer.response_id == "x"


def test_unknown_encodings_are_left() -> None:
    assert encoding.decoder("secret-sauce") is None
    assert encoding.decoder("gzip, secret-sauce") is None
    reading = read("chat", b"\x01\x02", coding="secret-sauce")
    assert reading.is_unreadable
    assert json.loads(reading.text(HASHING))["usage"] is None


def test_usage_words() -> None:
    assert usage.usage_of(None) is None
    assert usage.usage_of({"prompt_tokens": "many"}) is None
    deepseek = usage.usage_of({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4})
    assert deepseek == {"input": 9, "cached": 4, "cache_write": None, "output": 1, "reasoning": None}
    assert usage.engine_times({"prompt_ms": True, "cache_n": 2.5})["engine_prefill_ms"] is None


def test_odd_numbers_are_unknown() -> None:
    found = facts("chat", messages=[], n=2**40, max_tokens=10**20, temperature=float("inf"))
    assert (found["choice_count"], found["max_tokens"], found["temperature"]) == (None, None, None)
    found = facts("chat", messages=[], n=True, max_tokens=100.0, temperature=10**400)
    assert (found["choice_count"], found["max_tokens"], found["temperature"]) == (None, 100, None)
    assert isinstance(found["max_tokens"], int)
    counts = usage.usage_of({"prompt_tokens": 10**20, "completion_tokens": 7, "cached_tokens": -1})
    assert counts == {"input": None, "cached": None, "cache_write": None, "output": 7, "reasoning": None}
    apart = usage.usage_of({"input_tokens": 2**63 - 1, "cache_read_input_tokens": 1})
    assert apart is not None
    assert apart["input"] is None
    assert usage.engine_times({"prompt_ms": 10**400, "predicted_ms": 2, "cache_n": 2**70}) == {
        "engine_prefill_ms": None,
        "engine_decode_ms": 2.0,
        "engine_cached_tokens": None,
    }


def test_long_names_are_cut() -> None:
    long = "x" * 10_000
    call = {"id": long, "function": {"name": long}}
    body = {
        "id": long,
        "model": long,
        "choices": [{"finish_reason": long, "message": {"content": long, "tool_calls": [call]}}],
    }
    found = json.loads(read("chat", json.dumps(body).encode(), kind="application/json").text(HASHING))
    short = "x" * 512
    assert (found["response_id"], found["model"], found["finish_reason"]) == (short, short, short)
    assert found["tool_calls"] == [{"id": short, "name": short}]
    assert found["output_bytes"] == 10_000
    message = {"role": long, "content": "", "tool_calls": [call], "tool_call_id": long}
    asked = facts("chat", path="/" + long, model=long, messages=[message])
    [part] = asked["parts"]
    assert (asked["model"], part["role"], part["tool_call_ids"], part["tool_result_id"]) == (
        short,
        short,
        [short],
        short,
    )


def test_an_index_that_is_none() -> None:
    """What a server sends as the place of a choice, a call or a block may be anything."""
    block = {"type": "content_block_start", "index": {}, "content_block": {"type": "tool_use", "id": "a"}}
    assert read("messages", b"data: %s\n\n" % json.dumps(block).encode()).answer.tool_calls[0]["id"] == "a"
    chunk = {"choices": [{"index": [1], "delta": {"tool_calls": [{"id": "a", "index": {}}]}}]}
    assert read("chat", b"data: %s\n\n" % json.dumps(chunk).encode()).answer.tool_calls[0]["id"] == "a"


def test_a_huge_prompt_has_blocks_at_its_beginning_only() -> None:
    """Behind that lie images; there, part boundaries say enough, and hashing stays quick."""
    messages = [{"role": "user", "content": "a" * (3 << 19)}, {"role": "user", "content": "b" * 5000}]
    found = facts("chat", model="m", messages=messages)
    blocks = base64.b64decode(found["block_hashes"])
    assert len(blocks) == 8 * BLOCKS_UP_TO // BLOCK_BYTES
    canonical = [json.dumps(message, sort_keys=True, separators=(",", ":")).encode() for message in messages]
    for part, end in zip(
        found["parts"], ("".join(map(bytes.decode, canonical[:n])) for n in (1, 2)), strict=True
    ):
        assert part["prefix_hash"] == HASHING.of_bytes(end.encode())
    assert blocks[-8:].hex() == HASHING.of_bytes(canonical[0][:BLOCKS_UP_TO])


def test_long_prompts_are_remembered_up_to_a_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "REMEMBERED_BYTES", 1000)
    memory = prompt.Memory()
    for text, kept in (
        ("a" * 300, 1),
        ("b" * 300, 2),
        ("c" * 300, 3),
        ("d" * 300, 3),
        ("e" * 2000, 0),
        ("f", 1),
    ):
        memory.prompt([prompt.Part("user", text, text, [], None)], no_parts, HASHING)
        assert len(memory._prompts) == kept


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(
            ["id", "choices", "delta", "message", "content", "tool_calls", "function", "usage", "timings",
             "error",
             "type", "response", "output", "item", "index", "call_id", "model", "input", "messages", "tools",
             "stop_reason", "content_block", "prompt_tokens_details", "status", "stream_options",
             "conversation",
             "role", "text"]
        ),
        inner, max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip
APIS = st.sampled_from(["chat", "completions", "responses", "embeddings", "messages"])


@settings(deadline=None)
@given(APIS, st.lists(JSON, max_size=4), st.booleans())
def test_no_json_makes_reading_fail(api: str, values: list[Any], as_events: bool) -> None:
    if as_events:
        chunks = [b"data: %s\n\n" % json.dumps(value).encode() for value in values]
        reading = read(api, *chunks)
    else:
        reading = read(api, *[json.dumps(value).encode() for value in values], kind="application/json")
    assert "usage" in json.loads(reading.text(HASHING))


@settings(deadline=None)
@given(
    APIS,
    st.dictionaries(
        st.sampled_from(["messages", "input", "prompt", "tools", "system", "instructions"]), JSON
    ),
)
def test_no_json_makes_reading_a_request_fail(api: str, body: dict[str, Any]) -> None:
    found = facts(api, **body)
    assert sum(part["bytes"] for part in found["parts"]) == found["prompt_bytes"]


STREAM = (
    b': hi\r\ndata: {"choices":[{"delta":{"content":"a"}}]}\r\n\r\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\ndata: [DONE]\n\n'
)


@settings(deadline=None)
@given(APIS, st.data())
def test_no_bytes_make_reading_fail(api: str, data: st.DataObject) -> None:
    stream = bytearray(STREAM)
    for _ in range(data.draw(st.integers(0, 6))):
        position = data.draw(st.integers(0, len(stream) - 1))
        if data.draw(st.booleans()):
            stream[position] = data.draw(st.integers(0, 255))
        else:
            del stream[position : position + data.draw(st.integers(1, 9))]
        if not stream:
            break
    cut = data.draw(st.integers(0, len(stream)))
    coding = data.draw(st.sampled_from(["", "gzip", "deflate"]))
    reading = read(api, bytes(stream[:cut]), bytes(stream[cut:]), coding=coding)
    assert "usage" in json.loads(reading.text(HASHING))
    reading.times()
