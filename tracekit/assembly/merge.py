"""From a spool to a trace: the one place where records become rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tracekit.assembly.adjacency import adjacent_windows
from tracekit.assembly.attempt import pair_attempts
from tracekit.assembly.call import Call, group_calls
from tracekit.assembly.edge import connect
from tracekit.assembly.estimate import estimate_tokens
from tracekit.assembly.honesty import provenance_of
from tracekit.assembly.lineage import Lineage, Link
from tracekit.assembly.nesting import find_frames, find_unmarked_frames, without_twins
from tracekit.assembly.origin import inherited
from tracekit.assembly.row import (
    CLOCK_MARKS,
    Row,
    attempt_row,
    call_row,
    clock_row,
    engine_row,
    mark_row,
    session_row,
    tool_row,
)
from tracekit.assembly.sample import Samples
from tracekit.assembly.session import Session, assign_sessions, assign_tools, marked_sessions, run_starts
from tracekit.assembly.tool_span import ToolSpan, marked_tools, tool_spans
from tracekit.assembly.twin import join_twins
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.spool import Record, Spool, read_spool
from tracekit.trace import TraceWriter, table_of

STREAMED = ("power",)
"""Records that grow with the hours and not with the agent's work: they pass by, a piece at a time."""


@dataclass(frozen=True)
class Merged:
    """A recording's rows by kind, and its provenance; rows of what is streamed are numbered from `next_row`."""

    tables: dict[Kind, pa.Table]
    provenance: Provenance
    next_row: int


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
    spool = read_spool(directory, STREAMED)
    merged = assemble(spool, software_version=software_version)
    provenance = merged.provenance
    if exit_code is not None:
        provenance.exit_code = exit_code
    provenance.recovered = recovered
    unfit: list[str] = []
    with TraceWriter(output, force=force) as writer:
        for kind in Kind:
            if kind in merged.tables:
                writer.write(merged.tables[kind])
        for table in _samples(spool).tables(spool.stream(), merged.next_row, unfit.append):
            writer.write(table)
        provenance.not_seen.unfit_values += len(unfit)
        writer.provenance = provenance
    return provenance


def assemble(spool: Spool, *, software_version: str) -> Merged:
    """The trace that a spool describes."""
    records = inherited(spool.records)
    calls = group_calls(join_twins(pair_attempts(records)))
    estimates = estimate_tokens(calls)
    lineage = Lineage(calls)
    links = {call: link for call in calls if (link := lineage.link(call)) is not None}
    marked, stands_for = without_twins(marked_tools(records))
    find_frames(calls, stands_for)
    spans = tool_spans(calls, links, marked)
    sessions = assign_sessions(calls, links, marked_sessions(records), run_starts(records))
    spans += adjacent_windows(sessions, links, spans)
    find_unmarked_frames(spans, calls)
    assign_tools(sessions, spans)
    sessions = sorted(
        (session for session in sessions if session.steps or session.key),
        key=lambda session: session.start_ns,
    )
    next_row = _number(sessions, calls, spans)
    for session in sessions:
        connect(session, links)
    rows = _rows(spool, sessions, calls, spans, lineage, links, next_row)
    next_row += len(rows[Kind.HTTP_ATTEMPT]) + len(rows[Kind.MARK]) + len(rows[Kind.ENGINE_SAMPLE])
    unfit: list[str] = []
    tables = {kind: table_of(kind, rows[kind], unfit.append) for kind in Kind if rows.get(kind)}
    power = [record for record in spool.records if record["t"] == "power"]
    samples = list(_samples(spool).tables(power, next_row, unfit.append))
    if samples:
        tables[Kind.POWER_SAMPLE] = pa.concat_tables(samples)
    provenance = provenance_of(spool, calls, spans, software_version)
    provenance.not_seen.unfit_values = len(unfit)
    provenance.estimates = estimates
    return Merged(tables, provenance, next_row + len(power))


def _samples(spool: Spool) -> Samples:
    devices: Iterable[Record] = (record for record in spool.records if record["t"] == "device")
    return Samples(devices, spool.run.get("host"))


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
    clocks = [record for record in spool.records if record["t"] in CLOCK_MARKS]
    engine = [record for record in spool.records if record["t"] == "engine"]
    by_key = {session.key: session.row_id for session in sessions if session.key}
    host = spool.run.get("host")
    rows: dict[Kind, list[Row]] = {
        Kind.SESSION: [session_row(session, host) for session in sessions],
        Kind.LLM_CALL: [call_row(call, lineage, links.get(call), host) for call in calls],
        Kind.TOOL_SPAN: [tool_row(span, host) for span in spans],
    }
    row_ids = iter(range(next_row, next_row + len(attempts) + len(marks) + len(clocks) + len(engine)))
    rows[Kind.HTTP_ATTEMPT] = [
        attempt_row(next(row_ids), call, index, attempt, host) for call, index, attempt in attempts
    ]
    rows[Kind.MARK] = [mark_row(next(row_ids), record, host, by_key) for record in marks]
    rows[Kind.MARK] += [clock_row(next(row_ids), record, host) for record in clocks]
    rows[Kind.ENGINE_SAMPLE] = [engine_row(next(row_ids), record, host) for record in engine]
    return rows
