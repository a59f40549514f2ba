"""What `record` and `recover` say at the end: what was seen, what was not, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from tracekit.provenance import NotSeen
from tracekit.schema import Kind
from tracekit.trace import Trace


def recording_lines(path: Path) -> Iterator[str]:
    """The lines, without line ends."""
    trace = Trace.open(path)
    calls = trace.count(Kind.LLM_CALL)
    yield (
        f"tracekit: {plural(calls, 'LLM call')} in {plural(trace.count(Kind.SESSION), 'session')}, "
        f"{plural(trace.count(Kind.TOOL_SPAN), 'tool span')}, "
        f"{plural(trace.count(Kind.POWER_SAMPLE), 'power sample')} -> {path}"
    )
    gaps = list(not_seen_lines(trace.provenance.not_seen))
    if gaps:
        yield "tracekit: not seen: " + "; ".join(gaps)
    if not calls:
        yield (
            "tracekit: no LLM call was seen. Python clients on httpx, httpx2, aiohttp, urllib3 (so requests), "
            "http.client or websockets are recorded; `tracekit doctor` shows what is there."
        )
    yield f"Next: tracekit {'analyze' if calls else 'info'} {shlex.quote(str(path))}"


def not_seen_lines(not_seen: NotSeen) -> Iterator[str]:
    """One phrase for each thing that the recording knows it missed."""
    if not_seen.power:
        yield f"GPU power ({not_seen.power})"
    if not_seen.calls_without_tokens:
        yield f"tokens of {plural(not_seen.calls_without_tokens, 'call')}"
    if not_seen.interrupted_calls:
        yield f"the end of {plural(not_seen.interrupted_calls, 'call')} (interrupted)"
    if not_seen.interrupted_tools:
        yield f"the end of {plural(not_seen.interrupted_tools, 'tool span')} (interrupted)"
    for program, count in sorted(not_seen.processes_not_followed.items()):
        yield f"inside {plural(count, 'process', 'processes')} of {program}"
    if not_seen.processes_left_running:
        yield f"the end of {plural(not_seen.processes_left_running, 'process', 'processes')} left running"
    if not_seen.requests_not_read:
        yield f"{plural(not_seen.requests_not_read, 'request')} whose body was streamed or compressed"
    for what, count in sorted(not_seen.hook_errors.items()):
        yield f"{plural(count, 'attempt')} where the recorder failed ({what})"
    if not_seen.unfit_values:
        yield f"{plural(not_seen.unfit_values, 'value')} that no column could hold"
    if not_seen.unreadable_lines:
        yield plural(not_seen.unreadable_lines, "torn record")
    if not_seen.lost_records:
        yield f"{plural(not_seen.lost_records, 'record')} that could not be written"
    yield from _not_in_source(not_seen)


def _not_in_source(not_seen: NotSeen) -> Iterator[str]:
    """What an imported source did not say, or said badly."""
    for reason, count in sorted(not_seen.bad_rows.items()):
        yield f"{plural(count, 'row')} of the source ({reason})"
    if not_seen.calls_without_end:
        yield f"the end of {plural(not_seen.calls_without_end, 'call')} (the source has none)"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """1 call, 2 calls, 1,000 calls."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
