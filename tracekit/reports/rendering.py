"""A document in each of its formats."""

from __future__ import annotations

from collections.abc import Callable

from tracekit import units
from tracekit.reports.comparison_csv import comparison_csv
from tracekit.reports.csv_table import csv_report
from tracekit.reports.document import Document, to_json
from tracekit.reports.html.analysis_charts import analysis_charts
from tracekit.reports.html.compared.charts import comparison_charts
from tracekit.reports.html.front_chart import front_chart
from tracekit.reports.html.page import html_page
from tracekit.reports.html.sizing_charts import sizing_charts
from tracekit.reports.markdown import markdown_report
from tracekit.reports.sections.compared.reading_order import comparison_contents
from tracekit.reports.sections.reading_order import analysis_contents
from tracekit.reports.sections.sized.reading_order import sizing_contents
from tracekit.reports.sections.sweep import sweep_contents
from tracekit.reports.sizing_csv import sizing_csv
from tracekit.reports.sweep_table import sweep_csv
from tracekit.reports.what_if import what_if_words
from tracekit.reports.words import fleet_name, plural


def rendered(document: Document, format_name: str) -> str:
    """The text of the report, `format_name` being html, md, csv or json, of any command that writes reports."""
    if format_name == "json":
        return to_json(document) + "\n"
    return _renderers(document)[format_name](document)


def _renderers(document: Document) -> dict[str, Callable[[Document], str]]:
    if "question" in document:
        return _SIZING
    if "points" in document:
        return _SWEEP
    return _COMPARISON if "workflows" in document else _ANALYSIS


def _analysis_html(document: Document) -> str:
    whole = _whole(document)
    return html_page(analysis_contents(whole), lambda: analysis_charts(whole))


def _comparison_html(document: Document) -> str:
    return html_page(comparison_contents(document), lambda: comparison_charts(document))


def _sweep_html(document: Document) -> str:
    return html_page(sweep_contents(document), lambda: {"points": [front_chart(document)]})


def _sizing_html(document: Document) -> str:
    return html_page(sizing_contents(document), lambda: sizing_charts(document))


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
    what_if = what_if_words(replay)
    words = f"{amount} on {fleet_name(replay['fleet'])}{f', {what_if}' if what_if else ''}"
    idle = units.ratio_of(replay["gpu_s"]["idle"], replay["gpu_s"]["billed"])
    if replay["session_s"] is None or idle is None:
        return f"{words}: no call could be served."
    return (
        f"{words}: half of the sessions take {units.seconds(replay['session_s']['p50'])} or less, 95 % "
        f"{units.seconds(replay['session_s']['p95'])} or less; the GPU is idle {units.percent(idle)} of the time it is "
        f"paid for; a session takes {units.energy(replay['energy_j']['per_session'])} and "
        f"{units.dollars(replay['cost_usd']['per_session'])}."
    )


_ANALYSIS: dict[str, Callable[[Document], str]] = {
    "html": _analysis_html,
    "md": lambda document: markdown_report(analysis_contents(_whole(document))),
    "csv": lambda document: csv_report(_whole(document)),
}
_COMPARISON: dict[str, Callable[[Document], str]] = {
    "html": _comparison_html,
    "md": lambda document: markdown_report(comparison_contents(document)),
    "csv": comparison_csv,
}
_SWEEP: dict[str, Callable[[Document], str]] = {
    "html": _sweep_html,
    "md": lambda document: markdown_report(sweep_contents(document)),
    "csv": sweep_csv,
}
_SIZING: dict[str, Callable[[Document], str]] = {
    "html": _sizing_html,
    "md": lambda document: markdown_report(sizing_contents(document)),
    "csv": sizing_csv,
}
