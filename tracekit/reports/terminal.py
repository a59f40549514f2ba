"""A document of `analyze` or `replay` as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from tracekit import units
from tracekit.reports.joules import comparison_table, joules_table, power_line, session_joules
from tracekit.reports.number_table import number_table
from tracekit.reports.recording import plural
from tracekit.reports.words import CAUSES, CLASSES, fleet_name

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
FILE_WIDTH = 120


def wide_console() -> Console:
    """Standard output; where it is no terminal, lines may be as long as a table needs."""
    console = _Console()
    return console if console.is_terminal else _Console(width=FILE_WIDTH)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves the reader that went away to the command line, where it is no failure."""
        raise BrokenPipeError


def print_analysis(document: Document, console: Console | None = None) -> None:
    """The whole document: headline, what was recorded, what was replayed, assumptions, next command."""
    console = console or wide_console()
    recorded = document.get("recorded")
    if recorded is not None:
        _print_assumed(console, document)
        _line(console, document["headline"], bold=True)
        if document["labels"]:
            labels = "; ".join(f"{name}: {text}" for name, text in document["labels"].items())
            what = (
                "Imported" if document["origin"] == "imported" else "What was recorded is no user's workload"
            )
            _line(console, f"{what}: {labels}.")
        console.print()
        _print_recorded(console, recorded)
        if document.get("measured_against_modelled"):
            console.print(comparison_table(document["measured_against_modelled"]))
    print_replays(document, console)
    if document.get("next"):
        _line(console, f"Next: {document['next']}")


def print_replay(document: Document, console: Console | None = None) -> None:
    """A document of `replay`."""
    console = console or wide_console()
    _print_assumed(console, document)
    if document["steady"] is not None:
        _line(console, _steady_words(document["steady"]))
    print_replays(document, console)


def _steady_words(steady: Document) -> str:
    if steady["session_s"] is None:
        return "Steady state: none; no session arrived after the first have filled the fleet. Draw more --sessions."
    words = (
        f"Steady state: {units.count(steady['sessions'])} sessions released from {units.seconds(steady['start_s'])} "
        f"to {units.seconds(steady['end_s'])}, session p50 / p95 {_pair(steady['session_s'])}"
    )
    return f"{words}; UNSTABLE: they end more slowly than they arrive." if steady["unstable"] else f"{words}."


def _print_assumed(console: Console, document: Document) -> None:
    """First of all, what the user did not choose."""
    for name in dict.fromkeys(name for replay in document["replays"] for name in replay["assumed"]):
        _line(console, f"assumed: {name} (nothing in the trace or on the command line says so)")


def print_replays(document: Document, console: Console) -> None:
    """The replays side by side, then assumptions and sources."""
    replays = document.get("replays") or []
    if replays:
        console.print(_replay_table(replays))
    _print_notes(console, document)


def _print_recorded(console: Console, recorded: Document) -> None:
    console.print(_latency_table(recorded))
    console.print(_share_table(recorded))
    if recorded["tokens"]["input"] is not None:
        console.print(_token_table(recorded))
    for gpu in recorded["power"]:
        _line(console, power_line(gpu))
    if any(recorded["energy_j"].get("by_phase", {}).values()):
        console.print(joules_table(recorded))
    if recorded["engines"]:
        console.print(_engine_table(recorded["engines"]))
    console.print(_session_table(recorded["per_session"], recorded["sessions"]))


def _latency_table(part: Document) -> Table:
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


def _share_table(recorded: Document) -> Table:
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


def _token_table(recorded: Document) -> Table:
    tokens, prefix = recorded["tokens"], recorded["prefix"]
    table = number_table("Tokens (server's usage; classes by bytes)", "", "tokens")
    for side in ("input", "output"):
        table.add_row(side, units.count(tokens[side]))
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


def _engine_table(loads: list[Document]) -> Table:
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


def _session_table(sessions: list[Document], count: int) -> Table:
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
            session["name"] or str(session["session_id"]),
            units.seconds(session["session_s"]),
            str(session["calls"]),
            str(session["tools"]),
            *(_session_tokens(session["tokens"], side) for side in ("input", "output")),
            *(units.percent(share[name]) for name in ("llm", "tool", "overlap", "gap")),
            *([session_joules(session)] if is_measured else []),
        )
    return table


def _session_tokens(tokens: Document, side: str) -> str:
    """A sum, with a tilde where some of it is estimated."""
    is_estimated = tokens["estimated_calls"] and tokens[side] is not None
    return f"~{units.count(tokens[side])}" if is_estimated else units.count(tokens[side])


def _kv_use(fraction: Document) -> str:
    return f"{units.percent(fraction['mean'])} / {units.percent(fraction['max'])}"


def _replay_table(replays: list[Document]) -> Table:
    title = "Replayed (modelled)"
    table = number_table(title, "", *(fleet_name(replay["fleet"]) for replay in replays))

    def row(label: str, values: Iterable[str], *, end: bool = False) -> None:
        table.add_row(label, *values, end_section=end)

    row("model", (replay["fleet"]["model"] for replay in replays))
    row("makespan", (units.seconds(replay["makespan_s"]) for replay in replays))
    row("session p50 / p95", (_pair(replay["session_s"]) for replay in replays))
    row("TTFT p50 / p95", (_pair(replay["ttft_s"]) for replay in replays))
    row("TPOT p50 / p95", (_pair(replay["tpot_s"]) for replay in replays))
    row("input from the prefix cache", (units.percent(replay["prefix_hit_fraction"]) for replay in replays))
    row("KV memory used, mean / most", (_kv_use(replay["kv_fraction"]) for replay in replays), end=True)
    if any(replay["preemptions"] for replay in replays):
        row(
            "preemptions (computed again)",
            (units.count(replay["preemptions"]) for replay in replays),
            end=True,
        )
    row(
        "GPU idle",
        (
            units.percent(units.ratio_of(replay["gpu_s"]["idle"], replay["gpu_s"]["billed"]))
            for replay in replays
        ),
    )
    for cause, label in CAUSES.items():
        if any(replay["idle_s"][cause] for replay in replays):
            row(
                f"  {label}",
                (
                    units.percent(units.ratio_of(replay["idle_s"][cause], replay["gpu_s"]["billed"]))
                    for replay in replays
                ),
            )
    table.add_section()
    row("energy", (units.energy(replay["energy_j"]["total"]) for replay in replays))
    row(
        "  of it idle",
        (
            units.percent(units.ratio_of(replay["energy_j"]["by_phase"]["idle"], replay["energy_j"]["total"]))
            for replay in replays
        ),
    )
    row("  per session", (units.energy(replay["energy_j"]["per_session"]) for replay in replays))
    if any(replay["energy_j"]["isolated_per_session"] is not None for replay in replays):
        row(
            "  per session, alone",
            (units.energy(replay["energy_j"]["isolated_per_session"]) for replay in replays),
        )
    table.add_section()
    row("cost", (units.dollars(replay["cost_usd"]["total"]) for replay in replays))
    row("  per session", (units.dollars(replay["cost_usd"]["per_session"]) for replay in replays))
    row("carbon", (_range_g(replay["carbon_g"]) for replay in replays))
    if any(replay["calls_failed"] for replay in replays):
        row("calls refused", (units.count(replay["calls_failed"]) for replay in replays))
    return table


def _pair(spread: Document | None) -> str:
    return "-" if spread is None else f"{units.seconds(spread['p50'])} / {units.seconds(spread['p95'])}"


def _range_g(carbon: Document) -> str:
    if carbon["high"] >= 1000:
        return f"{carbon['low'] / 1000:.3g}-{carbon['high'] / 1000:.3g} kg"
    return f"{carbon['low']:.3g}-{carbon['high']:.3g} g"


def _print_notes(console: Console, document: Document) -> None:
    notes = [*document["assumptions"], *(f"{name}: {source}" for name, source in document["sources"].items())]
    if notes:
        _line(console, "Assumptions and sources", bold=True)
    for note in notes:
        console.print(Padding(note, (0, 0, 0, 2)), highlight=False, markup=False, style="dim")
    for phrase in document.get("not_seen", ()):
        console.print(
            Padding(f"not seen: {phrase}", (0, 0, 0, 2)), highlight=False, markup=False, style="yellow"
        )


def _line(console: Console, text: str, *, bold: bool = False) -> None:
    console.print(text, highlight=False, markup=False, style="bold" if bold else None, soft_wrap=True)
