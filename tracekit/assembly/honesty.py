"""What a recording says of itself: who made it, on which clock, and what it did not see."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tracekit.assembly.call import Call
from tracekit.assembly.tool_span import ToolSpan
from tracekit.provenance import Host, NotSeen, Provenance, environment
from tracekit.schema import FORMAT_VERSION, Status
from tracekit.spool import Record, Spool


def provenance_of(
    spool: Spool, calls: Iterable[Call], spans: Iterable[ToolSpan], software_version: str
) -> Provenance:
    """The trace's provenance, from what the supervisor wrote and what the records show."""
    run = spool.run
    return Provenance(
        format_version=FORMAT_VERSION,
        software_version=software_version,
        command=[str(word) for word in run.get("command") or []],
        created_ns=time.time_ns(),
        environment=environment() | {"agent_python": ", ".join(_pythons(spool)) or "none seen"},
        hosts=[Host(str(run.get("host") or "unknown"), run.get("clock_offset_ns"))],
        labels={str(key): str(value) for key, value in (run.get("labels") or {}).items()},
        not_seen=not_seen(spool, list(calls), spans),
        exit_code=exit_code if isinstance(exit_code := run.get("exit_code"), int) else None,
    )


def not_seen(spool: Spool, calls: Sequence[Call], spans: Iterable[ToolSpan]) -> NotSeen:
    """Everything the recording knows it missed, counted."""
    notes = [record for record in spool.records if record["t"] == "note"]
    power = [note for note in notes if note.get("what") == "power_unavailable"]
    return NotSeen(
        calls_without_tokens=sum(_lacks_tokens(call) for call in calls),
        interrupted_calls=sum(call.status is Status.INTERRUPTED for call in calls),
        interrupted_tools=sum(span.status is Status.INTERRUPTED for span in spans),
        processes_not_followed=_tally(notes, "process_not_followed") or _nobody(spool),
        processes_left_running=sum(_tally(notes, "process_left_running").values()),
        requests_not_read=sum(_tally(notes, "request_not_read").values()),
        hook_errors=_tally(notes, "hook_error", "hash_key_missing", "score_not_read"),
        unreadable_lines=spool.unreadable_lines,
        lost_records=_lost(spool, notes),
        power=str(power[0].get("detail")) if power else None,
        engine_metrics=_without_metrics(spool, notes),
    )


def _without_metrics(spool: Spool, notes: Iterable[Record]) -> list[str]:
    """Servers whose metrics never were there, ENDPOINT: WHY."""
    sampled = {record.get("endpoint") for record in spool.records if record["t"] == "engine"}
    told = [str(note.get("detail")) for note in notes if note.get("what") == "engine_metrics_unavailable"]
    return sorted({words for words in told if words.rpartition(": ")[0] not in sampled})


def _lacks_tokens(call: Call) -> bool:
    usage = call.last.response.get("usage") or {}
    needed = "input" if call.first.request.get("api") == "embeddings" else "output"
    return call.status in (Status.OK, Status.CANCELLED) and usage.get(needed) is None


def _pythons(spool: Spool) -> list[str]:
    """The versions of Python that were recorded."""
    return sorted({str(record.get("python")) for record in spool.records if record["t"] == "process"})


def _nobody(spool: Spool) -> dict[str, int]:
    """The command itself, if no process of the run ever reported: nothing could be put into it."""
    command = spool.run.get("command")
    if not command or any(record["t"] == "process" for record in spool.records):
        return {}
    return {Path(str(command[0])).name: 1}


def _lost(spool: Spool, notes: Iterable[Record]) -> int:
    """The writers' own count; the notes tell the same losses, where a record got through afterwards."""
    if spool.lost_records is not None:
        return spool.lost_records
    told = [str(note.get("detail")) for note in notes if note.get("what") == "records_lost"]
    return sum(int(count) if count.isdigit() else 1 for count in told)


def _tally(notes: Iterable[Record], *what: str) -> dict[str, int]:
    return dict(Counter(str(note.get("detail")) for note in notes if note.get("what") in what))
