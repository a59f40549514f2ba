"""Energy and carbon by scope, and why GPUs idle."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.sections.sized.cells import interval_cell
from tracekit.reports.words import CAUSES

SCOPES = {"gpu": "GPUs", "server": "with their servers", "facility": "with the building"}


def energy_section(document: Document) -> Section:
    """Energy and carbon by scope: GPUs, servers, building."""
    answer = document["answer"]
    rows = [
        [
            Cell(words),
            interval_cell(answer["energy_j"]["per_session"][scope], units.energy),
            interval_cell(answer["energy_j"]["watts"][scope], units.watts),
            Cell("{low:.3g} to {high:.3g} g".format(**answer["carbon_g"]["per_session"][scope])),
        ]
        for scope, words in SCOPES.items()
        if answer
    ]
    return Section(
        "energy",
        "Energy and carbon",
        "By scope; each holds the one before it.",
        [Table("Energy and carbon", ("scope", "a session", "power", "CO2e of a session"), rows)],
    )


def idle_section(document: Document) -> Section:
    """Idle time of the fleet by cause."""
    answer = document["answer"]
    rows = [
        [Cell(words), interval_cell(share, units.percent)]
        for cause, words in CAUSES.items()
        if answer and (share := answer["idle_share"][cause]) and share["high"] > 0
    ]
    return Section(
        "idle",
        "Why GPUs idle",
        "Shares of the GPU time that is paid for.",
        [Table("Idle by cause", ("cause", "share"), rows)],
    )
