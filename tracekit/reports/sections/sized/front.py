"""Fleets that none beats, and how the answer moves."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import dollars_cell, interval_cell


def front_section(document: Document) -> Section:
    """Fleets that no other beats in all that counts."""
    slos = document["question"]["slos"]
    rows = [
        [
            Cell(one["fleet"]),
            Cell(units.count(one["gpus"]), one["gpus"]),
            dollars_cell(one["cost_usd_per_session"]),
            *(Cell(units.seconds(value), value) for value in one["slo_s"]),
            Cell(units.energy(one["energy_j_per_session"]), one["energy_j_per_session"]),
            Cell("{low:.3g} to {high:.3g} g".format(**one["carbon_g_per_session"])),
        ]
        for one in document["pareto"]
        if one["is_on_front"]
    ]
    first = slos[0]["name"].replace("_", " ")
    return Section(
        "front",
        "Pareto front",
        f"Fleets that no other beats in cost, {first} and energy at once, in one replicate with the model as it is. "
        "Energy and carbon are of the GPUs.",
        [
            Table(
                "Pareto front",
                (
                    "fleet", "GPUs", "$ a session", *(slo["name"].replace("_", " ") for slo in slos),
                    "energy a session", "CO2e a session",
                ),
                rows,
            )
        ],
    )  # fmt: skip


def sensitivity_section(document: Document) -> Section:
    """What the answer would be at other rates, tool times and errors of the model."""
    slos = document["question"]["slos"]
    rows = [
        [
            Cell(_shift_words(one)),
            Cell(f"{one['meeting']} of {one['replicates']}", one["meeting"]),
            *(interval_cell(slo["value_s"], units.seconds) for slo in one["slos"]),
            Cell(
                "none allowed" if one["needed_replicas"] is None else units.count(one["needed_replicas"]),
                one["needed_replicas"],
            ),
            Cell(units.dollars(one["needed_usd_per_month"]), one["needed_usd_per_month"]),
        ]
        for one in document["sensitivity"]
    ]
    columns = (
        "if",
        "same fleet met",
        *(slo["name"].replace("_", " ") for slo in slos),
        "replicas needed",
        "a month",
    )
    return Section(
        "sensitivity",
        "Sensitivity",
        "What becomes of the same fleet if one thing is other than taken for granted, and how many replicas of its "
        "kind would then do.",
        [Table("Sensitivity", columns, rows)],
    )


def _shift_words(one: Document) -> str:
    if one["of"] == "model_time":
        return f"the model of time is {abs(one['by']):g} sigma too {'fast' if one['by'] > 0 else 'slow'}"
    what = {"rate": "the rate", "tool_time": "the time of tools"}[one["of"]]
    return (
        f"{what} is {one['by']:g} times as high"
        if one["of"] == "rate"
        else f"{what} is {one['by']:g} times as long"
    )
