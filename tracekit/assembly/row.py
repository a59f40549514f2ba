"""Rows of a trace: what is known of a session, call, attempt, tool or mark, column by column."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from tracekit.assembly.attempt import Attempt
from tracekit.assembly.call import Call
from tracekit.assembly.estimate import source_of
from tracekit.assembly.lineage import Lineage, Link
from tracekit.assembly.session import Session
from tracekit.assembly.token_class import class_bytes
from tracekit.assembly.tool_span import ToolSpan
from tracekit.schema import Kind, Status, columns_of
from tracekit.spool import Record

Row = dict[str, Any]


def session_row(session: Session, host: str | None) -> Row:
    """A session."""
    return {
        "row_id": session.row_id,
        "session_id": session.row_id,
        "start_ns": session.start_ns,
        "end_ns": session.end_ns,
        "status": _session_status(session).value,
        "error_type": session.error_type,
        "host": host,
        "pid": session.calls[0].first.record.get("pid") if session.calls else None,
        "name": session.name,
        "origin": "recorded",
        "session_source": session.source,
        "conversation_id": session.conversation_id,
        "score": session.score,
    }


def _session_status(session: Session) -> Status:
    if any(step.status is Status.INTERRUPTED for step in session.steps):
        return Status.INTERRUPTED
    return session.status


def call_row(call: Call, lineage: Lineage, link: Link | None, host: str | None) -> Row:
    """An LLM call: its last attempt's answer, its first attempt's start."""
    request, response, outcome = call.last.request, call.last.response, call.last.outcome
    usage = call.usage
    tools = call.produced_tools
    row = {
        **_step_columns(call, call.first.record, host),
        "status": call.status.value,
        "error_type": outcome.get("error_type"),
        "api": request.get("api"),
        "model": request.get("model"),
        "response_model": response.get("model"),
        "response_id": response.get("response_id"),
        "previous_response_id": request.get("previous_response_id"),
        "conversation_id": request.get("conversation_id"),
        "stream": request.get("stream"),
        "max_tokens": request.get("max_tokens"),
        "temperature": request.get("temperature"),
        "choice_count": request.get("choice_count"),
        "tools_offered": request.get("tools_offered"),
        "finish_reason": response.get("finish_reason"),
        "tool_call_ids": [tool_id for tool_id, _name in tools],
        "tool_call_names": [name for _tool_id, name in tools],
        "tool_result_ids": list(link.tool_call_ids) if link else [],
        "attempt_count": len(call.attempts),
        **{name: outcome.get(name) for name in ("first_byte_ns", "first_token_ns", "last_token_ns")},
        "chunk_count": outcome.get("chunk_count"),
        "chunk_gap_us": [float(gap) for gap in outcome.get("chunk_gap_us") or []],
        "input_tokens": usage.get("input"),
        "cached_tokens": usage.get("cached"),
        "cache_write_tokens": usage.get("cache_write"),
        "output_tokens": usage.get("output"),
        "reasoning_tokens": usage.get("reasoning"),
        "usage_source": source_of(call),
        "engine_prefill_ms": response.get("engine_prefill_ms"),
        "engine_decode_ms": response.get("engine_decode_ms"),
        "output_bytes": response.get("output_bytes"),
        "request_content": call.last.record.get("content"),
        "response_content": outcome.get("content"),
    }
    return row | _where(call.last) | _prompt_columns(call, lineage)


def _step_columns(step: Call | ToolSpan, record: Record, host: str | None) -> Row:
    return {
        "row_id": step.row_id,
        "session_id": step.session_id,
        "parents": step.parents,
        "edge_source": step.edge_source,
        "start_ns": step.start_ns,
        "end_ns": step.end_ns,
        "host": host,
        "pid": record.get("pid"),
        "thread_id": record.get("thread"),
        "task_name": record.get("task"),
    }


def _where(attempt: Attempt) -> Row:
    record = attempt.record
    return {
        "server_host": record.get("host"),
        "server_port": record.get("port"),
        "url_path": record.get("path"),
        "clock_point": record.get("clock_point"),
    }


def _prompt_columns(call: Call, lineage: Lineage) -> Row:
    request = call.last.request
    if request.get("previous_response_id") or request.get("conversation_id"):
        return {}  # the server holds the rest of the prompt
    if not call.parts:
        return {"prompt_bytes": request.get("prompt_bytes")}
    sizes = class_bytes(call, lineage)
    ends, end = [], 0
    for part in call.parts:
        end += part.size_bytes
        ends.append(end)
    return {
        "prompt_bytes": call.last.request.get("prompt_bytes"),
        **{f"{name}_bytes": size for name, size in sizes.items()},
        "block_bytes": call.last.request.get("block_bytes"),
        "block_hashes": _unpack(call.last.request.get("block_hashes")),
        "part_hashes": [part.prefix_hash for part in call.parts],
        "part_end_bytes": ends,
        "part_roles": [part.role for part in call.parts],
    }


def _unpack(text: str | None) -> list[int] | None:
    if text is None:
        return None
    packed = base64.b64decode(text)
    return list(struct.unpack(f"<{len(packed) // 8}Q", packed))


def tool_row(span: ToolSpan, host: str | None) -> Row:
    """A tool span."""
    record = span.record or (span.call.first.record if span.call else {})
    return {
        **_step_columns(span, record, host),
        "status": span.status.value,
        "error_type": span.error_type,
        "name": span.name,
        "call_id": span.call.row_id if span.call else None,
        "tool_call_id": span.tool_call_id,
        "tool_source": span.source.value,
        "confidence": span.confidence,
        "frame": span.contains_calls,
        "inside_id": span.inside.row_id if span.inside else None,
    }


def attempt_row(row_id: int, call: Call, index: int, attempt: Attempt, host: str | None) -> Row:
    """An HTTP attempt of a call."""
    return {
        "row_id": row_id,
        "session_id": call.session_id,
        "call_id": call.row_id,
        "attempt_index": index,
        "start_ns": attempt.start_ns,
        "end_ns": attempt.end_ns,
        "status": attempt.status.value,
        "error_type": attempt.outcome.get("error_type"),
        "host": host,
        "pid": attempt.record.get("pid"),
        "http_status": attempt.http_status,
        "transport": attempt.record.get("transport"),
        "first_byte_ns": attempt.outcome.get("first_byte_ns"),
        "request_bytes": attempt.request.get("body_bytes"),
        "response_bytes": attempt.outcome.get("response_bytes"),
        **_where(attempt),
    }


def mark_row(row_id: int, record: Record, host: str | None, by_key: dict[str, int]) -> Row:
    """A mark; a number goes to `value`, a text to `text`."""
    given = record.get("value")
    return {
        "row_id": row_id,
        "session_id": by_key.get(record.get("session") or ""),
        "start_ns": record["ns"],
        "host": host,
        "pid": record.get("pid"),
        "name": record.get("name"),
        "value": float(given) if isinstance(given, bool | int | float) else None,
        "text": given if isinstance(given, str) else None,
    }


CLOCK_MARKS = {"clock": "tracekit.clock", "clock_exchange": "tracekit.clock_exchange"}
"""Names of the marks that say how the host's clocks stand; their text is the record as JSON."""


def clock_row(row_id: int, record: Record, host: str | None) -> Row:
    """A mark of what the host knew of its clock, or of another host's."""
    told = {name: value for name, value in record.items() if name not in ("t", "ns")}
    return {
        "row_id": row_id,
        "start_ns": record["ns"],
        "host": host,
        "name": CLOCK_MARKS[record["t"]],
        "text": json.dumps(told, separators=(",", ":")),
    }


def engine_row(row_id: int, record: Record, host: str | None) -> Row:
    """A sample of a server's metrics, with every key that has a column."""
    names = {column.name for column in columns_of(Kind.ENGINE_SAMPLE)} - {
        "kind",
        "row_id",
        "start_ns",
        "host",
    }
    facts = {name: record[name] for name in names & record.keys()}
    return {"row_id": row_id, "start_ns": record["ns"], "host": record.get("host") or host, **facts}
