"""The charts of latency: what share took no longer than so many seconds, recorded and replayed."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tracekit import units
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.palette import light, series
from tracekit.reports.words import LATENCIES, fleet_name, shown_name

Document = dict[str, Any]
_PANELS = ("ttft_s", "tpot_s", "e2e_s", "session_s")


def latency_curves(document: Document) -> Chart | None:
    """A panel a quantity that is known, a line for the recording and for each replay."""
    recorded = document.get("recorded")
    parts = [("recorded", recorded, series(0))] if recorded else []
    parts += [
        (shown_name(fleet_name(replay["fleet"]), 30), replay, series(place + 1))
        for place, replay in enumerate(document["replays"])
    ]
    panels = [key for key in _PANELS if any(part[key] for _name, part, _colour in parts)]
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    chart = Chart("latency", "Distributions of latency. Data in the tables below.", 9.2, 0.55 + 2.25 * rows)
    grid = chart.figure.subplots(rows, 2, squeeze=False, sharey=True).flat
    for axes, key in zip(grid, panels, strict=False):
        _panel(chart, axes, key, parts)
    for axes in list(grid)[len(panels) :]:
        axes.set_visible(False)
    handles = [Line2D([], [], color=light(colour), linewidth=2, label=name) for name, _part, colour in parts]
    chart.figure.legend(handles=handles, loc="outside lower left", ncols=min(4, len(handles)))
    return chart


def _panel(chart: Chart, axes: Any, key: str, parts: list[tuple[str, Document, str]]) -> None:
    for name, part, colour in parts:
        spread = part[key]
        if not spread:
            continue
        values_s = np.maximum(np.asarray(spread["curve"]), 1e-7)
        percents = np.linspace(0, 100, len(values_s))
        (line,) = axes.step(values_s, percents, where="post", color=light(colour), linewidth=1.6)
        chart.tip(
            line,
            f"{LATENCIES[key]}, {name}: p50 {units.seconds(spread['p50'])}, p95 {units.seconds(spread['p95'])}",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: units.seconds(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 50, 95], ["0 %", "50 %", "95 %"])
    axes.set_title(LATENCIES[key])
    axes.grid(visible=True)
