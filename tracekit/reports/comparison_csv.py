"""A comparison as a tidy table: one row a workflow, fleet, statistic and source; units in the headers.

`x` columns are how many times the baseline's value that is. What a row does not say is empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from tracekit.reports.csv_table import MEASURED, MODELLED, csv_name
from tracekit.reports.words import fleet_name

Document = dict[str, Any]
Row = dict[str, Any]
COLUMNS = (
    "workflow",
    "is baseline",
    "view",
    "fleet",
    "statistic",
    "source",
    "n",
    "calls per session [1]",
    "tools per session [1]",
    "input tokens per session [tokens]",
    "output tokens per session [tokens]",
    "score [1]",
    "session [s]",
    "session x [1]",
    "energy alone [Wh]",
    "energy alone x [1]",
    "energy average [Wh]",
    "energy average x [1]",
    "energy measured [Wh]",
    "energy measured x [1]",
    "idle share of GPU time [1]",
    "cost [USD]",
    "cost x [1]",
    "power alone [MW]",
    "power average [MW]",
    "cost a year [USD]",
    "carbon a year low [t]",
    "carbon a year high [t]",
)
STATISTICS = ("mean", "p50", "p95")


def comparison_csv(document: Document) -> str:
    """The whole table as text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for workflow in document["workflows"]:
        is_baseline = workflow["name"] == document["baseline"]
        start = {
            "workflow": csv_name(workflow["name"]),
            "is baseline": "true" if is_baseline else "false",
        }
        writer.writerows(start | row for row in _rows(workflow))
    return text.getvalue()


def _rows(workflow: Document) -> Iterator[Row]:
    recorded = workflow["recorded"]
    start = {"view": "recorded", "source": MEASURED}
    yield from _latency_rows(recorded, start)
    yield start | {
        "statistic": "mean of sessions",
        "n": workflow["sessions"],
        "calls per session [1]": workflow["calls_per_session"],
        "tools per session [1]": workflow["tools_per_session"],
        "input tokens per session [tokens]": workflow["tokens_per_session"]["input"],
        "output tokens per session [tokens]": workflow["tokens_per_session"]["output"],
        "energy measured [Wh]": recorded["measured_wh_per_session"],
        "energy measured x [1]": recorded["measured_wh_x"],
    }
    if (score := workflow["score"]) is not None:
        yield start | {
            "statistic": "mean of scored sessions",
            "n": score["sessions"],
            "score [1]": score["mean"],
        }
    for replay in workflow["replays"]:
        fleet = csv_name(fleet_name(replay["fleet"]))
        yield from _replay_rows(replay, {"view": "replayed", "fleet": fleet, "source": MODELLED})


def _replay_rows(replay: Document, start: Row) -> Iterator[Row]:
    energy, ratios, demand = replay["wh_per_session"], replay["wh_x"], replay["at_demand"]
    yield from _latency_rows(replay, start)
    yield start | {
        "statistic": "mean of sessions",
        "n": replay["session_s"] and replay["session_s"]["n"],
        "energy alone [Wh]": energy["isolated"],
        "energy alone x [1]": ratios["isolated"],
        "energy average [Wh]": energy["average"],
        "energy average x [1]": ratios["average"],
        "cost [USD]": replay["cost_usd_per_session"],
        "cost x [1]": replay["cost_x"],
    }
    yield start | {"statistic": "share of total", "idle share of GPU time [1]": replay["idle"]}
    if demand is not None:
        yield start | {
            "statistic": "at demand",
            "power alone [MW]": demand["mw"]["isolated"],
            "power average [MW]": demand["mw"]["average"],
            "cost a year [USD]": demand["usd_per_year"],
            "carbon a year low [t]": demand["carbon_t_per_year"]["low"],
            "carbon a year high [t]": demand["carbon_t_per_year"]["high"],
        }


def _latency_rows(part: Document, start: Row) -> Iterator[Row]:
    spread, ratios = part["session_s"], part["session_x"]
    if spread is None:
        return
    for statistic in STATISTICS:
        yield start | {
            "statistic": statistic,
            "n": spread["n"],
            "session [s]": spread[statistic],
            "session x [1]": ratios and ratios[statistic],
        }
