"""From a spool to a trace: the one place where records become rows."""

from __future__ import annotations

import base64
import struct
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracekit.assembly.attempt import Attempt, pair_attempts
from tracekit.assembly.call import Call, group_calls
from tracekit.assembly.edge import connect
from tracekit.assembly.lineage import Lineage, Link
from tracekit.assembly.session import Session, assign_sessions, assign_tools, marked_sessions
from tracekit.assembly.token_class import class_bytes
from tracekit.assembly.tool_span import ToolSpan, marked_tools, tool_spans
from tracekit.provenance import Host, NotSeen, Provenance, environment
from tracekit.schema import FORMAT_VERSION, Kind, Status, UsageSource, columns_of
from tracekit.spool import Record, Spool, read_spool
from tracekit.trace import table_of, write_trace

Row = dict[str, Any]


@dataclass(frozen=True)
class Merged:
    """A recording's rows by kind, and its provenance."""

    tables: dict[Kind, pa.Table]
    provenance: Provenance


def merge_spool(
    directory: Path,
    output: Path,
    *,
    software_version: str,
    exit_code: int | None,
    recovered: bool,
    force: bool,
) -> Provenance:
    """Turns the spool in `directory` into the trace `output`; the spool itself is left as it is.

    Raises
    ------
    SpoolNotFound, OutputRefused, OSError : nothing there; the trace cannot be written.
    """
    merged = assemble(read_spool(directory), software_version=software_version)
    merged.provenance.exit_code = exit_code
    merged.provenance.recovered = recovered
    write_trace(output, merged.tables, merged.provenance, force=force)
    return merged.provenance


def assemble(spool: Spool, *, software_version: str) -> Merged:
    """The trace that a spool describes."""
    calls = group_calls(pair_attempts(spool.records))
    lineage = Lineage(calls)
    links = {call: link for call in calls if (link := lineage.link(call)) is not None}
    spans = tool_spans(calls, links, marked_tools(spool.records))
    sessions = assign_sessions(calls, links, marked_sessions(spool.records), spans)
    orphans = assign_tools(sessions, spans)
    sessions = sorted(
        (session for session in sessions if session.steps), key=lambda session: session.start_ns
    )
    next_row = _number(sessions, calls, spans)
    for session in sessions:
        connect(session, links)
    rows = _rows(spool, sessions, calls, spans, lineage, links, next_row)
    tables = {kind: table_of(kind, rows[kind]) for kind in Kind if rows.get(kind)}
    return Merged(tables, _provenance(spool, calls, [*spans, *orphans], software_version))


def _number(sessions: Sequence[Session], calls: Sequence[Call], spans: Sequence[ToolSpan]) -> int:
    rows: list[Session | Call | ToolSpan] = [*sessions, *calls, *spans]
    for row_id, row in enumerate(rows):
        row.row_id = row_id
    for session in sessions:
        for step in session.steps:
            step.session_id = session.row_id
    return len(rows)


def _rows(
    spool: Spool,
    sessions: Sequence[Session],
    calls: Sequence[Call],
    spans: Sequence[ToolSpan],
    lineage: Lineage,
    links: dict[Call, Link],
    next_row: int,
) -> dict[Kind, list[Row]]:
    attempts = [(call, index, attempt) for call in calls for index, attempt in enumerate(call.attempts)]
    marks = [record for record in spool.records if record["t"] == "mark"]
    power = [record for record in spool.records if record["t"] == "power"]
    by_key = {session.key: session.row_id for session in sessions if session.key}
    host = spool.run.get("host")
    rows: dict[Kind, list[Row]] = {
        Kind.SESSION: [_session_row(session, host) for session in sessions],
        Kind.LLM_CALL: [_call_row(call, lineage, links.get(call), host) for call in calls],
        Kind.TOOL_SPAN: [_tool_row(span, host) for span in spans],
    }
    row_ids = iter(range(next_row, next_row + len(attempts) + len(marks) + len(power)))
    rows[Kind.HTTP_ATTEMPT] = [
        _attempt_row(next(row_ids), call, index, attempt, host) for call, index, attempt in attempts
    ]
    rows[Kind.MARK] = [_mark_row(next(row_ids), record, host, by_key) for record in marks]
    rows[Kind.POWER_SAMPLE] = [
        _sample_row(next(row_ids), record, Kind.POWER_SAMPLE, host) for record in power
    ]
    return rows


def _session_row(session: Session, host: str | None) -> Row:
    return {
        "row_id": session.row_id,
        "session_id": session.row_id,
        "start_ns": session.start_ns,
        "end_ns": session.end_ns,
        "status": _session_status(session).value,
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


def _call_row(call: Call, lineage: Lineage, link: Link | None, host: str | None) -> Row:
    request, response, outcome = call.last.request, call.last.response, call.last.outcome
    usage = response.get("usage") or {}
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
        "usage_source": response.get("usage_source") or UsageSource.MISSING.value,
        "engine_prefill_ms": response.get("engine_prefill_ms"),
        "engine_decode_ms": response.get("engine_decode_ms"),
        "output_bytes": response.get("output_bytes"),
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
    if not call.parts:
        return {"prompt_bytes": call.last.request.get("prompt_bytes")}
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


def _tool_row(span: ToolSpan, host: str | None) -> Row:
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
    }


def _attempt_row(row_id: int, call: Call, index: int, attempt: Attempt, host: str | None) -> Row:
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


def _mark_row(row_id: int, record: Record, host: str | None, by_key: dict[str, int]) -> Row:
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


def _sample_row(row_id: int, record: Record, kind: Kind, host: str | None) -> Row:
    names = {column.name for column in columns_of(kind)} - {"kind", "row_id", "start_ns", "host"}
    facts = {name: record[name] for name in names & record.keys()}
    return {"row_id": row_id, "start_ns": record["ns"], "host": record.get("host") or host, **facts}


def _provenance(
    spool: Spool, calls: Iterable[Call], spans: Iterable[ToolSpan], software_version: str
) -> Provenance:
    run = spool.run
    return Provenance(
        format_version=FORMAT_VERSION,
        software_version=software_version,
        command=[str(word) for word in run.get("command") or []],
        created_ns=time.time_ns(),
        environment={
            str(key): str(value) for key, value in (run.get("environment") or environment()).items()
        },
        hosts=[Host(str(run.get("host") or "unknown"), int(run.get("clock_offset_ns") or 0), 0)],
        labels={str(key): str(value) for key, value in (run.get("labels") or {}).items()},
        not_seen=_not_seen(spool, list(calls), spans),
    )


def _not_seen(spool: Spool, calls: Sequence[Call], spans: Iterable[ToolSpan]) -> NotSeen:
    notes = [record for record in spool.records if record["t"] == "note"]
    power = [note for note in notes if note.get("what") == "power_unavailable"]
    return NotSeen(
        calls_without_tokens=sum(
            call.status is Status.OK and (call.last.response.get("usage") or {}).get("output") is None
            for call in calls
        ),
        interrupted_calls=sum(call.status is Status.INTERRUPTED for call in calls),
        interrupted_tools=sum(span.status is Status.INTERRUPTED for span in spans),
        processes_not_followed=_tally(notes, "process_not_followed"),
        processes_left_running=sum(_tally(notes, "process_left_running").values()),
        requests_not_read=sum(_tally(notes, "request_not_read").values()),
        hook_errors=_tally(notes, "hook_error") | _tally(notes, "hash_key_missing"),
        unreadable_lines=spool.unreadable_lines,
        lost_records=sum(
            int(note.get("detail") or 1) for note in notes if note.get("what") == "records_lost"
        ),
        power=str(power[0].get("detail")) if power else None,
    )


def _tally(notes: Iterable[Record], what: str) -> dict[str, int]:
    return dict(Counter(str(note.get("detail")) for note in notes if note.get("what") == what))
