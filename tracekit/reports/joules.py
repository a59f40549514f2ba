"""Measured joules as tables on a terminal."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from tracekit import units
from tracekit.reports.number_table import number_table
from tracekit.reports.words import CAUSES, MEASURED_PHASES

Document = dict[str, Any]


def power_line(gpu: Document) -> str:
    """What one device was measured to draw, by counter and integrated, each with its error."""
    words = (
        f"{gpu['name']} ({gpu['gpu']}): {_joules(gpu['counter_j'], gpu['counter_error_j'])} by counter, "
        f"{_joules(gpu['integral_j'], gpu['integral_error_j'])} integrated, over {units.seconds(gpu['measured_s'])}"
    )
    if gpu["disagrees"]:
        words += "; more than 5 % apart" + (", which sampling explains" if gpu["explained"] else "")
    if gpu["mig"]:
        words += "; MIG: all instances together"
    return words + (f"; serves {', '.join(gpu['serves'])}" if gpu["serves"] else "")


def _joules(value_j: float | None, error_j: float | None) -> str:
    """Energy and the error that sampling leaves."""
    if value_j is None or error_j is None:
        return units.energy(value_j)
    return f"{units.energy(value_j)} +-{units.energy(error_j)}"


def joules_table(recorded: Document) -> Table:
    """Where the measured joules went, each with its bound."""
    energy = recorded["energy_j"]
    table = number_table(
        f"Where measured joules go ({energy['source'] or 'nothing measured'})", "", "energy", "+-", "share"
    )
    bounds, missing_s = energy["bound"], energy["unmeasured_s"]

    def row(label: str, value_j: float | None, bound_j: float | None, unmeasured_s: float) -> None:
        share = None if not energy["total"] or value_j is None else value_j / energy["total"]
        shown = units.energy(value_j, is_least=unmeasured_s > 0.0)
        table.add_row(label, shown, units.energy(bound_j), units.percent(share))

    for name, label in MEASURED_PHASES.items():
        value_j = energy["by_phase"].get(name, 0.0)
        if value_j != 0.0:
            row(label, value_j, bounds["by_phase"][name], missing_s["by_phase"][name])
        if name == "idle":
            for cause, words in CAUSES.items():
                if energy["by_cause"].get(cause, 0.0) != 0.0:
                    row(
                        f"  {words}",
                        energy["by_cause"][cause],
                        bounds["by_cause"][cause],
                        missing_s["by_cause"][cause],
                    )
    table.add_section()
    row("all sampled GPUs", energy["total"], bounds["total"], energy["unmeasured_gpu_s"])
    return table


def comparison_table(comparison: Document) -> Table:
    """Measured against modelled, phase by phase."""
    fleet = comparison["fleet"]
    count = fleet["replicas"] * fleet["tp"]
    table = number_table(
        f"Measured against modelled ({fleet['model']} on {count} x {fleet['gpu']}, {fleet['engine']})",
        "", "measured", "+-", "modelled", "difference", "measured W", "modelled W", "measured GPU time", "modelled",
    )  # fmt: skip
    for name, row in comparison["phases"].items():
        table.add_row(
            name,
            units.energy(row["measured_j"], is_least=row["unmeasured_gpu_s"] > 0.0),
            units.energy(row["bound_j"]),
            units.energy(row["modelled_j"]),
            "-" if row["difference"] is None else f"{row['difference']:+.1%}".replace("%", " %"),
            *("-" if row[key] is None else f"{row[key]:,.0f}" for key in ("measured_w", "modelled_w")),
            units.seconds(row["measured_gpu_s"]),
            units.seconds(row["modelled_gpu_s"]),
        )
    return table


def session_joules(session: Document) -> str:
    """A session's own joules; "at least" where a part was not measured."""
    energy = session.get("energy_j")
    if energy is None:
        return "-"
    return units.energy(energy["direct"], is_least=energy["unmeasured_gpu_s"] > 0.0)
