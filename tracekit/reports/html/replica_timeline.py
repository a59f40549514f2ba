"""The chart of one replay's replicas over time, idleness by its cause."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracekit import units
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.key import add_key, key_inches
from tracekit.reports.html.palette import light
from tracekit.reports.html.time_axis import label_time
from tracekit.reports.words import STATES, fleet_name

Document = dict[str, Any]
ROW_INCHES = 0.36
KEY_COLUMNS = 4


def replica_timeline(replay: Document, place: int, shown: int) -> Chart | None:
    """The chart of the `place`-th replay, at most `shown` replicas in it; None without the data."""
    timeline = replay.get("timeline")
    if not timeline:
        return None
    rows = [(f"replica {index}", shares) for index, shares in enumerate(timeline["first_replicas"][:shown])]
    if timeline["replicas"] > len(rows):
        rows = [(f"all {timeline['replicas']:,}", timeline["fleet"]), *rows]
    name = fleet_name(replay["fleet"])
    used = {key: words for key, words in STATES.items() if any(key in shares for _words, shares in rows)}
    chart = Chart(
        f"replicas{place}",
        f"Timeline of the replicas of {name}: what each does and why it is idle. Data in the table below.",
        9.2,
        1.1 + ROW_INCHES * len(rows) + key_inches(used, KEY_COLUMNS),
    )
    axes = chart.figure.subplots()
    edges = np.arange(_bins(timeline) + 1) * timeline["bin_s"]
    unit_s = label_time(axes, replay["makespan_s"], "the first arrival (modelled)")
    for row, (words, shares) in enumerate(rows):
        _draw_row(chart, axes, row, words, shares, edges / unit_s)
    axes.set_yticks(np.arange(len(rows)) + 0.5, [words for words, _shares in rows])
    axes.set_ylim(len(rows), 0)
    axes.tick_params(axis="y", length=0)
    axes.set_title(name)
    for spine in axes.spines.values():
        spine.set_visible(False)
    add_key(chart.figure, used, KEY_COLUMNS)
    return chart


def _bins(timeline: Document) -> int:
    return max((len(values) for values in timeline["fleet"].values()), default=0)


def _draw_row(chart: Chart, axes: Any, row: int, words: str, shares: Document, edges: np.ndarray) -> None:
    floor = np.zeros(len(edges) - 1)
    for key, state in STATES.items():
        if key not in shares:
            continue
        top = floor + np.asarray(shares[key])
        low, high = (row + 0.9 - 0.8 * np.append(level, level[-1]) for level in (floor, top))
        area = axes.fill_between(edges, low, high, step="post", color=light(key), linewidth=0)
        chart.tip(area, f"{words}: {state}, {units.percent(float(np.mean(shares[key])))} of the time")
        floor = top
