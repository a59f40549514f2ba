"""Every way of calling a model: the client sees what it would see alone, the record says what happened."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from tests.unit.collectors import client_cases, fake_server, transport_cases
from tracekit.collectors.inside.identity import Hashing

OK = {"status": "ok", "http_status": 200, "error_type": None}
USAGE = {"input": 111, "cached": 64, "cache_write": None, "output": 22, "reasoning": 7}
RESPONSES_USAGE = {**USAGE, "cache_write": 5}
NO_ATTEMPT = ("not_an_llm_call",)
NOT_OK = {
    "chat_early_break": {"status": "cancelled", "error_type": None},
    "chat_abandoned": {"status": "cancelled", "error_type": None},
    "chat_task_cancelled": {"status": "cancelled", "error_type": "CancelledError"},
    "chat_timeout": {"status": "error", "error_type": "ReadTimeout"},
    "chat_refused": {"status": "error", "error_type": "rate_limit_exceeded", "http_status": 429},
    "chat_server_error": {"status": "error", "error_type": "boom", "http_status": 500},
    "chat_reset": {"status": "error", "http_status": 200},
    "chat_nobody_there": {"status": "error", "error_type": "ConnectError", "http_status": None},
    "http_client_cut": {"status": "error", "error_type": "IncompleteRead", "http_status": 200},
    "http_client_reset": {"status": "error", "error_type": "ConnectionResetError", "http_status": 200},
    "http_client_timeout": {"status": "error", "error_type": "TimeoutError", "http_status": 200},
    "http_client_closed": {"status": "cancelled", "error_type": None, "http_status": 200},
    "urllib_refused": {"status": "error", "error_type": "rate_limit_exceeded", "http_status": 429},
    "urllib3_left_open": {"status": "cancelled", "error_type": None, "http_status": 200},
    "requests_stream_broken_off": {"status": "cancelled", "error_type": None, "http_status": 200},
    "requests_reset": {"status": "error", "error_type": "ConnectionResetError", "http_status": 200},
    "requests_timeout": {"status": "error", "error_type": "TimeoutError", "http_status": 200},
    "requests_nobody_there": {"status": "error", "error_type": "NewConnectionError", "http_status": None},
    "aiohttp_broken_off": {"status": "cancelled", "error_type": None, "http_status": 200},
    "aiohttp_closed": {"status": "cancelled", "error_type": None, "http_status": 200},
    "aiohttp_timeout": {"status": "error", "error_type": "TimeoutError", "http_status": 200},
    "aiohttp_cancelled": {"status": "cancelled", "error_type": "CancelledError", "http_status": 200},
    "aiohttp_reset": {"status": "error", "error_type": "ClientPayloadError", "http_status": 200},
    "aiohttp_nobody_there": {"status": "error", "error_type": "ClientConnectorError", "http_status": None},
    "aiohttp_refused": {"status": "error", "error_type": "rate_limit_exceeded", "http_status": 429},
    "responses_socket_closed": {"status": "cancelled", "error_type": None, "http_status": 200},
    "responses_socket_lost": {"status": "error", "error_type": "ConnectionClosedOK", "http_status": 200},
    "responses_socket_failed": {"status": "error", "error_type": "overloaded", "http_status": 200},
}
TWO_ATTEMPTS = ("chat_retry", "requests_moved", "aiohttp_moved", "responses_socket")
OLLAMA_USAGE = {"input": 111, "cached": None, "cache_write": None, "output": 22, "reasoning": None}
WITHOUT_USAGE = ("chat_stream", "chat_stream_without_done", "chat_stream_helper", "chat_raw_response_stream",
                 "chat_streaming_response_async", "raw_httpx_stream", "raw_httpx2_stream_async")  # fmt: skip


def attempts(records: Any, name: str) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The starts and ends of a case's attempts."""
    ends = {record["id"]: record for record in records("attempt_end")}
    starts = [
        start for start in records("attempt_start") if str(start["request"]["model"]).split("-")[0] == name
    ]
    return [(start, ends.get(start["id"])) for start in starts]


@pytest.mark.parametrize("name", transport_cases.CASES)
def test_clients_see_no_difference_and_are_recorded(
    name: str, fake: Any, request: pytest.FixtureRequest
) -> None:
    alone = client_cases.CASES[name](fake.base_url)
    records = request.getfixturevalue("hooked")
    assert client_cases.CASES[name](fake.base_url) == alone
    gc.collect()

    found = attempts(records, name)
    notes = [(note["what"], note["detail"]) for note in records("note")]
    if name in NO_ATTEMPT:
        assert (found, notes) == ([], [])
        return
    assert notes == []
    assert len(found) == (2 if name in TWO_ATTEMPTS else 1)
    start, end = found[-1]
    assert end is not None
    assert end.items() >= NOT_OK.get(name, OK).items()
    if name in NOT_OK:
        return
    response = end["response"]
    if name == "embeddings":
        assert response["usage"] == {
            "input": 5,
            "cached": None,
            "cache_write": None,
            "output": None,
            "reasoning": None,
        }
    elif name.startswith("ollama"):
        assert response["usage"] == OLLAMA_USAGE
        assert (response["engine_prefill_ms"], response["engine_decode_ms"]) == (12.5, 99.25)
    elif name in WITHOUT_USAGE:
        assert (response["usage"], response["usage_source"]) == (None, "missing")
    elif name.startswith("raw_messages"):
        assert response["usage"] == {
            "input": 111,
            "cached": 60,
            "cache_write": 11,
            "output": 22,
            "reasoning": None,
        }
    else:
        assert response["usage"] == (RESPONSES_USAGE if name.startswith("responses") else USAGE)
    text = None if "tools" in name or name == "embeddings" else fake_server.TEXT
    assert response["output_hash"] == (Hashing(b"test key").of_text(text) if text else None)
    assert start["request"]["api"] in ("chat", "completions", "responses", "embeddings", "messages")
    if "socket" not in name:
        assert (start["host"], start["port"]) == ("127.0.0.1", fake.port)


def test_retries_are_attempts_of_their_own(fake: Any, hooked: Any) -> None:
    client_cases.CASES["chat_retry"](fake.base_url)
    (first, refused), (second, answered) = attempts(hooked, "chat_retry")
    assert (first["retry_count"], second["retry_count"]) == (0, 1)
    assert refused is not None
    assert answered is not None
    assert (refused["http_status"], refused["status"]) == (429, "error")
    assert (answered["http_status"], answered["status"]) == (200, "ok")
    assert first["request"]["body_hash"] == second["request"]["body_hash"]


def test_tool_calls_are_named(fake: Any, hooked: Any) -> None:
    for name in ("chat_tools", "chat_stream_tools", "responses_stream_tools"):
        client_cases.CASES[name](fake.base_url)
        [(_, end)] = attempts(hooked, name)
        assert end is not None
        calls = [{"id": "call_a", "name": "search"}, {"id": "call_b", "name": "read"}]
        assert end["response"]["tool_calls"] == calls


def test_times_of_a_stream(fake: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "first_byte_s", 0.02)
    monkeypatch.setattr(fake, "chunk_s", 0.01)
    client_cases.CASES["chat_stream"](fake.base_url)
    truth = fake.seen[-1]
    [(start, end)] = attempts(hooked, "chat_stream")
    assert end is not None
    assert truth.first_content_ns - 1_000_000 <= end["first_token_ns"]
    late_ns, stream_ns = (
        end["first_token_ns"] - truth.first_content_ns,
        end["last_token_ns"] - end["first_token_ns"],
    )
    assert late_ns < stream_ns  # it is the first token's time, and not that of the whole
    assert start["ns"] <= truth.received_ns
    assert (
        truth.first_byte_ns - 1_000_000
        <= end["first_byte_ns"]
        <= end["first_token_ns"]
        < end["last_token_ns"]
        <= end["ns"]
    )
    assert end["chunk_count"] == len(fake_server.WORDS)
    assert len(end["chunk_gap_us"]) == len(fake_server.WORDS) - 1
    assert sum(end["chunk_gap_us"]) == pytest.approx(
        (end["last_token_ns"] - end["first_token_ns"]) / 1000, abs=10
    )


def test_engine_times_are_kept(fake: Any, hooked: Any) -> None:
    client_cases.CASES["chat_stream_odd"](fake.base_url)
    [(_, end)] = attempts(hooked, "chat_stream_odd")
    assert end is not None
    response = end["response"]
    assert response["engine_prefill_ms"] == 12.5
    assert response["engine_decode_ms"] == 99.25
    assert response["engine_cached_tokens"] == 64


def test_nothing_secret_is_written(fake: Any, hooked: Any, tmp_path: Any) -> None:
    for name in ("chat_plain", "chat_refused", "chat_stream", "responses_plain"):
        client_cases.CASES[name](fake.base_url)
    written = b"".join(file.read_bytes() for file in tmp_path.glob("*.jsonl"))
    for secret in (b"secret", b"Be brief", b"Hello", "ümlaut".encode(), b"slow down"):
        assert secret not in written


def test_parallel_tasks_are_told_apart(fake: Any, hooked: Any) -> None:
    async def main() -> None:
        async with client_cases.async_client(fake.base_url) as sdk:

            async def ask(number: int) -> None:
                await sdk.chat.completions.create(model=f"parallel-{number}", messages=client_cases.MESSAGES)

            await asyncio.gather(
                *(asyncio.create_task(ask(number), name=f"t{number}") for number in range(5))
            )

    asyncio.run(main())
    starts = hooked("attempt_start")
    assert {start["task"]: start["request"]["model"] for start in starts} == {
        f"t{n}": f"parallel-{n}" for n in range(5)
    }
    assert len(hooked("attempt_end")) == 5


def test_a_failing_recorder_does_not_fail_the_agent(
    fake: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracekit.collectors.inside import exchange

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_request_text", broken)
        assert client_cases.CASES["chat_plain"](fake.base_url)["id"] == "cmpl-1"
    with monkeypatch.context() as patch:
        patch.setattr(exchange, "Reading", broken)
        assert client_cases.CASES["chat_plain"](fake.base_url)["id"] == "cmpl-1"
    notes = [(note["what"], note["detail"]) for note in hooked("note")]
    assert notes == [
        ("hook_error", "observe: ZeroDivisionError"),
        ("hook_error", "response: ZeroDivisionError"),
    ]
    [(_, end)] = attempts(hooked, "chat_plain")
    assert end is not None
    assert (end["status"], end["http_status"], end["response"]) == ("ok", 200, None)


def test_huge_answers_are_counted_but_not_kept(
    fake: Any, hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracekit.collectors.inside import exchange

    monkeypatch.setattr(exchange, "KEPT_BYTES", 600)
    monkeypatch.setattr(exchange, "TAIL_BYTES", 500)
    client_cases.CASES["chat_stream_usage"](fake.base_url)
    [(_, end)] = attempts(hooked, "chat_stream_usage")
    assert end is not None
    assert end["status"] == "ok"
    assert end["response_bytes"] > 1100
    assert end["response"]["usage"] == USAGE
    assert 0 < end["chunk_count"] < len(fake_server.WORDS)


def test_a_port_given_as_text_is_a_number(fake: Any, hooked: Any) -> None:
    import http.client
    import json

    link = http.client.HTTPConnection("127.0.0.1", str(fake.port))  # type: ignore[arg-type]
    body = {"model": "m-port", "messages": client_cases.MESSAGES}
    link.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    link.getresponse().read()
    link.close()
    [(start, _)] = attempts(hooked, "m")
    assert start["port"] == fake.port
