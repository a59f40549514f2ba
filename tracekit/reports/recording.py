"""What `record` and `recover` say at the end: what was seen, what was not, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from tracekit.provenance import NotSeen
from tracekit.reports.words import plural
from tracekit.schema import Kind
from tracekit.trace import Trace
from tracekit.units import percent


def counted(path: Path) -> str:
    """What a trace holds, in a phrase."""
    trace = Trace.open(path)
    of_engines = trace.count(Kind.ENGINE_SAMPLE)
    metrics = f", {plural(of_engines, 'engine sample')}" if of_engines else ""
    return (
        f"{plural(trace.count(Kind.LLM_CALL), 'LLM call')} in {plural(trace.count(Kind.SESSION), 'session')}, "
        f"{plural(trace.count(Kind.TOOL_SPAN), 'tool span')}, "
        f"{plural(trace.count(Kind.POWER_SAMPLE), 'power sample')}{metrics}"
    )


def recording_lines(path: Path, *, of_agent: bool = True) -> Iterator[str]:
    """The lines, without line ends; without an agent there is none whose calls could be missing."""
    trace = Trace.open(path)
    calls = trace.count(Kind.LLM_CALL)
    yield f"tracekit: {counted(path)} -> {path}"
    if trace.provenance.content != "none":
        yield f"tracekit: the trace holds {content_words(trace.provenance.content)}"
    gaps = list(not_seen_lines(trace.provenance.not_seen))
    if gaps:
        yield "tracekit: not seen: " + "; ".join(gaps)
    yield from _prefix_lines(trace, calls)
    if trace.provenance.not_seen.streams_not_asked:
        streams = plural(trace.provenance.not_seen.streams_not_asked, "stream")
        yield f"tracekit: {streams} came without token counts; `tracekit record --usage inject` asks servers for them"
    if not calls and of_agent:
        yield (
            "tracekit: no LLM call was seen. Python clients on httpx, httpx2, aiohttp, urllib3 (so requests), "
            "http.client or websockets are recorded, others if a base-URL variable of theirs leads through --proxy; "
            "`tracekit doctor` shows what is there."
        )
    yield f"Next: tracekit {'analyze' if calls else 'info'} {shlex.quote(str(path))}"


MOST_CALLS = 2000
"""Of a recording whose prefixes are compared right away; `analyze` compares those of any."""


def _prefix_lines(trace: Trace, calls: int) -> Iterator[str]:
    """Whether the server's cache did what equal prompts let expect, if it told."""
    if not 0 < calls <= MOST_CALLS:
        return
    from tracekit.analyzers.prefix import prefix_reuse  # noqa: PLC0415  (slow to load, and a replay needs it not)

    agreement = prefix_reuse(trace).agreement
    if agreement is None:
        return
    explained = (
        "" if agreement.explained is None else f"; {percent(agreement.explained)} of them are explained"
    )
    yield (
        f"tracekit: the server's cached tokens agree with the prompts' shared prefixes in "
        f"{percent(agreement.agreeing / agreement.calls)} of {plural(agreement.calls, 'call')}{explained}"
    )


def content_words(content: str) -> str:
    """What a trace made with this --content holds, and what that means for whoever has it."""
    if content == "full":
        return "prompts and answers in full (--content full): share it as you would share them"
    return (
        "prompts and answers (--content redacted): keys and personal data of known shapes are replaced, "
        "names and whatever else has no shape are not"
    )


def not_seen_lines(not_seen: NotSeen) -> Iterator[str]:
    """One phrase for each thing that the recording knows it missed."""
    yield from _samples_not_seen(not_seen)
    yield from _tokens_not_seen(not_seen)
    if not_seen.interrupted_calls:
        yield f"the end of {plural(not_seen.interrupted_calls, 'call')} (interrupted)"
    if not_seen.interrupted_tools:
        yield f"the end of {plural(not_seen.interrupted_tools, 'tool span')} (interrupted)"
    for program, count in sorted(not_seen.processes_not_followed.items()):
        yield f"inside {plural(count, 'process', 'processes')} of {program}"
    for program, count in sorted(not_seen.processes_by_proxy.items()):
        yield f"inside {plural(count, 'process', 'processes')} of {program} (its LLM calls by proxy only)"
    if not_seen.processes_left_running:
        yield f"the end of {plural(not_seen.processes_left_running, 'process', 'processes')} left running"
    if not_seen.requests_not_read:
        yield f"{plural(not_seen.requests_not_read, 'request')} whose body was streamed or compressed"
    for what, count in sorted(not_seen.hook_errors.items()):
        yield f"{plural(count, 'attempt')} where the recorder failed ({what})"
    for function in sorted(not_seen.frameworks_not_hooked):
        yield f"what {function} does (this release has another shape; its tools are timed by requests)"
    if not_seen.unfit_values:
        yield f"{plural(not_seen.unfit_values, 'value')} that no column could hold"
    if not_seen.unreadable_lines:
        yield plural(not_seen.unreadable_lines, "torn record")
    if not_seen.lost_records:
        yield f"{plural(not_seen.lost_records, 'record')} that could not be written"
    yield from _not_in_source(not_seen)


def _samples_not_seen(not_seen: NotSeen) -> Iterator[str]:
    """Power, clocks of other hosts, metrics of servers."""
    if not_seen.power:
        yield f"GPU power ({not_seen.power})"
    yield from (f"power in full ({fault})" for fault in sorted(not_seen.power_faults))
    yield from (f"the clock of {host}" for host in sorted(not_seen.clocks))
    for words in not_seen.engine_metrics:
        endpoint, _, why = words.rpartition(": ")
        yield f"metrics of the server {endpoint} ({why})"


def _tokens_not_seen(not_seen: NotSeen) -> Iterator[str]:
    """What servers did not count, or would not."""
    if not_seen.calls_without_tokens:
        yield f"tokens of {plural(not_seen.calls_without_tokens, 'call')}"
    if not_seen.calls_estimated:
        yield f"tokens of {plural(not_seen.calls_estimated, 'call')} (estimated by bytes)"
    for host, count in sorted(not_seen.usage_refusals.items()):
        yield f"usage of streams of {host} (refused in {plural(count, 'process', 'processes')})"


def _not_in_source(not_seen: NotSeen) -> Iterator[str]:
    """What an imported source did not say, or said badly."""
    for reason, count in sorted(not_seen.bad_rows.items()):
        yield f"{plural(count, 'row')} of the source ({reason})"
    if not_seen.calls_without_end:
        yield f"the end of {plural(not_seen.calls_without_end, 'call')} (the source has none)"
