"""The charts of a sizing: objectives against their limits, what GPUs do, the front, the day."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator

from tracekit import units
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.html.palette import light, series
from tracekit.reports.words import CAUSES, fleet_name

Document = dict[str, Any]
WIDTH = 9.2
BUSY = ("prefill", "mixed", "decode")


def sizing_charts(document: Document) -> dict[str, list[Chart | None]]:
    """By key of section; made within `drawing`."""
    return {
        "objectives": [slo_bars(document)],
        "idle": [sizing_states(document)],
        "front": [front_scatter(document)],
        "daily": [day_curve(document)],
    }


def slo_bars(document: Document) -> Chart | None:
    """Every objective as a share of its limit: the median, and the range of 95 % of the replicates."""
    answer = document["answer"]
    slos = [slo for slo in (answer["slos"] if answer else ()) if slo["value_s"] is not None]
    if not slos:
        return None
    chart = Chart(
        "objectives",
        "Objectives as shares of their limits. Data in the table below.",
        WIDTH,
        0.75 + 0.42 * len(slos),
    )
    axes = chart.figure.subplots()
    for row, slo in enumerate(slos):
        low, median, high = (slo["value_s"][key] / slo["limit_s"] for key in ("low", "median", "high"))
        colour = light("series_1" if high < 1 else "idle_imbalance")
        (line,) = axes.plot([low, high], [row, row], color=colour, linewidth=5, solid_capstyle="round")
        axes.plot([median], [row], "o", color=light("ink"), markersize=6)
        value = slo["value_s"]
        chart.tip(
            line,
            f"{slo['name'].replace('_', ' ')}: {units.seconds(value['median'])} "
            f"({units.seconds(value['low'])} to {units.seconds(value['high'])}), limit {units.seconds(slo['limit_s'])}",
        )
    axes.axvline(1.0, color=light("ink"), linewidth=1.2)
    axes.set_yticks(
        range(len(slos)),
        [f"{slo['name'].replace('_', ' ')} < {units.seconds(slo['limit_s'])}" for slo in slos],
    )
    axes.set_ylim(len(slos) - 0.4, -0.6)
    axes.set_xlim(0, max(1.15, 1.05 * max(slo["value_s"]["high"] / slo["limit_s"] for slo in slos)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:.0%}"))
    axes.set_xlabel("of the limit; dot: median of the replicates, bar: 95 % of them")
    axes.grid(visible=True, axis="x")
    return chart


def sizing_states(document: Document) -> Chart | None:
    """What the GPUs of each best fleet do in the time that is paid for, a bar a fleet."""
    bars = {name: one for name, one in document["fleets"].items() if one["gpu_share"]["idle"] is not None}
    fleets = {f"{fleet_name(one['fleet'])}\n{one['fleet']['router']}": one for one in bars.values()}
    if not fleets:
        return None
    chart = Chart("states", "What GPUs do. Data in the table below.", WIDTH, 1.25 + 0.45 * len(fleets))
    axes = chart.figure.subplots()
    parts = [(state, state, "gpu_share", state) for state in BUSY]
    parts += [(f"idle_{cause}", f"idle: {words}", "idle_share", cause) for cause, words in CAUSES.items()]
    parts.append(("starting", "starting", "gpu_share", "starting"))
    left = np.zeros(len(fleets))
    for colour, words, table, key in parts:
        widths = np.array([one[table][key]["median"] if one[table][key] else 0.0 for one in fleets.values()])
        if widths.max() < 5e-4:
            continue
        drawn = axes.barh(
            range(len(fleets)), widths, left=left, color=light(colour), height=0.62, label=words
        )
        for bar, width, name in zip(drawn, widths, fleets, strict=True):
            chart.tip(bar, f"{name}: {words} {units.percent(float(width))}")
        left += widths
    axes.set_yticks(range(len(fleets)), list(fleets))
    axes.set_ylim(len(fleets) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:.0%}"))
    chart.figure.legend(loc="outside lower left", ncols=4)
    return chart


def front_scatter(document: Document) -> Chart | None:
    """Cost of a session against the first objective, a colour a GPU; the front is joined by a line."""
    points = document["pareto"]
    if not points:
        return None
    slo = document["question"]["slos"][0]
    chart = Chart("front", "Cost against latency. Data in the table below.", WIDTH, 4.2)
    axes = chart.figure.subplots()
    gpus = list(dict.fromkeys(point["gpu"] for point in points))
    for place, gpu in enumerate(gpus):
        for point in (point for point in points if point["gpu"] == gpu):
            (mark,) = axes.plot(
                point["cost_usd_per_session"],
                point["slo_s"][0],
                "o",
                color=light(series(place + 1)),
                markersize=8 if point["is_on_front"] else 5,
                alpha=1.0 if point["is_on_front"] else 0.45,
                label=gpu if gpu not in axes.get_legend_handles_labels()[1] else None,
            )
            chart.tip(
                mark,
                f"{point['fleet']}: {units.dollars(point['cost_usd_per_session'])} a session, "
                f"{units.seconds(point['slo_s'][0])}, {units.energy(point['energy_j_per_session'])}",
            )
    axes.axhline(slo["limit_s"], color=light("ink"), linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: units.dollars(value)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda _value, _place: ""))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: units.seconds(value)))
    axes.set_ylim(0, 1.08 * slo["limit_s"])
    axes.set_xlabel("cost of a session")
    axes.set_ylabel(f"{slo['name'].replace('_', ' ')}; line: its limit")
    axes.grid(visible=True)
    chart.figure.legend(loc="outside lower left", ncols=4)
    return chart


def day_curve(document: Document) -> Chart | None:
    """The rate over the day, and the level that the static fleet is sized for."""
    daily = document["daily"]
    if daily is None:
        return None
    hours, levels = np.asarray(daily["hours"]), np.asarray(daily["levels"], np.float64)
    scale = daily["peak_rate_per_s"] / levels.max()
    edges = np.concatenate([[0.0], hours, [24.0]])
    values = np.concatenate([levels[-1:], levels, levels[-1:]]) * scale
    chart = Chart("day", "The rate over the day. Data in the profile.", WIDTH, 2.4)
    axes = chart.figure.subplots()
    axes.fill_between(edges, values, step="post", color=light("series_1"), alpha=0.5)
    axes.axhline(daily["peak_rate_per_s"], color=light("ink"), linewidth=1)
    axes.set_xlim(0, 24)
    axes.set_ylim(0, 1.12 * daily["peak_rate_per_s"])
    axes.set_xticks(range(0, 25, 3), [f"{hour}:00" for hour in range(0, 25, 3)])
    axes.set_ylabel("sessions/s")
    axes.grid(visible=True, axis="y")
    return chart
