"""Every kind of fleet that was looked at, and how to come to all this again."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table


def considered_section(document: Document) -> Section:
    """Every kind of fleet that was looked at, and why it is not the answer."""
    names = [slo["name"].replace("_", " ") for slo in document["question"]["slos"]]
    rows = [
        [
            Cell(one["fleet"] if one["fleet"] and one["pools"] > 1 else one["name"]),
            Cell("none" if one["replicas"] is None else units.count(one["replicas"]), one["replicas"]),
            Cell(
                "-" if one["usd_per_hour"] is None else units.dollars(one["usd_per_hour"]),
                one["usd_per_hour"],
            ),
            Cell(units.energy(one["energy_j_per_session"]), one["energy_j_per_session"]),
            *(Cell(units.seconds(value), value) for value in one["slo_s"]),
        ]
        for one in sorted(
            document["considered"], key=lambda one: (one["usd_per_hour"] is None, one["usd_per_hour"] or 0)
        )
    ]
    rejected = [[Cell(one["name"]), Cell(one["why"])] for one in document["rejected"]]
    return Section(
        "considered",
        "What was considered",
        "The fewest replicas of every kind that meet the objectives in one replicate, with the model as it is. "
        "Where it says none, no size that was allowed does, and the figures are of the largest tried.",
        [
            Table("Kinds of fleet", ("kind", "replicas", "an hour", "energy of a session", *names), rows),
            Table("Cannot be used", ("kind", "why"), rejected),
        ],
    )


def reproduce_section(document: Document) -> Section:
    """The command of every figure."""
    question = document["question"]
    rows = [
        [Cell("everything here"), Cell(document.get("command") or "-")],
        [Cell("seed"), Cell(str(question["seed"]))],
        [Cell("replays run"), Cell(units.count(document["replays"]))],
    ]
    if document["answer"]:
        rows.append([Cell("the fleet as a file"), Cell("the same command with -o fleet.toml")])
        rows.append(
            [
                Cell("the fleet alone"),
                Cell("tracekit size TRACE --check fleet.toml, with the same --rate and --slo"),
            ]
        )
    return Section(
        "reproduce",
        "How to come to this again",
        "The same command on the same trace gives the same numbers, bit by bit, on any number of threads.",
        [Table("Again", ("what", "how"), rows)],
    )


def assumptions_section(document: Document) -> Section:
    """What is assumed, and where numbers come from."""
    sources = [[Cell(name), Cell(source)] for name, source in document["sources"].items()]
    notes = [[Cell(note)] for note in document["assumptions"]]
    return Section(
        "assumptions",
        "Assumptions and sources",
        "Every number is replayed, thus modelled, by formulas whose error is given here.",
        [
            Table("Where numbers come from", ("numbers", "source"), sources),
            Table("Taken for granted", ("assumption",), notes),
        ],
    )
