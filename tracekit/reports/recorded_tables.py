"""What was recorded, as tables on a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from tracekit import units
from tracekit.reports.joules import session_joules
from tracekit.reports.number_table import number_table
from tracekit.reports.words import CLASSES, plural, shown_name, token_sum

Document = dict[str, Any]
_LATENCIES = (
    ("TTFT", "ttft_s"),
    ("TPOT", "tpot_s"),
    ("call", "e2e_s"),
    ("queue", "queue_s"),
    ("session", "session_s"),
)
_UNCOUNTED = {"estimated": "of these estimated by bytes"}
SLOWEST = 8


def latency_table(part: Document) -> Table:
    """Latencies of calls and sessions."""
    table = number_table(
        "Latency, recorded (measured)", "", "n", "mean", "p50", "p90", "p95", "p99", "p95/p50", "CV"
    )
    for label, key in _LATENCIES:
        spread = part.get(key)
        if spread is not None:
            values = [units.seconds(spread[name]) for name in ("mean", "p50", "p90", "p95", "p99")]
            table.add_row(
                label,
                units.count(spread["n"]),
                *values,
                units.ratio(spread["p95_over_p50"]),
                units.ratio(spread["cv"]),
            )
    return table


def share_table(recorded: Document) -> Table:
    """Session time by what it goes to, and the three numbers that are called idle."""
    table = number_table("Where session time goes (measured)", "", "share")
    share = recorded["share"]
    table.add_row("LLM calls", units.percent(share["llm"]))
    table.add_row("tools", units.percent(share["tool"]))
    table.add_row("both at once", units.percent(share["overlap"]))
    table.add_row("neither (client, framework, think time)", units.percent(share["gap"]), end_section=True)
    idle = recorded["idle"]
    table.add_row("idle 1: tool share of session time", units.percent(idle["tool_share"]))
    table.add_row("idle 2: time with no LLM call in flight", units.percent(idle["no_call_in_flight"]))
    device = idle["device_idle"]
    table.add_row(
        "idle 3: device not utilised", "no GPU samples" if device is None else units.percent(device)
    )
    return table


def token_table(recorded: Document) -> Table:
    """Tokens by side, by class and by who counted them, and what was there before."""
    tokens, prefix = recorded["tokens"], recorded["prefix"]
    table = number_table("Tokens (server's usage; classes by bytes)", "", "tokens")
    for side in ("input", "output"):
        table.add_row(side, token_sum(tokens, side))
        for source, words in _UNCOUNTED.items():
            part = tokens["by_source"].get(source)
            if part is not None and part[side] is not None:
                table.add_row(f"  {words} ({plural(part['calls'], 'call')})", units.count(part[side]))
    table.add_section()
    if tokens["by_class"] is not None:
        for key, label in CLASSES.items():
            table.add_row(f"  {label}", units.count(tokens["by_class"][key]), end_section=key == "output")
    table.add_row("input from the server's prefix cache", units.percent(prefix["server_cached"]))
    table.add_row("input seen before, in prompts or answers", units.percent(prefix["shareable"]))
    agreement = prefix["agreement"]
    if agreement is not None:
        share = units.percent(agreement["agreeing"] / agreement["calls"])
        table.add_row("  calls where the two agree", f"{share} of {units.count(agreement['calls'])}")
        table.add_row("  cached tokens that were seen before", units.percent(agreement["explained"]))
    return table


def engine_table(loads: list[Document]) -> Table:
    """A row for each server whose metrics were read."""
    table = number_table(
        "Servers' own metrics (all their clients)",
        "server",
        "model",
        "samples",
        "running",
        "waiting",
        "KV in use",
        "prefix hits",
        "preemptions",
    )
    for load in loads:
        restarts = f", restarted {load['restarts']} x" if load["restarts"] else ""
        table.add_row(
            f"{load['engine']} {load['endpoint']}{restarts}",
            load["model"] or "-",
            units.count(load["samples"]),
            _level(load["running"], "{:.1f} / {:.0f}"),
            _level(load["waiting"], "{:.1f} / {:.0f}"),
            _level(load["kv_fraction"], "{:.1%} / {:.1%}"),
            units.percent(load["hit_share"]),
            units.count(load["preemptions"]),
        )
    table.caption = "running, waiting, KV in use: mean / max"
    table.caption_justify = "left"
    return table


def _level(level: Document | None, form: str) -> str:
    return "-" if level is None else form.format(level["mean"], level["max"])


def session_table(sessions: list[Document], count: int) -> Table:
    """The slowest sessions, slowest first; `count` is how many there are."""
    shown = sorted(sessions, key=lambda session: -(session["session_s"] or 0))[:SLOWEST]
    more = f"; the slowest {len(shown)} of {count}" if count > len(shown) else ""
    is_measured = any("energy_j" in session for session in shown)
    table = number_table(
        f"Sessions{more}",
        "session",
        "time",
        "calls",
        "tools",
        "input",
        "output",
        "LLM",
        "tools",
        "both",
        "neither",
        *(["energy"] if is_measured else []),
    )
    for session in shown:
        share = session["share"]
        table.add_row(
            shown_name(session["name"] or "") or str(session["session_id"]),
            units.seconds(session["session_s"]),
            str(session["calls"]),
            str(session["tools"]),
            *(token_sum(session["tokens"], side) for side in ("input", "output")),
            *(units.percent(share[name]) for name in ("llm", "tool", "overlap", "gap")),
            *([session_joules(session)] if is_measured else []),
        )
    return table
