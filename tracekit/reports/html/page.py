"""The report as one HTML file: it asks for nothing, runs one script known by its hash, and reads without it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from tracekit import __version__
from tracekit.reports.html.inline_svg import Chart, StyleSheet, drawing
from tracekit.reports.html.palette import series_rules, variables
from tracekit.reports.sections.contents import Contents
from tracekit.reports.sections.section import Section
from tracekit.reports.words import shown_name

Charts = dict[str, list[Chart | None]]
SUMMARY = "summary"
"""Where charts stand that belong to no section but the answer."""
LONGEST_COMMAND = 2_000


class Figure(NamedTuple):
    """A chart as the page holds it."""

    svg: str
    colours: dict[str, str] | None


class Part(NamedTuple):
    """A section with its charts."""

    section: Section
    figures: list[Figure]


def html_page(contents: Contents, draw: Callable[[], Charts]) -> str:
    """The whole file; `draw` makes the charts, by the key of the section that they stand in."""
    sheet = StyleSheet()
    figures = _figures(draw, sheet)
    parts = [Part(section, figures.get(section.key, [])) for section in contents.sections]
    style = _asset("style.css").replace("/*light*/", variables(of_dark=False)).replace(
        "/*dark*/", variables(of_dark=True)
    ).replace("/*series*/", series_rules()) + sheet.rules()  # fmt: skip
    script = _asset("script.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("report.html.jinja")).render(
        title=shown_name(contents.title, 80),
        headline=shown_name(contents.headline, 1_000),
        labels=[(shown_name(name), shown_name(text, 200)) for name, text in contents.labels.items()],
        summaries=contents.summaries,
        summary_figures=figures.get(SUMMARY, []),
        parts=[part for part in parts if part.section.tables or part.figures],
        command=shown_name(contents.command, LONGEST_COMMAND),
        version=__version__,
        schema_version=contents.schema_version,
        policy=_policy(style, script),
        style=style,
        script=script,
    )


def _figures(draw: Callable[[], Charts], sheet: StyleSheet) -> dict[str, list[Figure]]:
    with drawing():
        return {
            key: [Figure(chart.svg(sheet), chart.colours) for chart in charts if chart is not None]
            for key, charts in draw().items()
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
