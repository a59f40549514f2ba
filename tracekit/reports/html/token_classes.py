"""The chart of tokens: by class, and how much of the input was there before."""

from __future__ import annotations

from typing import Any

from tracekit import units
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.key import add_key
from tracekit.reports.html.palette import light, series
from tracekit.reports.html.stack import draw_stack, plain_rows, write_beside
from tracekit.reports.words import CLASSES, fleet_name, shown_name

Document = dict[str, Any]


def token_classes(document: Document) -> Chart | None:
    """A bar of classes above bars of reuse; None where neither is known."""
    recorded = document.get("recorded")
    by_class = recorded and recorded["tokens"]["by_class"]
    reuse = _reuse(document)
    if not by_class and not reuse:
        return None
    chart = Chart(
        "tokens",
        "Recorded tokens by class, and prefix reuse as a share of the input. Data in the tables.",
        9.2,
        (1.15 if by_class else 0.0) + 0.5 + 0.3 * len(reuse),
    )
    heights = [0.9] * bool(by_class) + [0.3 + 0.34 * len(reuse)] * bool(reuse)
    panels = chart.figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if by_class:
        whole = float(sum(by_class.values()))
        parts = {key: by_class[key] for key in CLASSES}
        draw_stack(chart, panels[0], 0, parts, CLASSES, units.count, whole)
        plain_rows(panels[0], ["tokens"])
        panels[0].set(xlim=(0, max(whole, 1.0)), xticks=[])
        panels[0].set_title("by class (recorded)")
        add_key(chart.figure, CLASSES, 6)
    if reuse:
        _draw_reuse(chart, panels[-1], reuse)
    return chart


def _reuse(document: Document) -> list[tuple[str, float, str]]:
    """Words, share of input, colour."""
    recorded, found = document.get("recorded"), []
    if recorded:
        prefix = recorded["prefix"]
        found = [
            ("seen before (recorded)", prefix["shareable"], "llm_history"),
            ("server's prefix cache (recorded)", prefix["server_cached"], series(0)),
        ]
    found += [
        (
            f"found on {shown_name(fleet_name(replay['fleet']), 24)}",
            replay["prefix_hit_fraction"],
            series(place + 1),
        )
        for place, replay in enumerate(document["replays"])
    ]
    return [row for row in found if row[1] is not None]


def _draw_reuse(chart: Chart, axes: Any, reuse: list[tuple[str, float, str]]) -> None:
    for row, (words, share, colour) in enumerate(reuse):
        bar = axes.barh(row, share, 0.55, color=light(colour))
        chart.tip(bar[0], f"{words}: {units.percent(share)} of the input")
        write_beside(axes, share, row, units.percent(share))
    plain_rows(axes, [words for words, _share, _colour in reuse])
    axes.set(xlim=(0, 1.12), xticks=[])
    axes.set_title("input that was there before")
