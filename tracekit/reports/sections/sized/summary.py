"""The best fleets by each objective, a column each; of a fleet that was given, it alone."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Table
from tracekit.reports.sections.sized.cells import dollars_cell, full_name, interval_cell

GIVEN = "as given"
OBJECTIVES = {"cost": "least cost", "energy": "least energy", "carbon": "lowest carbon"}


def sizing_summary(document: Document) -> Table:
    """The best fleets by each objective, a column each; of a fleet that was given, it alone."""
    is_given = document["answer"] is not None and not document["considered"]
    fleets = {GIVEN: document["answer"]} if is_given else _by_fleet(document["fleets"])
    rows = [
        [Cell("fleet"), *(Cell(full_name(one)) for one in fleets.values())],
        [Cell("GPUs"), *(Cell(units.count(one["gpus"]), one["gpus"]) for one in fleets.values())],
        *(
            [Cell(slo["name"].replace("_", " ") + f" (< {units.seconds(slo['limit_s'])})"),
             *(interval_cell(one["slos"][place]["value_s"], units.seconds) for one in fleets.values())]
            for place, slo in enumerate(document["question"]["slos"])
        ),
        [Cell("replicates that meet all"),
         *(Cell(f"{one['meeting']} of {one['replicates']}") for one in fleets.values())],
        [Cell("cost an hour"), *(dollars_cell(one["cost_usd"]["per_hour"]) for one in fleets.values())],
        [Cell("cost a month"), *(dollars_cell(one["cost_usd"]["per_month"]) for one in fleets.values())],
        [Cell("cost of a session"), *(dollars_cell(one["cost_usd"]["per_session"]) for one in fleets.values())],
        [Cell("energy of a session, GPUs"),
         *(interval_cell(one["energy_j"]["per_session"]["gpu"], units.energy) for one in fleets.values())],
        [Cell("GPU idle"), *(interval_cell(one["gpu_share"]["idle"], units.percent) for one in fleets.values())],
    ]  # fmt: skip
    caption = "The fleet that was judged" if is_given else "The best fleets"
    return Table(caption, ("", *fleets), rows if fleets else [])


def _by_fleet(verdicts: Document) -> dict[str, Document]:
    """By what they are best at; a fleet that is best at several things is one column."""
    names: dict[str, list[str]] = {}
    best: dict[str, Document] = {}
    for objective, verdict in verdicts.items():
        key = str(verdict["spec"])
        names.setdefault(key, []).append(OBJECTIVES[objective])
        best[key] = verdict
    return {", ".join(told): best[key] for key, told in names.items()}
