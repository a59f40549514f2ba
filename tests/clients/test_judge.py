"""The judge finds what it is there to find: a row that is right has no fault, and each thing that is wrong has one."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.clients.judge import judge, judge_run
from tests.clients.programs import casebook
from tests.clients.server_truth import Served, Usage
from tests.clients.session_of_cases import Run

MS = 1_000_000
MODEL = casebook.PREFIX + "plain"


def served() -> Served:
    """A stream of three pieces, after 30 ms."""
    return Served(
        index=0,
        api="chat",
        path="/v1/chat/completions",
        model=MODEL,
        stream=True,
        body_digest="d",
        received_ns=1000 * MS,
        asks_usage=True,
        status=200,
        first_byte_ns=1030 * MS,
        first_content_ns=1040 * MS,
        last_content_ns=1060 * MS,
        end_ns=1061 * MS,
        complete=True,
        usage=Usage(111, 22, 64, None, 7),
        response_id="r",
        output_events=3,
    )


def call_row() -> dict[str, Any]:
    """The row such a call should have."""
    return {
        "kind": "llm_call",
        "row_id": 1,
        "session_id": 9,
        "parents": [],
        "model": MODEL,
        "api": "chat",
        "stream": True,
        "status": "ok",
        "response_id": "r",
        "finish_reason": "stop",
        "tool_call_ids": None,
        "tool_call_names": None,
        "attempt_count": 1,
        "start_ns": 999 * MS,
        "first_byte_ns": 1031 * MS,
        "first_token_ns": 1041 * MS,
        "end_ns": 1062 * MS,
        "chunk_count": 3,
        "chunk_gap_us": [1.0, 1.0],
        "input_tokens": 111,
        "output_tokens": 22,
        "cached_tokens": 64,
        "cache_write_tokens": None,
        "reasoning_tokens": 7,
        "usage_source": "server",
    }


def attempt_row() -> dict[str, Any]:
    """The row of its only attempt."""
    return {"kind": "http_attempt", "row_id": 2, "call_id": 1, "start_ns": 999 * MS, "http_status": 200}


def recording(*rows: dict[str, Any]) -> Run:
    """A run with these rows."""
    return Run({"plain": "said\n"}, "", 0, [served()], [], list(rows), {"not_seen": {}}, 0o600)


def faults(run: Run, **promise: Any) -> set[str]:
    """Aspects in which the run is not what it should be."""
    plain = Run({"plain": "said\n"}, "", 0, [served()], [])
    return {aspect for aspect, _ in judge("plain", promise, "default", plain, run).faults}


def test_right_row_has_no_fault():
    assert faults(recording(call_row(), attempt_row())) == set()


@pytest.mark.parametrize(
    ("change", "aspect"),
    [
        ({"input_tokens": 4}, "tokens"),
        ({"cached_tokens": None}, "tokens"),
        ({"usage_source": "estimated"}, "tokens"),
        ({"attempt_count": 2}, "attempts"),
        ({"status": "interrupted"}, "status"),
        ({"api": "completions"}, "fields"),
        ({"response_id": None}, "fields"),
        ({"first_token_ns": None}, "times"),
        ({"first_token_ns": 1031 * MS}, "times"),
        ({"start_ns": 1002 * MS}, "times"),
        ({"chunk_count": 4}, "times"),
        ({"session_id": None}, "sessions"),
    ],
)
def test_wrong_row_has_a_fault(change, aspect):
    assert aspect in faults(recording(call_row() | change, attempt_row()))


def test_call_without_a_row_is_a_fault():
    assert faults(recording(attempt_row())) == {"recorded"}


def test_call_recorded_twice_is_a_fault():
    assert "recorded" in faults(recording(call_row(), call_row() | {"row_id": 3}, attempt_row()))


def test_other_output_is_a_fault():
    run = recording(call_row(), attempt_row())
    assert faults(Run({"plain": "else\n"}, "", 0, run.served, [], run.rows, run.provenance)) == {"broken"}


def test_other_exit_code_is_a_fault():
    run = recording(call_row(), attempt_row())
    assert faults(Run(run.stdout, "", 1, run.served, [], run.rows, run.provenance)) == {"broken"}


def test_other_request_is_a_fault():
    run = recording(call_row(), attempt_row())
    changed = dataclasses.replace(served(), body_digest="e")
    assert faults(Run(run.stdout, "", 0, [changed], [], run.rows, run.provenance)) == {"broken"}


def test_missed_call_must_be_named():
    promise = {"unseen": {"default": "a child"}, "told": True}
    assert faults(recording(attempt_row()), **promise) == {"honesty"}
    named = recording(attempt_row())
    named.provenance = {"not_seen": {"processes_not_followed": {"python": 1}}}
    assert faults(named, **promise) == set()


def tool_row(identity: int, name: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    """A tool's row."""
    return {
        "kind": "tool_span",
        "row_id": identity,
        "call_id": 1,
        "name": name,
        "tool_call_id": "t",
        "tool_source": "tool_id",
        "start_ns": start_ms * MS,
        "end_ns": end_ms * MS,
    }


def test_tool_window_is_measured_over_its_group():
    run = recording(call_row(), attempt_row(), tool_row(5, "a", 1062, 1390), tool_row(6, "b", 1062, 1390))
    run.served[0].tool_ids, run.served[0].tool_names = ["t"], []
    run.tools = [
        {"case": "plain", "name": "a", "start_ns": 1070 * MS, "end_ns": 1370 * MS},
        {"case": "plain", "name": "b", "start_ns": 1071 * MS, "end_ns": 1371 * MS},
    ]
    plain = Run({"plain": "said\n"}, "", 0, [served()], [])
    verdict = judge("plain", {"tools": "parallel"}, "default", plain, run)
    assert verdict.tool_errors_ms == [19.0]


def test_tool_without_a_row_is_a_fault():
    run = recording(call_row(), attempt_row())
    run.tools = [{"case": "plain", "name": "a", "start_ns": 1070 * MS, "end_ns": 1370 * MS}]
    assert "tools" in faults(run, tools="serial")


def test_content_in_the_trace_is_a_fault_of_the_run():
    run = recording(call_row() | {"url_path": f"/{casebook.KEY}"})
    assert any("API key" in fault for fault in judge_run(run))
    assert judge_run(recording(call_row())) == []


def test_row_of_another_response_is_a_fault():
    assert "fields" in faults(recording(call_row() | {"response_id": "other"}, attempt_row()))
