"""A document in each of its formats."""

from __future__ import annotations

from collections.abc import Callable

from tracekit import units
from tracekit.reports.csv_table import csv_report
from tracekit.reports.document import Document, to_json
from tracekit.reports.html.page import html_page
from tracekit.reports.markdown import markdown_report
from tracekit.reports.recording import plural
from tracekit.reports.words import fleet_name


def rendered(document: Document, format_name: str) -> str:
    """The text of the report, `format_name` being html, md, csv or json; a document of `replay` does as well."""
    if format_name == "json":
        return to_json(document) + "\n"
    return _RENDERERS[format_name](_whole(document))


def _whole(document: Document) -> Document:
    """The document in the shape of `analyze`; one of `replay` is its only replay."""
    if "replays" in document:
        return document
    return document | {
        "replays": [document],
        "recorded": None,
        "labels": {},
        "not_seen": [],
        "headline": _replay_headline(document),
    }


def _replay_headline(replay: Document) -> str:
    amount = f"{plural(replay['calls'], 'call')} in {plural(replay['sessions'], 'session')}"
    words = f"{amount} on {fleet_name(replay['fleet'])}"
    idle = units.ratio_of(replay["gpu_s"]["idle"], replay["gpu_s"]["billed"])
    if replay["session_s"] is None or idle is None:
        return f"{words}: no call could be served."
    return (
        f"{words}: half of the sessions take {units.seconds(replay['session_s']['p50'])} or less, 95 % "
        f"{units.seconds(replay['session_s']['p95'])} or less; the GPU is idle {units.percent(idle)} of the time it is "
        f"paid for; a session takes {units.energy(replay['energy_j']['per_session'])} and "
        f"{units.dollars(replay['cost_usd']['per_session'])}."
    )


_RENDERERS: dict[str, Callable[[Document], str]] = {
    "html": html_page,
    "md": markdown_report,
    "csv": csv_report,
}
