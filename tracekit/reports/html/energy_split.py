"""The chart of a session's joules and dollars, in the average and the isolated view side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracekit import units
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.key import add_key
from tracekit.reports.html.stack import draw_stack, plain_rows, write_beside
from tracekit.reports.words import CAUSES, STATES, fleet_name, shown_name

Document = dict[str, Any]
_WORDS = STATES | {"isolated": "alone on one replica (isolated view)"}


def energy_split(document: Document) -> Chart | None:
    """Two panels of two bars a replay; None without replays."""
    replays = [replay for replay in document["replays"] if replay["energy_j"]["total"]]
    if not replays:
        return None
    chart = Chart(
        "energy",
        "Joules and dollars of a session on average, by phase and cause of idleness, and alone. Data in the tables.",
        9.2,
        1.3 + 0.62 * len(replays),
    )
    panels = chart.figure.subplots(1, 2, sharey=True)
    joules = [(_joules(replay), replay["energy_j"]["isolated_per_session"]) for replay in replays]
    dollars = [(_dollars(replay), replay["cost_usd"]["isolated_per_session"]) for replay in replays]
    _panel(chart, panels[0], joules, "energy of a session, mean", units.energy)
    _panel(chart, panels[1], dollars, "cost of a session, mean", units.dollars)
    labels = []
    for replay in replays:
        labels += [f"{shown_name(fleet_name(replay['fleet']), 26)}, average", "alone"]
    plain_rows(panels[0], labels)
    panels[1].tick_params(labelleft=False, length=0)
    for side in ("left", "bottom"):
        panels[1].spines[side].set_visible(False)
    used = {key: words for key, words in _WORDS.items() if any(key in parts for parts, _alone in joules)}
    add_key(chart.figure, used | {"isolated": _WORDS["isolated"]}, 4)
    return chart


def _panel(
    chart: Chart,
    axes: Any,
    bars: list[tuple[dict[str, float], float | None]],
    title: str,
    shown: Callable[[float], str],
) -> None:
    whole = max(max(sum(parts.values()), alone or 0.0) for parts, alone in bars)
    for place, (parts, alone) in enumerate(bars):
        draw_stack(chart, axes, 2 * place, parts, _WORDS, shown, whole, character=0.032)
        write_beside(axes, sum(parts.values()), 2 * place, shown(sum(parts.values())))
        if alone is not None:
            draw_stack(chart, axes, 2 * place + 1, {"isolated": alone}, _WORDS, shown, 0.0)
            write_beside(axes, alone, 2 * place + 1, shown(alone))
    axes.set_xlim(0, 1.3 * whole)
    axes.set_xticks([])
    axes.set_title(title)


def _joules(replay: Document) -> dict[str, float]:
    sessions, energy = replay["sessions"], replay["energy_j"]
    busy = {state: energy["by_phase"][state] for state in ("prefill", "mixed", "decode")}
    idle = {f"idle_{cause}": energy["by_cause"][cause] for cause in CAUSES}
    whole = busy | idle | {"starting": energy["by_phase"]["starting"]}
    return {key: value / sessions for key, value in whole.items() if value}


def _dollars(replay: Document) -> dict[str, float]:
    """The bill by GPU time, which is what it is made of."""
    sessions, billed = replay["sessions"], replay["gpu_s"]["billed"]
    busy = {state: replay["gpu_s"][state] for state in ("prefill", "mixed", "decode")}
    idle = {f"idle_{cause}": replay["idle_s"][cause] for cause in CAUSES}
    whole = busy | idle | {"starting": replay["gpu_s"]["starting"]}
    total = replay["cost_usd"]["total"]
    return {key: total * value / billed / sessions for key, value in whole.items() if value and billed}
