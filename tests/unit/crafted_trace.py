"""Traces row by row, so that a test can write what no recorder would."""

from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import table_of, write_trace


def session_row(row, start_ms=0, end_ms=1000, **more):
    return {
        "row_id": row,
        "start_ns": int(start_ms * 1e6),
        "end_ns": int(end_ms * 1e6),
        "status": "ok",
    } | more


def call_row(row, start_ms, end_ms, session=0, parents=(), **more):
    tokens = {"input_tokens": 100, "output_tokens": 10}
    step = {"session_id": session, "parents": list(parents)}
    return session_row(row, start_ms, end_ms) | step | tokens | more


def tool_row(row, start_ms, end_ms, session=0, parents=(), **more):
    return session_row(row, start_ms, end_ms) | {"session_id": session, "parents": list(parents)} | more


def write_crafted(path, calls, tools=(), sessions=None, power=()):
    rows = {
        Kind.SESSION: [session_row(0)] if sessions is None else sessions,
        Kind.LLM_CALL: calls,
        Kind.TOOL_SPAN: list(tools),
        Kind.POWER_SAMPLE: list(power),
    }
    tables = {kind: table_of(kind, found) for kind, found in rows.items() if found}
    write_trace(path, tables, Provenance(1, "0", [], 0), force=True)
    return path
