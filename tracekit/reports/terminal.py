"""A document of `analyze` or `replay` as tables on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.padding import Padding

from tracekit import units
from tracekit.reports.joules import comparison_table, joules_table, power_line
from tracekit.reports.recorded_tables import (
    engine_table,
    latency_table,
    session_table,
    share_table,
    token_table,
)
from tracekit.reports.replay_table import p50_and_p95, replay_table
from tracekit.reports.savings_table import savings_table
from tracekit.reports.what_if import what_if_words

Document = dict[str, Any]

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
        f"to {units.seconds(steady['end_s'])}, session p50 / p95 {p50_and_p95(steady['session_s'])}"
    )
    if not steady["unstable"]:
        return f"{words}."
    if steady["may_be_chance"]:
        return f"{words}; too few to tell whether the fleet keeps up: draw more --sessions."
    return f"{words}; UNSTABLE: they end more slowly than they arrive."


def _print_assumed(console: Console, document: Document) -> None:
    """First of all, what the user did not choose."""
    for name in dict.fromkeys(name for replay in document["replays"] for name in replay["assumed"]):
        _line(console, f"assumed: {name} (nothing in the trace or on the command line says so)")


def print_replays(document: Document, console: Console) -> None:
    """The replays side by side, then assumptions and sources."""
    replays = document.get("replays") or []
    for words in dict.fromkeys(filter(None, map(what_if_words, replays))):
        _line(console, words)
    if replays:
        console.print(replay_table(replays))
    with_savings = [replay for replay in replays if replay.get("savings")]
    if with_savings:
        console.print(savings_table(with_savings))
    _print_notes(console, document)


def _print_recorded(console: Console, recorded: Document) -> None:
    console.print(latency_table(recorded))
    console.print(share_table(recorded))
    if recorded["tokens"]["input"] is not None:
        console.print(token_table(recorded))
    for gpu in recorded["power"]:
        _line(console, power_line(gpu))
    if any(recorded["energy_j"].get("by_phase", {}).values()):
        console.print(joules_table(recorded))
    if recorded["engines"]:
        console.print(engine_table(recorded["engines"]))
    console.print(session_table(recorded["per_session"], recorded["sessions"]))


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
