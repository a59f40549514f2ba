"""The charts of where time goes: a session's, and that of the GPUs."""

from __future__ import annotations

from typing import Any

from tracekit import units
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.key import add_key
from tracekit.reports.html.stack import draw_stack, plain_rows
from tracekit.reports.words import CAUSES, SHARES, STATES, fleet_name, shown_name

Document = dict[str, Any]


def session_shares(document: Document) -> Chart | None:
    """Session time by what happens in it, recorded and replayed."""
    recorded = document.get("recorded")
    parts = [] if recorded is None else [("recorded", recorded)]
    parts += [(shown_name(fleet_name(replay["fleet"]), 30), replay) for replay in document["replays"]]
    parts = [(name, part) for name, part in parts if part["share"]["llm"] is not None]
    if not parts:
        return None
    chart = _bars("shares", "Shares of session time. Data in the table below.", len(parts))
    axes = chart.figure.subplots()
    for row, (_name, part) in enumerate(parts):
        draw_stack(chart, axes, row, {key: part["share"][key] for key in SHARES}, SHARES, units.percent, 1.0)
    _finish(axes, [name for name, _part in parts], "session time")
    add_key(chart.figure, SHARES)
    return chart


def gpu_shares(document: Document) -> Chart | None:
    """GPU time that is paid for, by state and cause of idleness."""
    replays = [replay for replay in document["replays"] if replay["gpu_s"]["billed"]]
    if not replays:
        return None
    chart = _bars(
        "gpu", "Shares of GPU time by state and cause of idleness. Data in the tables.", len(replays), 0.5
    )
    axes = chart.figure.subplots()
    for row, replay in enumerate(replays):
        draw_stack(chart, axes, row, _gpu_parts(replay), STATES, units.percent, 1.0)
    _finish(axes, [shown_name(fleet_name(replay["fleet"]), 30) for replay in replays], "GPU time paid for")
    used = {key: STATES[key] for key in STATES if any(_gpu_parts(replay).get(key) for replay in replays)}
    add_key(chart.figure, used, 4)
    return chart


def _gpu_parts(replay: Document) -> dict[str, float]:
    billed = replay["gpu_s"]["billed"]
    busy = {state: replay["gpu_s"][state] / billed for state in ("prefill", "mixed", "decode")}
    idle = {f"idle_{cause}": replay["idle_s"][cause] / billed for cause in CAUSES}
    return busy | idle | {"starting": replay["gpu_s"]["starting"] / billed}


def _bars(key: str, label: str, rows: int, more: float = 0.3) -> Chart:
    return Chart(key, label, 9.2, 0.75 + more + 0.36 * rows)


def _finish(axes: Any, labels: list[str], title: str) -> None:
    plain_rows(axes, labels)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.set_title(title)
