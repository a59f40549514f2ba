"""The report as one HTML file: it asks for nothing, runs one script known by its hash, and reads without it."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from tracekit import __version__
from tracekit.reports.html.critical_paths import critical_paths
from tracekit.reports.html.energy_split import energy_split
from tracekit.reports.html.inline_svg import Chart, StyleSheet, drawing
from tracekit.reports.html.latency_curves import latency_curves
from tracekit.reports.html.palette import variables
from tracekit.reports.html.replica_timeline import replica_timeline
from tracekit.reports.html.session_timeline import session_timeline
from tracekit.reports.html.time_shares import gpu_shares, session_shares
from tracekit.reports.html.token_classes import token_classes
from tracekit.reports.sections import Section, sections, summary_table
from tracekit.reports.words import shown_name

Document = dict[str, Any]
REPLICA_ROWS = 12
"""Replicas drawn, over all replays."""
LONGEST_COMMAND = 2_000


class Figure(NamedTuple):
    """A chart as the page holds it."""

    key: str
    svg: str


class Part(NamedTuple):
    """A section with its charts."""

    section: Section
    figures: list[Figure]


def html_page(document: Document) -> str:
    """The whole file."""
    sheet = StyleSheet()
    charts = _charts(document, sheet)
    parts = [Part(section, charts.get(section.key, [])) for section in sections(document)]
    style = _asset("style.css").replace("/*light*/", variables(of_dark=False)).replace(
        "/*dark*/", variables(of_dark=True)
    ) + sheet.rules()  # fmt: skip
    script = _asset("script.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("report.html.jinja")).render(
        title=shown_name(document["trace"], 80),
        headline=shown_name(document.get("headline") or "", 1_000),
        labels=[(shown_name(name), shown_name(text, 200)) for name, text in document["labels"].items()],
        summary=summary_table(document),
        parts=[part for part in parts if part.section.tables or part.figures],
        command=shown_name(document.get("command") or "", LONGEST_COMMAND),
        version=__version__,
        schema_version=document["schema_version"],
        policy=_policy(style, script),
        style=style,
        script=script,
    )


def _charts(document: Document, sheet: StyleSheet) -> dict[str, list[Figure]]:
    """Figures by the key of the section that they stand in."""
    replays = document["replays"]
    shown = max(1, REPLICA_ROWS // max(1, len(replays)))
    with drawing():
        drawn: dict[str, list[Chart | None]] = {
            "timeline": [
                session_timeline(document),
                *(replica_timeline(replay, place, shown) for place, replay in enumerate(replays)),
            ],
            "time": [session_shares(document), gpu_shares(document)],
            "energy": [energy_split(document)],
            "tokens": [token_classes(document)],
            "latency": [latency_curves(document)],
            "sessions": [critical_paths(document)],
        }
        return {
            key: [Figure(chart.key, chart.svg(sheet)) for chart in charts if chart is not None]
            for key, charts in drawn.items()
        }


def _policy(style: str, script: str) -> str:
    """Nothing but this style and this script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files("tracekit.reports.html").joinpath(name).read_text(encoding="utf-8")
