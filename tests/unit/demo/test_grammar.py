"""The grammar allows one text, whatever is in it; the engine then emits that text and no other."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.demo.grammar import Token, exactly, literal
from tracekit.demo.request import ChatRequest

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERED = re.compile(r'<\[(\d+)\]>|"((?:\\.|[^"\\])*)"')
ESCAPE = re.compile(r"\\(?:U([0-9A-F]{8})|(.))")


def read(escaped):
    return ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else match[2], escaped)


@given(TEXTS)
def test_a_literal_reads_back_as_its_text(text):
    written = literal(text)
    assert written.isascii()
    assert written.isprintable()
    assert NUMBERED.fullmatch(written)
    assert read(written[1:-1]) == text


@given(TEXTS, st.lists(st.integers(1, 5), min_size=1))
def test_a_grammar_spells_the_tokens_text_wherever_they_are_cut(text, lengths):
    tokens, rest = [], text.encode()
    while rest:
        length = lengths[len(tokens) % len(lengths)]
        tokens.append(Token(len(tokens), rest[:length]))
        rest = rest[length:]
    terms = NUMBERED.findall(exactly(tokens))
    spelled = [tokens[int(number)].spelled if number else read(quoted).encode() for number, quoted in terms]
    assert b"".join(spelled).decode() == text


def test_tokens_that_end_inside_a_character_have_no_grammar():
    with pytest.raises(ValueError, match="inside a character"):
        exactly([Token(1, "é".encode()[:1])])


@pytest.mark.demo
@pytest.mark.parametrize(
    "text",
    [
        "Plain words, and then some more.",
        'She said "no \\ yes" {"a": [1, 2]} <[12]> ::= root',
        "line\n\n\ttab\r\n  trailing spaces  \n",
        "é ü ñ 日本語 🙂 a\u0301 \u200b ÷",
        "<tool_call>{}</tool_call><|im_end|> after a control token's name",
        "\x01\x1b[31m\x7f\x85",
    ],
)
def test_the_engine_emits_exactly_the_text(engine, text):
    import json

    tokens = engine.tokens(text)
    body = ChatRequest([{"role": "user", "content": "?"}], [], False, {}, None).for_engine(tokens)
    answer = json.loads(engine.asked("/v1/chat/completions", body))
    assert answer["choices"][0]["message"]["content"] == text
    assert answer["choices"][0]["finish_reason"] == "stop"


@pytest.mark.demo
def test_a_plain_text_takes_three_to_four_bytes_a_token_and_one_for_its_end(engine):
    import json

    from tracekit.demo.questions import QUESTIONS

    text = QUESTIONS[0].turns[2].text
    tokens = engine.tokens(text)
    assert 3 <= len(text) / len(tokens) <= 5
    body = ChatRequest([{"role": "user", "content": "?"}], [], False, {}, None).for_engine(tokens)
    answer = json.loads(engine.asked("/v1/chat/completions", body))
    assert answer["usage"]["completion_tokens"] == len(tokens) + 1
