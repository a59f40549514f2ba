"""The document of `tracekit analyze`: the recording's half, and the whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tracekit.analyzers.distribution import Distribution
from tracekit.analyzers.recorded import Recorded
from tracekit.assembly.token_class import CLASSES
from tracekit.reports.document import SCHEMA_VERSION, Document
from tracekit.reports.measured import (
    energy_document,
    measured_notes,
    measured_sources,
    power_document,
    rows_document,
    seconds_document,
    sessions_joules,
)
from tracekit.reports.recording import not_seen_lines
from tracekit.reports.what_if import what_if_words
from tracekit.reports.words import plural
from tracekit.trace import Trace
from tracekit.units import percent, seconds
from tracekit.units import ratio_of as ratio


def analysis_document(
    trace: Trace,
    recorded: Recorded,
    replays: list[Document],
    assumptions: list[str],
    sources: dict[str, str],
    over_time: Document | None = None,
    comparison: Document | None = None,
) -> Document:
    """Everything `analyze` says, in the contract's keys.

    `over_time` are those of `recorded` that charts need, `comparison` is of measured and modelled joules.
    """
    labels = "; ".join(f"{name} {text}" for name, text in trace.provenance.labels.items())
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": str(trace.path),
        "headline": _headline(recorded, replays),
        "origin": trace.provenance.origin,
        "labels": trace.provenance.labels,
        "recorded": recorded_document(recorded) | (over_time or {}),
        "replays": replays,
        **({} if recorded.measured is None else {"measured_against_modelled": comparison}),
        "assumptions": [
            *_prompt_notes(recorded),
            *share_notes(recorded),
            *measured_notes(recorded),
            *([f"what was {trace.provenance.origin}: {labels}"] if labels else []),
            *assumptions,
        ],
        "sources": {
            "recorded times": "measured in the client (when the app read the bytes)",
            "tokens": _token_source(trace, recorded),
        }
        | measured_sources(recorded)
        | sources,
        "not_seen": list(not_seen_lines(trace.provenance.not_seen)),
    }


def recorded_document(recorded: Recorded) -> Document:
    """What the recording itself says."""
    share = recorded.shares.totals()
    utilization = recorded.device_utilization
    return {
        "calls": recorded.calls,
        "calls_failed": recorded.calls_failed,
        "sessions": recorded.session_count,
        "tools": recorded.tools,
        "models": recorded.models,
        "makespan_s": recorded.makespan_s,
        "ttft_s": _json(recorded.ttft_s),
        "tpot_s": _json(recorded.tpot_s),
        "e2e_s": _json(recorded.e2e_s),
        "queue_s": None,
        "session_s": _json(recorded.session_s),
        "share": share,
        "idle": {
            "tool_share": share["tool"],
            "no_call_in_flight": recorded.no_call_in_flight,
            "device_idle": None if utilization is None else 1 - utilization,
        },
        "tokens": {
            "input": recorded.input_tokens,
            "output": recorded.output_tokens,
            "cached": recorded.cached_tokens,
            "uncounted_calls": recorded.uncounted_calls,
            "by_class": recorded.tokens_by_class,
            "by_source": {
                source: {"calls": tokens.calls, "input": tokens.input_tokens, "output": tokens.output_tokens}
                for source, tokens in recorded.tokens_by_source.items()
            },
        },
        "prefix": asdict(recorded.prefix),
        "power": [power_document(gpu) for gpu in recorded.power],
        "engines": [asdict(load) for load in recorded.engines],
        "energy_j": energy_document(recorded),
        "timeline": None,
        "critical_paths": None,
    } | _per_row(recorded)


def _per_row(recorded: Recorded) -> Document:
    """Entries a session; with measured joules also a call and a tool, and what GPUs did all the time."""
    sessions = [_session(row) for row in recorded.sessions.iter_rows(named=True)]
    if recorded.measured is None or not recorded.measured.serving:
        return {"per_session": sessions}
    joules = sessions_joules(recorded.measured)
    return {
        **seconds_document(recorded.measured),
        "per_session": [session | joules.get(session["session_id"], {}) for session in sessions],
        **rows_document(recorded.measured),
    }


def _session(row: dict[str, Any]) -> Document:
    length_ns = row["end_ns"] - row["start_ns"]
    classes = {name: row[f"{name}_tokens"] for name in CLASSES}
    return {
        "session_id": row["session_id"],
        "name": row["name"],
        "start_ns": row["start_ns"],
        "session_s": length_ns / 1e9 if row["ended"] else None,
        "calls": row["calls"],
        "tools": row["tools"],
        "tokens": {
            "input": row["input_tokens"],
            "output": row["output_tokens"],
            "cached": row["cached_tokens"],
            "estimated_calls": row["estimated_calls"],
            "uncounted_calls": {side: row[f"uncounted_{side}"] for side in ("input", "output")},
            "by_class": None
            if None in classes.values()
            else _whole(classes) | {"output": row["output_tokens"]},
        },
        **{
            name: {statistic: row[f"{name}_{statistic}"] for statistic in ("mean", "p50", "p95")}
            for name in ("ttft_s", "tpot_s", "e2e_s")
        },
        "share": {
            name: row[f"{name}_ns"] / length_ns if length_ns and row[f"{name}_ns"] is not None else None
            for name in ("llm", "tool", "overlap", "gap")
        },
    }


def _whole(tokens: dict[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in tokens.items()}


def share_notes(recorded: Recorded) -> list[str]:
    """Which sessions are in no sum of time, if any."""
    if not recorded.sessions_without_shares:
        return []
    left_out = plural(recorded.sessions_without_shares, "session")
    return [f"where session time goes leaves out {left_out} with a call or tool whose end nobody knows"]


def _json(spread: Distribution | None) -> Document | None:
    return spread.to_json() if spread else None


def _prompt_notes(recorded: Recorded) -> list[str]:
    if not recorded.prompts_on_server:
        return []
    calls = plural(recorded.prompts_on_server, "call")
    return [f"token classes and prefix reuse leave out {calls} whose prompt the server holds"]


def _token_source(trace: Trace, recorded: Recorded) -> str:
    """Whose counts the token sums are, with the error of those that nobody counted."""
    told = [
        f"{_SOURCES.get(source, source)} ({plural(tokens.calls, 'call')})"
        for source, tokens in recorded.tokens_by_source.items()
        if source != "missing"
    ]
    words = "; ".join(told) or "none"
    rates = [
        f"{row.side} of {row.model or 'an unnamed model'} at {row.tokens_per_byte:.3f} tokens a byte, from "
        f"{plural(row.from_calls, 'counted call')}, {_error(row.median_error)}"
        for row in trace.provenance.estimates
    ]
    return f"{words}: {'; '.join(rates)}" if rates else words


_SOURCES = {
    "server": "the server's usage",
    "injected": "the server's usage, asked for by the recorder",
    "estimated": "estimated by bytes",
    "unstated": "the imported source's",
}


def _error(error: float | None) -> str:
    return "error unknown" if error is None else f"median error {percent(error)} on those"


def _headline(recorded: Recorded, replays: list[Document]) -> str:
    share = recorded.shares.totals()
    failed = f" ({recorded.calls_failed:,} unanswered)" if recorded.calls_failed else ""
    words = (
        f"{plural(recorded.calls, 'call')}{failed} in {plural(recorded.session_count, 'session')} over "
        f"{seconds(recorded.makespan_s)}"
    )
    if share["llm"] is not None:
        words += f"; sessions spent {percent(share['llm'])} in LLM calls, {percent(share['tool'])} in tools"
    if not replays:
        return f"{words}."
    parts = [ratio(replay["gpu_s"]["idle"], replay["gpu_s"]["billed"]) for replay in replays]
    idle = [part for part in parts if part is not None]
    if not idle:
        return f"{words}; replayed, no call could be served."
    span = percent(idle[0]) if len(idle) == 1 else f"{percent(min(idle))} to {percent(max(idle))}"
    what_if = what_if_words(replays[0])
    under = f" ({what_if})" if what_if else ""
    if recorded.calls_not_replayed:
        under += f" without {plural(recorded.calls_not_replayed, 'call')} that nobody counted the tokens of"
    refused = max(replays, key=lambda replay: replay["calls_failed"])
    short = (
        f"; {refused['calls_failed']:,} of {refused['calls'] + refused['calls_failed']:,} calls are longer than a "
        "replica takes, and refused"
        if refused["calls_failed"]
        else ""
    )
    return f"{words}; replayed{under}, the GPU is idle {span} of the time it is paid for{short}."
