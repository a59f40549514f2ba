"""What sessions of each workflow cost, and what so many of them a day would draw, cost and emit."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.compared.rows import replay_tables, times
from tracekit.reports.sections.section import Cell, Document, Section

_DEMAND = ("MW alone", "MW average", "$ a year", "t CO2e a year")


def cost_section(document: Document) -> Section:
    """A table for each fleet; the columns of demand stand there where it is known."""
    queries = document["queries_per_day"]
    lead = "Paid GPU time, idle included, at the catalog's price, by session."
    if queries is None:
        lead += " Say --queries-per-day N for megawatts and dollars a year."
    else:
        lead += (
            f" At {queries:,.0f} queries a day each is one session, and the fleet is scaled as it was replayed, "
            "idle share and all."
        )
    columns = ("$ a session", "$ x", *(() if queries is None else _DEMAND))
    caption = "Cost (modelled)" if queries is None else f"Cost, at {queries:,.0f} queries a day (modelled),"
    title = "What it costs" if queries is None else "What it costs, a session and a year"
    return Section("cost", title, lead, list(replay_tables(document, caption, columns, _cells)))


def _cells(replay: Document) -> list[Cell]:
    usd, demand = replay["cost_usd_per_session"], replay["at_demand"]
    cells = [Cell(units.dollars(usd), usd), times(replay["cost_x"])]
    if demand is None:
        return cells
    return [
        *cells,
        *(Cell(units.ratio(demand["mw"][view]), demand["mw"][view]) for view in ("isolated", "average")),
        Cell(f"${demand['usd_per_year']:,.0f}", demand["usd_per_year"]),
        Cell(tonnes(demand["carbon_t_per_year"]), demand["carbon_t_per_year"]["high"]),
    ]


def tonnes(carbon: Document) -> str:
    """The range between the grid's sources."""
    low, high = carbon["low"], carbon["high"]
    return f"{low:,.3g} to {high:,.3g}" if high < 1000 else f"{low:,.0f} to {high:,.0f}"
