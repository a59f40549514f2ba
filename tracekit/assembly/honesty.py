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
        hosts=[
            Host(str(run.get("host") or "unknown"), run.get("clock_offset_ns"), boot_id=run.get("boot_id"))
        ],
        labels={str(key): str(value) for key, value in (run.get("labels") or {}).items()},
        not_seen=not_seen(spool, list(calls), spans),
        content=_content(run),
        exit_code=exit_code if isinstance(exit_code := run.get("exit_code"), int) else None,
    )


def not_seen(spool: Spool, calls: Sequence[Call], spans: Iterable[ToolSpan]) -> NotSeen:
    """Everything the recording knows it missed, counted."""
    notes = [record for record in spool.records if record["t"] == "note"]
    power = [note for note in notes if note.get("what") == "power_unavailable"]
    apart = [note for note in notes if note.get("what") == "process_not_followed"] or _nobody(spool)
    return NotSeen(
        calls_without_tokens=sum(_lacks_tokens(call) for call in calls),
        calls_estimated=sum(bool(call.estimate) for call in calls),
        streams_not_asked=sum(_could_be_asked(call) for call in calls),
        usage_refusals=_tally(notes, "usage_refused", "usage_not_hidden"),
        interrupted_calls=sum(call.status is Status.INTERRUPTED for call in calls),
        interrupted_tools=sum(span.status is Status.INTERRUPTED for span in spans),
        processes_not_followed=_count(note for note in apart if not note.get("by_proxy")),
        processes_by_proxy=_count(note for note in apart if note.get("by_proxy")),
        processes_left_running=sum(_tally(notes, "process_left_running").values()),
        requests_not_read=sum(_tally(notes, "request_not_read").values()),
        hook_errors=_tally(notes, "hook_error", "hash_key_missing", "score_not_read"),
        frameworks_not_hooked=_tally(notes, "framework_not_hooked"),
        unreadable_lines=spool.unreadable_lines,
        lost_records=_lost(spool, notes),
        power=str(power[0].get("detail")) if power else None,
        power_faults=_tally(notes, "power_fault"),
        clocks=_tally(notes, "clock_silent", "clock_unavailable"),
        engine_metrics=_without_metrics(spool, notes),
    )


def _content(run: Record) -> str:
    choices = run.get("choices")
    return str(choices.get("content") or "none") if isinstance(choices, dict) else "none"


def _without_metrics(spool: Spool, notes: Iterable[Record]) -> list[str]:
    """Servers whose metrics never were there, ENDPOINT: WHY."""
    sampled = {record.get("endpoint") for record in spool.records if record["t"] == "engine"}
    told = [str(note.get("detail")) for note in notes if note.get("what") == "engine_metrics_unavailable"]
    return sorted({words for words in told if words.rpartition(": ")[0] not in sampled})


def _lacks_tokens(call: Call) -> bool:
    needed = "input" if call.first.request.get("api") == "embeddings" else "output"
    return _is_answered(call) and call.usage.get(needed) is None


def _is_answered(call: Call) -> bool:
    return call.status in (Status.OK, Status.CANCELLED)


def _could_be_asked(call: Call) -> bool:
    """Whether `--usage inject` would have asked for the tokens that the server did not tell."""
    request = call.last.request
    is_open = request.get("stream") is True and request.get("include_usage") is None
    return (
        _is_answered(call)
        and not call.server_usage
        and is_open
        and request.get("api") in ("chat", "completions")
    )


def _pythons(spool: Spool) -> list[str]:
    """The versions of Python that were recorded."""
    return sorted({str(record.get("python")) for record in spool.records if record["t"] == "process"})


def _nobody(spool: Spool) -> list[Record]:
    """The command itself, if no process of the run ever reported: nothing could be put into it."""
    command = spool.run.get("command")
    if (
        not command
        or spool.run.get("agent") is False
        or any(record["t"] == "process" for record in spool.records)
    ):
        return []
    return [{"detail": Path(str(command[0])).name, "by_proxy": bool(spool.run.get("proxy"))}]


def _lost(spool: Spool, notes: Iterable[Record]) -> int:
    """The writers' own count; the notes tell the same losses, where a record got through afterwards."""
    if spool.lost_records is not None:
        return spool.lost_records
    told = [str(note.get("detail")) for note in notes if note.get("what") == "records_lost"]
    return sum(int(count) if count.isdigit() else 1 for count in told)


def _tally(notes: Iterable[Record], *what: str) -> dict[str, int]:
    return _count(note for note in notes if note.get("what") in what)


def _count(notes: Iterable[Record]) -> dict[str, int]:
    return dict(Counter(str(note.get("detail")) for note in notes))
