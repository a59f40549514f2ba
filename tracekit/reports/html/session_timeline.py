"""The chart of what the agents did: how much at once, and the slowest sessions step by step."""

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
ROW_INCHES = 0.26
_LANES = {"llm_call": ("llm", 0.04), "tool_span": ("tool", 0.46)}


def session_timeline(document: Document) -> Chart | None:
    """The chart, or None where nothing recorded is in the document."""
    recorded = document.get("recorded")
    timeline = recorded.get("timeline") if recorded else None
    if recorded is None or not timeline:
        return None
    sessions = timeline["sessions"]
    if not sessions:
        return None
    chart = Chart(
        "sessions",
        "Timeline of what was recorded: calls and tools under way, and the steps of sessions. Data in the table below.",
        9.2,
        2.3 + ROW_INCHES * len(sessions),
    )
    load, rows = chart.figure.subplots(
        2, 1, sharex=True, height_ratios=[1.2, max(0.6, ROW_INCHES * len(sessions))]
    )
    span_s = recorded["makespan_s"]
    unit_s = label_time(rows, span_s, "the first session's start")
    _draw_load(chart, load, timeline, unit_s)
    _draw_sessions(chart, rows, sessions, unit_s)
    add_key(chart.figure, {"llm": "LLM call", "tool": "tool", "line": "session (neither)"})
    return chart


def _draw_load(chart: Chart, axes: Any, timeline: Document, unit_s: float) -> None:
    edges = np.arange(len(timeline["calls_open"]) + 1) * timeline["bin_s"] / unit_s
    for key, colour, words in (("calls_open", "llm", "LLM calls"), ("tools_open", "tool", "tools")):
        values = timeline[key]
        line = axes.stairs(values, edges, color=light(colour), linewidth=1.6)
        mean = float(np.mean(values))
        chart.tip(line, f"{words} under way: {mean:.2g} on average, {max(values):.2g} at most")
    axes.set_ylim(bottom=0)
    axes.set_title("under way at once")
    axes.grid(axis="y")
    axes.tick_params(labelbottom=False)


def _draw_sessions(chart: Chart, axes: Any, sessions: list[Document], unit_s: float) -> None:
    for row, session in enumerate(sessions):
        whole = axes.barh(
            row + 0.44, (session["end_s"] - session["start_s"]) / unit_s, 0.1, session["start_s"] / unit_s,
            color=light("line"),
        )  # fmt: skip
        length = units.seconds(session["end_s"] - session["start_s"])
        chart.tip(whole[0], f"{session_name(session)}: {length}")
        for mark in session["marks"]:
            colour, lane = _LANES[mark["kind"]]
            bar = axes.barh(
                row + lane + 0.2, (mark["end_s"] - mark["start_s"]) / unit_s, 0.4, mark["start_s"] / unit_s,
                color=light(colour), edgecolor=light("paper"), linewidth=0.4,
            )  # fmt: skip
            chart.tip(bar[0], f"{session_name(session)}: {_mark_words(mark)}")
    axes.set_yticks(
        np.arange(len(sessions)) + 0.46, [shown_name(session_name(session), 22) for session in sessions]
    )
    axes.set_ylim(len(sessions), 0)
    axes.tick_params(length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _mark_words(mark: Document) -> str:
    length = units.seconds(mark["end_s"] - mark["start_s"])
    if mark["steps"] == 1:
        return f"{step_name(mark)}, {length} from {units.seconds(mark['start_s'])}"
    noun = "calls" if mark["kind"] == "llm_call" else "tools"
    return f"{mark['steps']:,} {noun} within {length} from {units.seconds(mark['start_s'])}"
