"""Joules that devices measured while recording, and the model's beside them."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Table
from tracekit.reports.words import CAUSES, MEASURED_PHASES, fleet_name, shown_name


def measured_tables(document: Document) -> list[Table]:
    """Devices, phases, and measured beside modelled; none where nothing was recorded."""
    recorded = document.get("recorded")
    if not recorded:
        return []
    rows = [
        [
            Cell(f"{shown_name(device['name'])} ({device['gpu']})"),
            Cell(_with_error(device["counter_j"], device["counter_error_j"]), device["counter_j"]),
            Cell(_with_error(device["integral_j"], device["integral_error_j"]), device["integral_j"]),
            Cell(units.seconds(device["seconds"]), device["seconds"]),
        ]
        for device in recorded["power"]
    ]
    devices = Table("Measured while recording", ("device", "by counter", "integrated", "sampled over"), rows)
    return [devices, _measured_phases(recorded["energy_j"]), *_comparison_tables(document)]


def _measured_phases(energy: Document) -> Table:
    """Of GPUs that serve the calls; without rows where none does."""
    rows = [
        _joules_row(energy, group, key, words)
        for group, key, words in (
            *(("by_phase", phase, words) for phase, words in MEASURED_PHASES.items()),
            *(("by_cause", cause, f"idle: {words}") for cause, words in CAUSES.items()),
        )
        if energy.get(group, {}).get(key, 0.0) != 0.0
    ]
    return Table("Where measured joules go", ("", "energy", "share"), rows)


def _joules_row(energy: Document, group: str, key: str, words: str) -> list[Cell]:
    value_j = energy[group][key]
    share = None if value_j is None else units.ratio_of(value_j, energy["total"])
    shown = _with_error(value_j, energy["bound"][group][key], energy["unmeasured_s"][group][key])
    return [Cell(words), Cell(shown, value_j), Cell(units.percent(share), share)]


def _comparison_tables(document: Document) -> list[Table]:
    comparison = document.get("measured_against_modelled")
    if not comparison:
        return []
    rows = [
        [
            Cell(phase),
            Cell(_with_error(row["measured_j"], row["bound_j"], row["unmeasured_gpu_s"]), row["measured_j"]),
            Cell(units.energy(row["modelled_j"]), row["modelled_j"]),
            Cell(units.percent(row["difference"]), row["difference"]),
        ]
        for phase, row in comparison["phases"].items()
    ]
    caption = f"Measured against modelled on {fleet_name(comparison['fleet'])}"
    return [Table(caption, ("", "measured", "modelled", "difference"), rows)]


def _with_error(value_j: float | None, error_j: float | None, unmeasured_s: float = 0.0) -> str:
    error = "" if value_j is None or error_j is None else f" ± {units.energy(error_j)}"
    return units.energy(value_j, is_least=unmeasured_s > 0.0) + error
