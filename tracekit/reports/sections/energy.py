"""Where joules and dollars go, replayed: average and isolated side by side, by phase, by cause."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.columns import labelled_row
from tracekit.reports.sections.measured_energy import measured_tables
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.words import CAUSES, fleet_name, session_name


def energy_section(document: Document) -> Section:
    """Measured joules, then those of each replay and what they cost."""
    replays = document["replays"]
    names = [fleet_name(replay["fleet"]) for replay in replays]
    joules, dollars = ([replay[key] for replay in replays] for key in ("energy_j", "cost_usd"))
    views = [
        labelled_row("joules: average view", ((part["per_session"], units.energy) for part in joules)),
        labelled_row("joules: isolated view", ((part["isolated_per_session"], units.energy) for part in joules)),
        labelled_row("dollars: average view", ((part["per_session"], units.dollars) for part in dollars)),
        labelled_row("dollars: isolated view", ((part["isolated_per_session"], units.dollars) for part in dollars)),
    ]  # fmt: skip
    phases = [
        labelled_row(label, ((_energy_of(replay, group, key), units.energy) for replay in replays))
        for label, group, key in (
            ("prefill", "by_phase", "prefill"),
            ("prefill and decode", "by_phase", "mixed"),
            ("decode", "by_phase", "decode"),
            *((f"idle: {words}", "by_cause", cause) for cause, words in CAUSES.items()),
            ("starting", "by_phase", "starting"),
        )
        if any(_energy_of(replay, group, key) for replay in replays)
    ]
    tables = [*measured_tables(document)]
    if replays:
        tables += [
            Table("A session's joules and dollars, mean", ("", *names), views),
            Table("All joules, by phase and by cause of idleness", ("", *names), phases),
            *(_costliest_table(replay) for replay in replays),
        ]
    lead = (
        "Average: all that the fleet draws and costs, idle time included, shared by its sessions; the shares add up to "
        "the total. Isolated: each session alone on one replica. Joules are those of the GPUs (scope gpu)."
        if replays
        else "Nothing was replayed, so nothing is known but what was measured."
    )
    return Section("energy", "Where joules and dollars go", lead, tables)


def _energy_of(replay: Document, group: str, key: str) -> float:
    value: float = replay["energy_j"][group].get(key, 0.0)
    return value


def _costliest_table(replay: Document) -> Table:
    rows = [
        [
            Cell(session_name(session)),
            Cell(units.seconds(session["session_s"]), session["session_s"]),
            Cell(units.energy(session["energy_j"]), session["energy_j"]),
            Cell(units.energy(session["isolated_energy_j"]), session["isolated_energy_j"]),
            Cell(units.dollars(session["cost_usd"]), session["cost_usd"]),
        ]
        for session in replay.get("costliest_sessions") or ()
    ]
    return Table(
        f"Costliest sessions on {fleet_name(replay['fleet'])}",
        ("session", "time", "energy, average", "energy, isolated", "cost, average"),
        rows,
    )
