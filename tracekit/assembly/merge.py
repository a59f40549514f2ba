"""From a spool to a trace: the one place where records become rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tracekit.assembly.attempt import pair_attempts
from tracekit.assembly.call import Call, group_calls
from tracekit.assembly.edge import connect
from tracekit.assembly.honesty import provenance_of
from tracekit.assembly.lineage import Lineage, Link
from tracekit.assembly.row import Row, attempt_row, call_row, mark_row, sample_row, session_row, tool_row
from tracekit.assembly.session import Session, assign_sessions, assign_tools, marked_sessions
from tracekit.assembly.tool_span import ToolSpan, marked_tools, tool_spans
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.spool import Spool, read_spool
from tracekit.trace import table_of, write_trace


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
    if exit_code is not None:
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
    assign_tools(sessions, spans)
    sessions = sorted(
        (session for session in sessions if session.steps or session.key),
        key=lambda session: session.start_ns,
    )
    next_row = _number(sessions, calls, spans)
    for session in sessions:
        connect(session, links)
    rows = _rows(spool, sessions, calls, spans, lineage, links, next_row)
    unfit: list[str] = []
    tables = {kind: table_of(kind, rows[kind], unfit.append) for kind in Kind if rows.get(kind)}
    provenance = provenance_of(spool, calls, spans, software_version)
    provenance.not_seen.unfit_values = len(unfit)
    return Merged(tables, provenance)


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
    engine = [record for record in spool.records if record["t"] == "engine"]
    by_key = {session.key: session.row_id for session in sessions if session.key}
    host = spool.run.get("host")
    rows: dict[Kind, list[Row]] = {
        Kind.SESSION: [session_row(session, host) for session in sessions],
        Kind.LLM_CALL: [call_row(call, lineage, links.get(call), host) for call in calls],
        Kind.TOOL_SPAN: [tool_row(span, host) for span in spans],
    }
    row_ids = iter(range(next_row, next_row + len(attempts) + len(marks) + len(power) + len(engine)))
    rows[Kind.HTTP_ATTEMPT] = [
        attempt_row(next(row_ids), call, index, attempt, host) for call, index, attempt in attempts
    ]
    rows[Kind.MARK] = [mark_row(next(row_ids), record, host, by_key) for record in marks]
    rows[Kind.POWER_SAMPLE] = [sample_row(next(row_ids), record, Kind.POWER_SAMPLE, host) for record in power]
    rows[Kind.ENGINE_SAMPLE] = [
        sample_row(next(row_ids), record, Kind.ENGINE_SAMPLE, host) for record in engine
    ]
    return rows
