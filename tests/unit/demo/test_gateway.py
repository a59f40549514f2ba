"""The endpoint as an OpenAI client sees it."""

import json
import socket

import httpx
import pytest

from tracekit.demo.labels import LABELS, MODEL_ID
from tracekit.demo.questions import QUESTIONS
from tracekit.demo.session import assembled
from tracekit.demo.tools import DEFINITIONS

pytestmark = pytest.mark.demo

FIRST = QUESTIONS[0]
ASKED = [{"role": "user", "content": FIRST.text}]


def create(client, messages=ASKED, **options):
    return client.chat.completions.create(model=MODEL_ID, messages=messages, tools=DEFINITIONS, **options)


def called(message):
    return [(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]


def test_a_whole_answer_holds_the_scripts_tool_calls(client):
    completion = create(client)
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == FIRST.turns[0].text
    found = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls]
    assert found == [(call.name, call.arguments) for call in FIRST.turns[0].calls]
    assert len({call.id for call in choice.message.tool_calls}) == 2
    assert (
        completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    )
    assert completion.usage.prompt_tokens_details.cached_tokens is not None
    assert completion.timings["predicted_n"] == completion.usage.completion_tokens


def test_a_streamed_answer_adds_up_to_the_same(client):
    with create(client, stream=True) as stream:
        chunks = list(stream)
    message = assembled(chunks)
    assert message["content"] == FIRST.turns[0].text
    assert called(message) == [(call.name, call.arguments) for call in FIRST.turns[0].calls]
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "tool_calls"
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert all(chunk.usage is None for chunk in chunks)


def test_a_tool_call_is_named_once_and_its_arguments_arrive_in_pieces(client):
    with create(client, stream=True) as stream:
        parts = [part for chunk in stream for part in chunk.choices[0].delta.tool_calls or ()]
    for index in (0, 1):
        first, *rest = [part for part in parts if part.index == index]
        assert first.id
        assert first.function.name == "search"
        assert first.function.arguments == ""
        assert len(rest) > 3
        assert all(part.id is None and part.function.name is None for part in rest)


def test_usage_is_streamed_only_if_asked_for(client):
    with create(client, stream=True, stream_options={"include_usage": True}) as stream:
        *before, last = list(stream)
    assert last.choices == []
    assert last.usage.completion_tokens > len(FIRST.turns[0].text) / 5
    assert all(chunk.usage is None and chunk.choices for chunk in before)


def test_the_next_call_finds_the_conversation_in_the_cache(client):
    first = create(client)
    reply = first.choices[0].message.model_dump(exclude_none=True)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "Nothing."} for call in reply["tool_calls"]
    ]
    second = create(client, [*ASKED, reply, *results])
    cached = second.usage.prompt_tokens_details.cached_tokens
    # the model's end of message is generated too, but its key and value are not kept
    assert cached >= first.usage.prompt_tokens + first.usage.completion_tokens - 2
    assert second.choices[0].message.tool_calls[0].function.name == "python"


def test_an_answer_is_content(client):
    round_of_tools = [
        {"role": "assistant", "content": "..."},
        {"role": "tool", "content": "...", "tool_call_id": "1"},
    ]
    completion = create(client, [*ASKED, *round_of_tools, *round_of_tools])
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].message.content == FIRST.turns[2].text
    assert completion.choices[0].message.tool_calls is None


def test_tools_are_part_of_the_prompt(client):
    without = client.chat.completions.create(model=MODEL_ID, messages=ASKED)
    assert without.choices[0].message.content.startswith("I am the demo model")
    assert create(client).usage.prompt_tokens > without.usage.prompt_tokens + 100


@pytest.mark.parametrize("stream", [False, True])
def test_the_clients_limit_cuts_the_answer(client, stream):
    answer = create(
        client, max_tokens=5, stream=stream, **({"stream_options": {"include_usage": True}} if stream else {})
    )
    if stream:
        with answer:
            chunks = list(answer)
        reason, usage = chunks[-2].choices[0].finish_reason, chunks[-1].usage
    else:
        reason, usage = answer.choices[0].finish_reason, answer.usage
    assert reason == "length"
    assert usage.completion_tokens == 5


def test_the_model_says_what_it_is(client):
    (model,) = client.models.list().data
    assert model.id == MODEL_ID
    assert all(value in model.owned_by for value in LABELS.values())


def test_health_and_metrics_are_the_engines(gateway):
    assert httpx.get(f"{gateway.root}/health").json() == {"status": "ok"}
    metrics = httpx.get(f"{gateway.root}/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "llamacpp:prompt_tokens_total" in metrics.text


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b"{}", "'messages' is missing"),
        (b'{"messages": ["hello"]}', "list of objects"),
        (b'{"messages": [{"role": "user", "content": "a"}], "tools": 3}', "'tools'"),
        (b'{"messages": [{"role": "user"}], "stream_options": 3, "stream": true}', "'stream_options'"),
    ],
)
def test_a_bad_request_is_refused_in_openais_shape(gateway, body, complaint):
    answer = httpx.post(f"{gateway.base_url}/chat/completions", content=body)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_is_not_found(gateway, method):
    answer = httpx.request(method, f"{gateway.base_url}/nothing", json={} if method == "POST" else None)
    assert answer.status_code == 404
    assert "nothing" in answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_engine_refuses_reaches_the_client_as_an_error(gateway, stream):
    too_long = [{"role": "user", "content": "word " * 20_000}]
    answer = httpx.post(
        f"{gateway.base_url}/chat/completions", json={"messages": too_long, "stream": stream}, timeout=60
    )
    assert answer.status_code == 400
    assert "context" in answer.json()["error"]["message"]


def test_a_client_that_hangs_up_harms_nobody(gateway, client):
    body = json.dumps({"messages": ASKED, "tools": list(DEFINITIONS), "stream": True}).encode()
    host, port = gateway.root.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        assert connection.recv(20).startswith(b"HTTP/1.1 200")
    assert create(client).choices[0].finish_reason == "tool_calls"
