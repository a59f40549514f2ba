"""The chart of the slowest sessions' critical paths: what made each as long as it was."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit import units
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.key import add_key
from tracekit.reports.html.palette import light
from tracekit.reports.html.time_axis import label_time
from tracekit.reports.sections.slowest import step_name
from tracekit.reports.words import session_name, shown_name

Document = dict[str, Any]
_COLOURS = {"llm_call": "llm", "tool_span": "tool"}


def critical_paths(document: Document) -> Chart | None:
    """A row a session, its path from its start; None where nothing is known of any."""
    recorded = document.get("recorded")
    paths = (recorded and recorded.get("critical_paths")) or []
    if not paths:
        return None
    chart = Chart(
        "paths",
        "Critical paths of the slowest sessions. Data in the tables below.",
        9.2,
        1.15 + 0.34 * len(paths),
    )
    axes = chart.figure.subplots()
    unit_s = label_time(axes, max(path["session_s"] for path in paths), "each session's start")
    for row, path in enumerate(paths):
        whole = axes.barh(row, path["session_s"] / unit_s, 0.3, color=light("gap"))
        chart.tip(whole[0], f"{session_name(path)}: waiting {units.seconds(path['wait_s'])} on the path")
        for step in path["steps"]:
            bar = axes.barh(
                row, step["own_s"] / unit_s, 0.6, step["start_s"] / unit_s,
                color=light(_COLOURS[step["kind"]]), edgecolor=light("paper"), linewidth=0.5,
            )  # fmt: skip
            waited = f", after waiting {units.seconds(step['wait_s'])}" if step["wait_s"] else ""
            chart.tip(bar[0], f"{step_name(step)}: {units.seconds(step['own_s'])}{waited}")
    axes.set_yticks(np.arange(len(paths)), [shown_name(session_name(path), 22) for path in paths])
    axes.set_ylim(len(paths) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    add_key(chart.figure, {"llm": "LLM call", "tool": "tool", "gap": "waiting (client, think time)"})
    return chart
