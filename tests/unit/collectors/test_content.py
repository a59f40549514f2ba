"""Content is kept only when asked for, whole or redacted, and never more of it than is said."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.collectors.fake_server import CALLS, TEXT, FakeServer
from tracekit.collectors.inside.content import LONGEST
from tracekit.collectors.inside.redaction import redacted, redacted_text
from tracekit.collectors.inside.state import STATE
from tracekit.collectors.inside.transcript import assembled

SECRET_MESSAGE = "I am eve@example.com, card 4111 1111 1111 1111, key sk-proj-abcdefghijklmnop1234"


@pytest.fixture(params=["redacted", "full"])
def keeping(request: Any, hooked: Any) -> Iterator[Any]:
    STATE.content = request.param
    yield hooked
    STATE.content = "none"


def ask(fake: FakeServer, path: str, model: str, **body: Any) -> None:
    given = {"model": model, "messages": [{"role": "user", "content": SECRET_MESSAGE}], **body}
    httpx.post(f"{fake.base_url}/{path}", json=given)


@pytest.mark.parametrize("model", ["m", "s-split-crlf-comments", "tools", "s-tools", "s-gzip"])
@pytest.mark.parametrize("path", ["chat/completions", "messages", "responses"])
def test_what_was_asked_and_answered(keeping: Any, fake: FakeServer, path: str, model: str) -> None:
    ask(
        fake,
        path,
        model,
        stream=model[0] == "s",
        **({"input": SECRET_MESSAGE} if path == "responses" else {}),
    )
    [start], [end] = keeping("attempt_start"), keeping("attempt_end")
    asked, answered = json.loads(start["content"]), json.loads(end["content"])
    assert asked["model"] == model
    text = json.dumps(asked)
    assert ("eve@example.com" in text, "4111" in text, "sk-proj" in text) == ((STATE.content == "full",) * 3)
    said = json.dumps(answered, ensure_ascii=False)
    if "tools" in model and path != "messages":
        assert all(name in said and json.dumps(arguments) in said for _id, name, arguments in CALLS)
    else:
        assert json.dumps(TEXT, ensure_ascii=False) in said


def test_nothing_is_kept_unasked(hooked: Any, fake: FakeServer, tmp_path: Any) -> None:
    ask(fake, "chat/completions", "s-x", stream=True)
    assert "content" not in {**hooked("attempt_start")[0], **hooked("attempt_end")[0]}
    text = "".join(file.read_text() for file in tmp_path.glob("*.jsonl"))
    assert not any(word in text for word in ("eve@", "4111", "sk-proj", "umlauts", "Hello"))


def test_long_texts_and_media_are_cut_and_say_so(keeping: Any, fake: FakeServer) -> None:
    picture = base64.b64encode(bytes(range(256)) * 40).decode()
    pieces = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}]
    ask(fake, "chat/completions", "m", messages=[{"role": "user", "content": pieces}])
    ask(fake, "chat/completions", "m", messages=[{"role": "user", "content": "word " * (LONGEST // 4)}])
    first, second = (start["content"] for start in keeping("attempt_start"))
    assert f"data:image/png;base64,[cut: {len(picture)} characters of base64]" in first
    assert len(second) < LONGEST + 100
    assert "[cut: " in second[-40:]


PERSONAL = [
    ("mail eve.o'hara+x@mail.example.co.uk now", "[EMAIL]", "example"),
    ("card 4111-1111-1111-1111.", "[CARD]", "1111"),
    ("card 5500000000000004", "[CARD]", "5500"),
    ("IBAN DE89 3704 0044 0532 0130 00", "[IBAN]", "3704"),
    ("GB82WEST12345698765432", "[IBAN]", "WEST"),
    ("call +49 (0)30 901820-12", "[PHONE]", "901820"),
    ("call (212) 555-0123 or 212-555-0123", "[PHONE]", "0123"),
    ("Tel. 030 1234567", "[PHONE]", "1234567"),
    ("from 192.0.2.17:80", "[IP]", "192.0"),
    ("from 2001:db8::8a2e:370:7334", "[IP]", "8a2e"),
    ("SSN 078-05-1120", "[SSN]", "1120"),
    ("/home/eve/work", "/home/[USER]/work", "eve"),
    (r"C:\Users\eve\work", r"C:\Users\[USER]\work", "eve"),
    ("Bearer abcdefghijklmnop1234", "[TOKEN]", "mnop"),
    ("https://eve:pw@host.example/x", "[CREDENTIALS]", "pw@"),
    ("https://h.example/x?a=1&access_token=abc&b=2", "access_token=[SECRET]&b=2", "abc"),
    ("password: hunter2", "[SECRET]", "hunter2"),
    ("export GEMINI_API_KEY=abc-def", "[SECRET]", "abc-def"),
    (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\nbnNz\n-----END OPENSSH PRIVATE KEY-----",
        "[PRIVATE_KEY]",
        "b3Bl",
    ),
    ('print("a\\nsk-abcdefghijklmnopqrst")', "[API_KEY]", "sk-abc"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefgh", "[JWT]", "eyJ"),
]


@pytest.mark.parametrize(("text", "kept", "gone"), PERSONAL)
def test_personal_data_is_labelled(text: str, kept: str, gone: str) -> None:
    for value in (
        text,
        {"a": [text]},
        json.dumps({"arguments": text}),
        {"arguments": json.dumps({"b": text})},
    ):
        clean = json.dumps(redacted(value), ensure_ascii=False).replace("\\\\", "\\").replace("\\\\", "\\")
        assert kept in clean
        assert gone not in clean


@pytest.mark.parametrize(
    "text",
    [
        "The 3 cats ate 12,345.67 kg of fish in 2024-01-02 10:20:30 at 1.2.3",
        "1763845468123456789 ns, 1763845468123 ms, id 4111111111111112",
        "call_abc123 of gpt-4o-mini; max_tokens=512; tokens: 9; localhost 127.0.0.1:8080",
        "def f(x): return x[1:2] + y[::2]  # http://example.com/a/b?c=d",
        "a task-oriented agent; 01-02-2024; 10.1000/182",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redacted_text(text) == text


def test_names_say_what_is_secret() -> None:
    assert redacted({"api_key": "x", "password": 12345678, "max_tokens": 5, "card": 4111111111111111}) == {
        "api_key": "[SECRET]",
        "password": "[SECRET]",
        "max_tokens": 5,
        "card": "[CARD]",
    }


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_value_can_be_redacted(value: Any) -> None:
    json.dumps(redacted(value))


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1-",
        "@",
        "a@a.",
        "0 ",
        "+1",
        "::",
        "1.",
        "-----BEGIN PRIVATE KEY-----",
        "sk-",
        "token=",
        "a-_",
        "/home/",
        "eyJa.",
        "://",
    ],
)
def test_long_texts_of_any_kind_come_to_an_end(unit: str) -> None:
    text = unit * (500_000 // len(unit))
    assert isinstance(redacted_text(text), str)


def test_an_answer_is_put_together() -> None:
    def line(event: dict[str, Any]) -> bytes:
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    deltas = [
        {"role": "assistant", "content": ""},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": '{"mail":"e@x'}}]},
        {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '.org"}'}}]},
        {"reasoning_content": "h"}, {"reasoning_content": "m"},
    ]  # fmt: skip
    stream = b"".join(line({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas)
    [choice] = assembled("chat", stream)["choices"]
    calls = choice["message"]["tool_calls"]
    assert [call["function"] for call in calls] == [
        {"name": "f", "arguments": '{"mail":"e@x.org"}'},
        {"name": "g", "arguments": "{}"},
    ]
    assert choice["message"]["reasoning_content"] == "hm"
    assert redacted(calls[0])["function"]["arguments"] == '{"mail": "[EMAIL]"}'
    cut_off = [{"type": "response.output_text.delta", "item_id": "i", "delta": piece} for piece in ("a", "b")]
    assert assembled("responses", b"".join(map(line, cut_off))) == {
        "output": [{"response.output_text": "ab"}]
    }
