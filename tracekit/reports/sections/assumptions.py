"""What is assumed, how far off the model may be, where numbers come from, what was not seen."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.words import fleet_name


def assumptions_section(document: Document) -> Section:
    """What a reader has to know before quoting a number."""
    replays = document["replays"]
    sources = [[Cell(name), Cell(source)] for name, source in document["sources"].items()]
    bands = [
        [
            Cell(fleet_name(replay["fleet"])),
            Cell(replay["tier"]),
            Cell(_band(replay["error"]["itl"])),
            Cell(_band(replay["error"]["power"])),
        ]
        for replay in replays
    ]
    notes = [[Cell(note)] for note in document["assumptions"]]
    assumed = dict.fromkeys(name for replay in replays for name in replay["assumed"])
    guesses = [[Cell(name)] for name in assumed]
    unseen = [[Cell(phrase)] for phrase in document.get("not_seen") or ()]
    return Section(
        "assumptions",
        "Assumptions and sources",
        "Recorded numbers are measured; replayed numbers are modelled, by formulas whose error is given here.",
        [
            Table("Assumed because nobody said", ("assumed",), guesses),
            Table("Error of the model", ("fleet", "tier", "time of a step", "power"), bands),
            Table("Where numbers come from", ("numbers", "source"), sources),
            Table("Taken for granted", ("assumption",), notes),
            Table("Not seen while recording", ("what",), unseen),
        ],
    )


def _band(error: Document | None) -> str:
    if error is None:
        return "unknown"
    return f"{units.percent(error['mape'])} mean, {units.percent(error['median_ape'])} median ({error['on']})"
