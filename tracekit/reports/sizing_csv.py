"""A sizing as a tidy table: one row a view, subject and quantity; the unit beside the value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from tracekit.reports.csv_table import csv_name
from tracekit.reports.words import fleet_name

Document = dict[str, Any]
Row = dict[str, Any]
COLUMNS = (
    "view",
    "subject",
    "fleet",
    "quantity",
    "unit",
    "median",
    "low",
    "high",
    "limit",
    "replicates",
    "met",
    "source",
)
MODELLED = "modelled"
BESIDE = ("needed", "one_fewer", "next_cheaper", "with_small", "without_small")


def sizing_csv(document: Document) -> str:
    """The whole table as text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(document))
    return text.getvalue()


def _rows(document: Document) -> Iterator[Row]:
    views = [("best", name, verdict) for name, verdict in document["fleets"].items()]
    views += [("beside", name, document[name]) for name in BESIDE]
    for view, subject, verdict in views:
        if verdict is not None:
            yield from _verdict_rows({"view": view, "subject": subject, "source": MODELLED}, verdict)
    for one in document["pareto"]:
        fleet = csv_name(one["fleet"])
        subject = "on the front" if one["is_on_front"] else "beaten"
        start = {"view": "pareto", "subject": subject, "fleet": fleet, "replicates": 1, "source": MODELLED}
        yield start | {"quantity": "cost per session", "unit": "USD", "median": one["cost_usd_per_session"]}
        yield start | {
            "quantity": "energy per session, gpu",
            "unit": "J",
            "median": one["energy_j_per_session"],
        }
        for slo, value_s in zip(document["question"]["slos"], one["slo_s"], strict=True):
            yield start | {"quantity": slo["name"], "unit": "s", "median": value_s, "limit": slo["limit_s"]}
    for one in document["sensitivity"]:
        start = {"view": "sensitivity", "subject": f"{one['of']} {one['by']:g}", "source": MODELLED}
        counts = {"replicates": one["replicates"], "met": one["meeting"]}
        yield (
            start
            | counts
            | {"quantity": "replicas needed", "unit": "replicas", "median": one["needed_replicas"]}
        )
    for one in (document["savings"] or {"rows": []})["rows"]:
        start = {"view": "savings", "subject": csv_name(one["name"]), "source": MODELLED}
        for key, unit in SAVINGS.items():
            yield start | {"quantity": f"saved {key}", "unit": unit, **(one[key] or {})}


SAVINGS = {
    "usd_per_year": "USD",
    "session_hours_per_year": "h",
    "kwh_per_year": "kWh",
    "kg_per_year": "kg CO2e",
}


def _verdict_rows(start: Row, verdict: Document) -> Iterator[Row]:
    start = start | {"fleet": csv_name(fleet_name(verdict["fleet"])), "replicates": verdict["replicates"]}
    cost = verdict["cost_usd"]
    for slo in verdict["slos"]:
        met = verdict["replicates"] - slo["missed"]
        spread = {"quantity": slo["name"], "unit": "s", "limit": slo["limit_s"], "met": met}
        yield start | spread | (slo["value_s"] or {})
    yield start | {"quantity": "all objectives", "met": verdict["meeting"]}
    for key in ("per_session", "per_hour", "per_month", "per_year"):
        yield start | {"quantity": f"cost {key.replace('_', ' ')}", "unit": "USD", "median": cost[key]}
    for scope, interval in verdict["energy_j"]["per_session"].items():
        yield start | {"quantity": f"energy per session, {scope}", "unit": "J", **(interval or {})}
    for scope, span in verdict["carbon_g"]["per_session"].items():
        yield start | {"quantity": f"carbon per session, {scope}", "unit": "g CO2e", **span}
    for cause, interval in verdict["idle_share"].items():
        yield start | {"quantity": f"idle: {cause}", "unit": "1", **(interval or {})}
