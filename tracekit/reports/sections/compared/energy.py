"""What sessions of each workflow draw, in both views, and how long the GPUs wait for them."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.compared.rows import replay_tables, times, watt_hours, workflow_name
from tracekit.reports.sections.section import Cell, Document, Section, Table

_COLUMNS = ("Wh alone", "alone x", "Wh average", "average x", "GPU idle", "from prefix cache")


def energy_section(document: Document) -> Section:
    """A table for each fleet, and what was measured."""
    measured = [
        [
            Cell(workflow_name(workflow)),
            watt_hours(workflow["recorded"]["measured_wh_per_session"]),
            times(workflow["recorded"]["measured_wh_x"]),
        ]
        for workflow in document["workflows"]
        if workflow["recorded"]["measured_wh_per_session"] is not None
    ]
    return Section(
        "energy",
        "What a session draws",
        "Alone: each session on one replica that has nothing else to do, idle while its tools run. Average: all that "
        "the fleet draws, idle time included, by session. Joules are the GPUs' alone.",
        [
            *replay_tables(document, "Energy of a session (modelled)", _COLUMNS, _cells),
            Table("All sampled GPUs while recording, by session", ("workflow", "Wh", "x"), measured),
        ],
    )


def _cells(replay: Document) -> list[Cell]:
    energy, ratios = replay["wh_per_session"], replay["wh_x"]
    return [
        watt_hours(energy["isolated"]),
        times(ratios["isolated"]),
        watt_hours(energy["average"]),
        times(ratios["average"]),
        Cell(units.percent(replay["idle"]), replay["idle"]),
        Cell(units.percent(replay["prefix_hit_fraction"]), replay["prefix_hit_fraction"]),
    ]
