"""Replays side by side, as a table on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from tracekit import units
from tracekit.reports.number_table import number_table
from tracekit.reports.words import CAUSES, fleet_name, model_names

Document = dict[str, Any]


def replay_table(replays: list[Document]) -> Table:
    """A column for each replay, its joules and dollars last."""
    title = "Replayed (modelled)"
    table = number_table(title, "", *(fleet_name(replay["fleet"]) for replay in replays))

    def row(label: str, values: Iterable[str], *, end: bool = False) -> None:
        table.add_row(label, *values, end_section=end)

    row("model", (", ".join(model_names(replay["fleet"])) for replay in replays))
    row("makespan", (units.seconds(replay["makespan_s"]) for replay in replays))
    row("session p50 / p95", (p50_and_p95(replay["session_s"]) for replay in replays))
    row("TTFT p50 / p95", (p50_and_p95(replay["ttft_s"]) for replay in replays))
    row("TPOT p50 / p95", (p50_and_p95(replay["tpot_s"]) for replay in replays))
    row("input from the prefix cache", (units.percent(replay["prefix_hit_fraction"]) for replay in replays))
    row("KV memory used, mean / most", (_kv_use(replay["kv_fraction"]) for replay in replays), end=True)
    if any(replay["preemptions"] for replay in replays):
        row(
            "preemptions (computed again)",
            (units.count(replay["preemptions"]) for replay in replays),
            end=True,
        )
    if any(replay["gpu_s"]["starting"] for replay in replays):
        row(
            "GPU starting",
            (
                units.percent(units.ratio_of(replay["gpu_s"]["starting"], replay["gpu_s"]["billed"]))
                for replay in replays
            ),
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


def p50_and_p95(spread: Document | None) -> str:
    """Both, or a dash where nothing is known."""
    return "-" if spread is None else f"{units.seconds(spread['p50'])} / {units.seconds(spread['p95'])}"


def _range_g(carbon: Document) -> str:
    if carbon["high"] >= 1000:
        return f"{carbon['low'] / 1000:.3g}-{carbon['high'] / 1000:.3g} kg"
    return f"{carbon['low']:.3g}-{carbon['high']:.3g} g"


def _kv_use(fraction: Document) -> str:
    return f"{units.percent(fraction['mean'])} / {units.percent(fraction['max'])}"
