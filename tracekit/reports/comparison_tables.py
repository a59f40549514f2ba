"""A document of `compare` as tables on a terminal: the workflows, then a table for each fleet."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from tracekit import units
from tracekit.reports.document import Document
from tracekit.reports.tables import plain_table
from tracekit.reports.terminal import wide_console
from tracekit.reports.words import served_fleet_name

LONGEST_NAME = 20


def print_comparison(document: Document, console: Console | None = None) -> None:
    """The whole document."""
    console = console or wide_console()
    workflows = document["workflows"]
    for name in dict.fromkeys(
        name for workflow in workflows for replay in workflow["replays"] for name in replay["assumed"]
    ):
        console.print(Text(f"assumed: {name} (nothing in the traces or on the command line says so)"))
    console.print(Text(document["headline"], style="bold"), soft_wrap=True)
    console.print(_workflow_table(document))
    for index in range(len(workflows[0]["replays"])):
        console.print(_fleet_table(document, index))
        if document["queries_per_day"] is not None:
            console.print(_demand_table(document, index))
    for note in document["assumptions"]:
        console.print(Text(f"- {note}"), soft_wrap=True)
    for what, source in document["sources"].items():
        console.print(Text(f"- {what}: {source}"), soft_wrap=True)


def _workflow_table(document: Document) -> Any:
    table = plain_table(
        f"Workflows, as recorded; x is against {escape(_cut(document['baseline']))}",
        "workflow", "sessions", "calls", "tools", "tokens in", "out", "score", "session mean", "x", "measured Wh",
        "x",
    )  # fmt: skip
    _numbers_to_the_right(table)
    for workflow in document["workflows"]:
        recorded, tokens, score = workflow["recorded"], workflow["tokens_per_session"], workflow["score"]
        spread, times = recorded["session_s"], recorded["session_x"]
        table.add_row(
            Text(_cut(workflow["name"])),
            units.count(workflow["sessions"]),
            units.ratio(workflow["calls_per_session"]),
            units.ratio(workflow["tools_per_session"]),
            units.count(tokens["input"]),
            units.count(tokens["output"]),
            "-" if score is None else f"{score['mean']:.3g}",
            "-" if spread is None else units.seconds(spread["mean"]),
            _times(times and times["mean"]),
            _wh(recorded["measured_wh_per_session"]),
            _times(recorded["measured_wh_x"]),
        )
    return table


def _fleet_table(document: Document, index: int) -> Any:
    fleet = document["workflows"][0]["replays"][index]["fleet"]
    table = plain_table(
        f"Replayed on {_fleet(fleet)}",
        "workflow", "session", "x", "p95", "p95/p50", "Wh alone", "x", "Wh average", "x", "idle", "$", "x",
    )  # fmt: skip
    _numbers_to_the_right(table)
    for workflow in document["workflows"]:
        table.add_row(Text(_cut(workflow["name"])), *_cells(workflow["replays"][index]))
    return table


def _cells(replay: Document) -> list[str]:
    spread, times, energy = replay["session_s"], replay["session_x"], replay["wh_per_session"]
    return [
        "-" if spread is None else units.seconds(spread["mean"]),
        _times(times and times["mean"]),
        "-" if spread is None else units.seconds(spread["p95"]),
        "-" if spread is None else units.ratio(spread["p95_over_p50"]),
        _wh(energy["isolated"]),
        _times(replay["wh_x"]["isolated"]),
        _wh(energy["average"]),
        _times(replay["wh_x"]["average"]),
        units.percent(replay["idle"]),
        units.dollars(replay["cost_usd_per_session"]),
        _times(replay["cost_x"]),
    ]


def _demand_table(document: Document, index: int) -> Any:
    fleet = document["workflows"][0]["replays"][index]["fleet"]
    table = plain_table(
        f"At {document['queries_per_day']:,.0f} queries a day on {_fleet(fleet)}",
        "workflow", "MW alone", "MW average", "$ a year", "t CO2e a year",
    )  # fmt: skip
    _numbers_to_the_right(table)
    for workflow in document["workflows"]:
        demand = workflow["replays"][index]["at_demand"]
        carbon = demand["carbon_t_per_year"]
        table.add_row(
            Text(_cut(workflow["name"])),
            units.ratio(demand["mw"]["isolated"]),
            units.ratio(demand["mw"]["average"]),
            f"${demand['usd_per_year']:,.0f}",
            f"{carbon['low']:,.3g} to {carbon['high']:,.3g}"
            if carbon["high"] < 1000
            else f"{carbon['low']:,.0f} to {carbon['high']:,.0f}",
        )
    return table


def _numbers_to_the_right(table: Any) -> None:
    for column in table.columns[1:]:
        column.justify = "right"


def _fleet(fleet: Document) -> str:
    if "pools" in fleet:
        return served_fleet_name(fleet, ", ")
    return f"{fleet['replicas']} x {fleet['gpu']} (tp {fleet['tp']}), {fleet['model']}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}x"


def _wh(value: float | None) -> str:
    return units.ratio(value)


def _cut(name: str) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 1]}…"
