"""The comparison in one table a fleet: table III of arXiv 2506.04301 for the user's own workflows."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.compared.rows import fleets, seconds, times, watt_hours, workflow_name
from tracekit.reports.sections.section import Cell, Document, Table


def summary_tables(document: Document) -> list[Table]:
    """A row a workflow; the score stands where sessions carry one, MW where the demand is known."""
    has_score = any(workflow["score"] for workflow in document["workflows"])
    has_demand = document["queries_per_day"] is not None
    columns = (
        "workflow",
        *(["score"] if has_score else []),
        "calls",
        "session",
        "latency x",
        "Wh alone",
        "Wh x",
        "GPU idle",
        "$",
        "$ x",
        *(["MW", "$ a year"] if has_demand else []),
    )
    return [
        Table(
            f"On {fleet} (modelled)",
            columns,
            [_row(workflow, place, has_score, has_demand) for workflow in document["workflows"]],
        )
        for place, fleet in enumerate(fleets(document))
    ]


def _row(workflow: Document, place: int, has_score: bool, has_demand: bool) -> list[Cell]:
    replay = workflow["replays"][place]
    spread, ratios = replay["session_s"], replay["session_x"]
    calls, usd = workflow["calls_per_session"], replay["cost_usd_per_session"]
    return [
        Cell(workflow_name(workflow)),
        *([score_cell(workflow)] if has_score else []),
        Cell(units.ratio(calls), calls),
        seconds(spread and spread["mean"]),
        times(ratios and ratios["mean"]),
        watt_hours(replay["wh_per_session"]["isolated"]),
        times(replay["wh_x"]["isolated"]),
        Cell(units.percent(replay["idle"]), replay["idle"]),
        Cell(units.dollars(usd), usd),
        times(replay["cost_x"]),
        *(_demand_cells(replay["at_demand"]) if has_demand else []),
    ]


def score_cell(workflow: Document) -> Cell:
    """The mean score, of the sessions that carry one."""
    score = workflow["score"]
    return Cell("-") if score is None else Cell(f"{score['mean']:.3g}", score["mean"])


def _demand_cells(demand: Document) -> list[Cell]:
    megawatts, usd = demand["mw"]["isolated"], demand["usd_per_year"]
    return [Cell(units.ratio(megawatts), megawatts), Cell(f"${usd:,.0f}", usd)]
