"""Keys never reach the disk, wherever a user or a server puts them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.collectors.inside import plain
from tracekit.collectors.inside.exchange import observe
from tracekit.collectors.inside.secret import command_without_secrets, scrubbed

KEYS = [
    "sk-proj-Abc123Def456Ghi789Jkl012",
    "sk-ant-api03-abcdefghijklmnop_qrstuvwx-AA",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "hf_abcdefghijklmnopqrstuvwxyz",
    "gsk_abcdefghijklmnopqrstuvwxyz",
    "xai-abcdefghijklmnopqrstuvwxyz",
    "xoxb-123456789012-abcdefghijkl",
    "glpat-abcdefghij0123456789",
    "nvapi-abcdefghijklmnopqrstuvwxyz",
    "pplx-abcdefghijklmnopqrstuvwxyz",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
]


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_known_shapes(key: str) -> None:
    for text in (key, f"model-{key}"[6:], f"a {key} b", f'"{key}"', f"x={key}"):
        assert key not in scrubbed(text)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-mini-2024-07-18", "meta-llama/Llama-3.1-8B-Instruct", "call_abc123DEF456", "resp_0123456789abcdef",
        "chatcmpl-9xYz0123456789", "toolu_01A09q90qw90lq917835lq9", "asst_abc", "ft:gpt-4o:acme::abc123",
        "get_api_key", "risk-assessment-for-everyone", "task-0123456789",
    ],
)  # fmt: skip
def test_names_and_ids_stay(name: str) -> None:
    assert plain.label(name) == name


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            ["python", "a.py", "--api-key", "V", "--model", "m"],
            ["python", "a.py", "--api-key", "--model", "m"],
        ),
        (["python", "a.py", "--api-key=V"], ["--api-key="]),
        (["env", "OPENAI_API_KEY=V", "python", "a.py"], ["env", "OPENAI_API_KEY=", "python", "a.py"]),
        (
            ["curl", "-H", "Authorization: Bearer V W", "http://h/p"],
            ["curl", "Authorization: ", "http://h/p"],
        ),
        (["curl", "--header", "x-api-key: V"], ["x-api-key: "]),
        (["curl", "--header=api-key: V"], ["api-key: "]),
        (["curl", "-H", "Cookie: a=V; b=W"], ["Cookie: "]),
        (["curl", "-u", "me:V", "http://h"], ["http://h"]),
        (["curl", "https://me:V@h.example/x?api-version=1&api-key=W"], ["h.example/x?api-version=1"]),
        (
            ["sh", "-c", "GEMINI_API_KEY='V W' python a.py --token V && echo done"],
            ["python a.py --token", "&& echo done"],
        ),
        (
            ["a", "--max-tokens", "512", "--tokenizer", "gpt2"],
            ["a", "--max-tokens", "512", "--tokenizer", "gpt2"],
        ),
        (["a", "--openai-api-key", "V"], ["--openai-api-key"]),
        (["a", "--db", "postgres://user:V@db/x"], ["@db/x"]),
    ],
)
def test_commands(given: list[str], kept: list[str]) -> None:
    secrets = {"V": "Zq7-not-of-a-known-shape", "W": "another one"}
    words = [word.replace("V", secrets["V"]).replace("W", secrets["W"]) for word in given]
    clean = command_without_secrets(words)
    assert len(clean) == len(words)
    assert not any(secret in " ".join(clean) for secret in secrets.values())
    assert all(any(piece in word for word in clean) for piece in kept)


@given(st.lists(st.text(max_size=200) | st.text(alphabet="ab-_.=:/@ ?&'\"k", max_size=300), max_size=6))
def test_any_command_can_be_scrubbed(words: list[str]) -> None:
    assert len(command_without_secrets(words)) == len(words)


def test_nothing_of_a_key_in_any_record(hooked: Any, tmp_path: Path) -> None:
    key = KEYS[0]

    def answer(request: httpx.Request) -> httpx.Response:
        error = {"message": f"Incorrect API key provided: {key}", "code": key, "type": key}
        return httpx.Response(
            401, json={"error": error, "id": key, "model": key}, headers={"set-cookie": key}
        )

    body = {"model": key, "messages": [{"role": "user", "content": key}], "conversation": key,
            "tools": [{"type": "function", "function": {"name": key}}]}  # fmt: skip
    headers = {"authorization": f"Bearer {key}", "x-api-key": key, "api-key": key, "cookie": key}
    url = f"http://user:{key}@server/v1/{key}/chat/completions?key={key}&api-key={key}"
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        client.post(url, json=body, headers=headers)
    assert len(hooked("attempt_end")) == 1
    [file] = tmp_path.glob("*.jsonl")
    assert key not in file.read_text()


def test_addresses_of_any_transport(recorded: Any) -> None:
    body = json.dumps({"model": "m", "messages": []}).encode()
    for path in ("/v1/chat/completions", "/x?key=plain/v1/chat/completions"):
        observe("x", "POST", ("https", "me:plain@host", 443, path), body, None)
    assert [(start["host"], start["path"]) for start in recorded("attempt_start")] == [
        ("host", "/v1/chat/completions"),
        ("host", "/x"),
    ]


def test_what_is_kept_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tracekit.collectors.launch import record

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["tracekit", "record", "--label", f"api_key={KEYS[0]}"])
    spool = tmp_path / "spool"
    command = [sys.executable, "-c", "pass", "--api-key", "plain-secret"]
    labels = {"note": f"with {KEYS[1]}", "api_key": "plain-secret", "engine": "vLLM 0.11"}
    record(command, spool, sample_power=False, labels=labels)
    text = (spool / "run.json").read_text()
    assert not any(secret in text for secret in (*KEYS, "plain-secret"))
    assert json.loads(text)["labels"]["engine"] == "vLLM 0.11"
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in spool.iterdir()} == {
        file.name: "0o600" for file in spool.iterdir()
    }
