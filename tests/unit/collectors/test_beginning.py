"""Requests that are read on from where an earlier one's last message ended say what they say read as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.collectors.inside import beginning, request
from tracekit.collectors.inside.beginning import Beginnings
from tracekit.collectors.inside.identity import Hashing
from tracekit.collectors.inside.prompt import Memory
from tracekit.collectors.inside.wire import is_call

HASHING = Hashing(b"test key")
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 200}}
MARKED = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
CONTENTS: list[Any] = [
    "hi " * 200,
    "ä😀 " * 90,
    "",
    [PICTURE],
    [MARKED],
    [{"type": "tool_result", "tool_use_id": "a"}],
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"metadata": {"b": 1, "a": None}}}}]
BEHIND: list[dict[str, Any]] = [
    {"model": "m"},
    {"model": "m", "stream": True, "tools": TOOLS},
    {"model": "m", "metadata": {"session_id": "s"}, "previous_response_id": "r", "temperature": 0.5},
    {"model": "m", "system": [MARKED], "instructions": "do"},
    {},
]
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
KEYS = {"chat": "messages", "responses": "input", "messages": "messages"}


def as_a_whole(api: str, raw: bytes) -> dict[str, Any] | None:
    """What the request says to one who has seen none before."""
    body = json.loads(raw)
    if not is_call(api, body, PATHS[api]):
        return None
    told: dict[str, Any] = json.loads(request.request_text(api, body, raw, PATHS[api], Hashing(b"test key")))
    return told


def read_on(known: Beginnings, api: str, raw: bytes) -> dict[str, Any] | None:
    text = known.text(api, raw, PATHS[api], HASHING)
    return None if text is None else json.loads(text)


def message(content: Any, number: int) -> dict[str, Any]:
    return {"role": ("user", "assistant")[number % 2], "content": content}


TURN = st.tuples(
    st.integers(0, 6),  # messages that are kept of the request before
    st.lists(st.sampled_from(CONTENTS), max_size=3),
    st.sampled_from(BEHIND),
    st.sampled_from(BEHIND),
    st.sampled_from([None, None, 1]),
    st.booleans(),
)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(KEYS)), st.lists(TURN, max_size=8))
def test_whatever_requests_share_they_say_the_same(api: str, turns: list[Any]) -> None:
    known, messages = Beginnings(), []
    for kept, contents, before, behind, indent, ascii_only in turns:
        messages = messages[:kept] + [message(content, at) for at, content in enumerate(contents)]
        body = {**before, KEYS[api]: messages}
        body.update({key: value for key, value in behind.items() if key not in body})
        raw = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode()
        assert read_on(known, api, raw) == as_a_whole(api, raw)


def chat(words: str) -> bytes:
    return json.dumps({"messages": [message(word * 300, 0) for word in words], "model": "m"}).encode()


def test_only_what_is_new_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a conversation that grows, of an older one that is longer, of another one that stood still meanwhile."""
    parsed: list[str] = []
    real = beginning.scan

    def scan(text: str, at: int) -> Any:
        value, end = real(text, at)
        parsed.append(value["content"][0] if isinstance(value, dict) else value)
        return value, end

    monkeypatch.setattr(beginning, "scan", scan)
    known, head = Beginnings(), "messages"
    for words, new in (
        ("xy", [head, "x", "y"]), ("ab", [head, "a", "b"]), ("ab", []), ("abc", ["c"]), ("ab", [head, "a", "b"]),
        ("abcd", ["d"]), ("abcde", ["e"]), ("abcdef", ["f"]), ("xyz", ["z"]),
    ):  # fmt: skip
        parsed.clear()
        assert read_on(known, "chat", chat(words)) == as_a_whole("chat", chat(words))
        assert parsed == new


def test_a_list_is_known_by_the_api_that_has_it() -> None:
    known = Beginnings()
    assert read_on(known, "chat", b'{"messages":[{"role":"user"}],"model":"m"}') is not None
    raw = b'{"messages":[{"role":"user"}],"model":"m","previous_response_id":"r"}'
    assert read_on(known, "responses", raw) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"messages"',
        b'{"messages":[',
        b'{"messages":[{"role":"user"}',
        b'{"messages":[{"role":"user"}]',
        b'{"messages":[{"role":"user"}],',
        b'{"messages":[{"role":"user"}]}x',
        b'{"messages":[{"role":"user"} {"role":"user"}]}',
        b'{"messages":[{"role":"user"},]}',
        b'{"messages":[1,2]}',
        b'{"messages":["user"]}',
        b'{"messages":"user"}',
        b'{"messages":[],"messages":[{"role":"user"}]}',
        b'{"model" "m","messages":[]}',
        b'{"model":"m" "messages":[]}',
        b'\xef\xbb\xbf{"messages":[{"role":"user"}]}',
        b'{"messages":[{"role":"us\xffer"}]}',
        '{"messages":[{"role":"user"}]}'.encode("utf-16"),
    ],
)
def test_what_this_cannot_say_is_left_to_the_usual_way(raw: bytes) -> None:
    known = Beginnings()
    assert known.text("chat", raw, PATHS["chat"], HASHING) is None
    assert known.text("completions", b'{"prompt":["a"]}', "/v1/completions", HASHING) is None
    assert (
        known.text("messages", b'{"messages":[{"role":"user"}]}', "/v1/messages", HASHING) is None
    )  # no model


def test_a_cut_request_is_none_though_its_beginning_is_known() -> None:
    known, body = Beginnings(), {"messages": [message("hi", 0)], "model": "m"}
    raw = json.dumps(body).encode()
    assert read_on(known, "chat", raw) is not None
    for end in range(len(raw)):
        assert read_on(known, "chat", raw[:end]) is None


def test_as_much_is_remembered_as_of_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "REMEMBERED_BYTES", 2000)
    monkeypatch.setattr(beginning, "memory", Memory())
    known = Beginnings()
    for number, kept in enumerate((1, 2, 3, 3)):
        read_on(known, "chat", json.dumps({"messages": [message(f"{number} " * 250, 0)]}).encode())
        assert len(known._known) == kept
    read_on(known, "chat", json.dumps({"messages": [message("long " * 500, 0)]}).encode())
    assert sum(len(each.raw) for each in known._known) <= 2000
