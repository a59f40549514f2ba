"""Pictures and sound are part of a prompt's identity, and no part of its text."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest

from tracekit.collectors.inside.identity import Hashing
from tracekit.collectors.inside.media import REMEMBERED, StandIns
from tracekit.collectors.inside.request import request_text

HASHING = Hashing(b"test key")


def payload(seed: int, size: int = 60_000) -> str:
    return base64.b64encode(random.Random(seed).randbytes(size)).decode()


def facts(api: str, body: dict[str, Any]) -> dict[str, Any]:
    return json.loads(request_text(api, body, json.dumps(body).encode(), "/v1/x", HASHING))


def user(*pieces: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, *pieces]}],
    }


def chat_image(data: str) -> tuple[str, dict[str, Any]]:
    return "chat", user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})


def chat_sound(data: str) -> tuple[str, dict[str, Any]]:
    return "chat", user({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}})


def chat_file(data: str) -> tuple[str, dict[str, Any]]:
    return "chat", user({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}"}})


def anthropic_image(data: str) -> tuple[str, dict[str, Any]]:
    return "messages", user(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    )


def responses_image(data: str) -> tuple[str, dict[str, Any]]:
    piece = {"type": "input_image", "image_url": f"data:image/jpeg;base64,{data}"}
    return "responses", {"model": "m", "input": [{"role": "user", "content": [piece]}]}


def ollama_image(data: str) -> tuple[str, dict[str, Any]]:
    return "chat", {"model": "m", "messages": [{"role": "user", "content": "look", "images": [data]}]}


@pytest.mark.parametrize(
    "make", [chat_image, chat_sound, chat_file, anthropic_image, responses_image, ollama_image]
)
def test_a_payload_counts_by_its_hash(make: Any) -> None:
    one, same, other = (facts(*make(payload(seed))) for seed in (1, 1, 2))
    assert (one["media_count"], one["parts"]) == (1, same["parts"])
    assert one["prompt_bytes"] < 500
    assert one["parts"][-1]["prefix_hash"] != other["parts"][-1]["prefix_hash"]


def test_text_is_text_however_it_looks() -> None:
    for text in ("x" * 5000, "data: " + "x" * 5000, payload(1), "data:text/plain," + "word " * 1000):
        found = facts(
            "chat", {"model": "m", "messages": [{"role": "user", "content": text}], "metadata": {"data": 1}}
        )
        assert found["media_count"] == 0
        assert found["prompt_bytes"] > len(text)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"data": "not base64! " * 200}}}]
    assert facts("chat", {"model": "m", "messages": [], "tools": tools})["media_count"] == 0


def test_remembered_payloads_stay_within_bounds() -> None:
    stand_ins, big = StandIns(), REMEMBERED // 3
    for letter in "abcdef":
        assert stand_ins.of(letter * big, HASHING) == stand_ins.of(letter * big, HASHING)
    assert stand_ins.of("z" * (REMEMBERED + 1), HASHING).startswith(f"[{REMEMBERED + 1} ")
    assert sum(len(text) for text, _, _ in stand_ins._known) <= REMEMBERED
    assert stand_ins.of("a", HASHING) != stand_ins.of("a", Hashing(b"another key"))
