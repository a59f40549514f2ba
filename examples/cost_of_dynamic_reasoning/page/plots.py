"""The page's plots: ours in colour beside the paper's in grey."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from examples.cost_of_dynamic_reasoning.hardware import PROMPTS_FIRST
from examples.cost_of_dynamic_reasoning.page.latency import e2e_rows, idle_rows
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.results import Results
from tracekit.units import J_PER_WH

OURS, PAPER = "#2563a8", "#9a9a9a"


def write_plots(results: Results, folder: Path) -> None:
    """All plots as SVG; the same results give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = {"pairs": _pairs, "knees": _knees, "scaling": _scaling}
    # letters as text: a third of the size, and found by a search
    with mpl.rc_context({"svg.hashsalt": "tracekit", "svg.fonttype": "none", "font.size": 9}):
        for name, plot in plots.items():
            figure = plot(results)
            for axes in figure.axes:
                axes.spines[["top", "right"]].set_visible(False)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


def _pairs(results: Results) -> Figure:
    figure = Figure(figsize=(9, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    rows, idle = e2e_rows(results), idle_rows(results)
    place = np.arange(len(rows))
    for axes, told, title in ((upper, rows, "end to end, s"), (lower, idle, "GPU idle, % of it")):
        axes.bar(place - 0.2, [row.ours for row in told], 0.4, color=OURS, label="replayed")
        axes.bar(place + 0.2, [row.published for row in told], 0.4, color=PAPER, label="published")
        axes.set_ylabel(title)
    upper.legend(frameon=False)
    lower.set_xticks(
        place, [row.name.replace(" on ", "\n") for row in rows], rotation=60, ha="right", fontsize=7
    )
    return figure


def _knees(results: Results) -> Figure:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), ("HotpotQA", "WebShop", "ShareGPT"), strict=True):
        for how, dashes in (("cached", "-"), ("uncached", "--")):
            curve = np.array(judged("p95_curve")[name][how])
            axes.plot(*curve.T, dashes, color=PAPER, label=f"published, {how}")
            ours = np.array(results.knee(name, how, PROMPTS_FIRST).curve)
            shown = ours[ours[:, 1] < 1.2 * curve[:, 1].max()]
            axes.plot(*shown.T, dashes, color=OURS, label=f"replayed, {how}")
        axes.set(xscale="log", yscale="log", xlabel="requests/s", title=name)
        _plain_numbers(axes.xaxis, axes.yaxis)
    figure.axes[0].set_ylabel("p95, s")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _scaling(results: Results) -> Figure:
    figure = Figure(figsize=(9, 6), layout="constrained")
    upper, lower = figure.subplots(2, 2)
    for axes, benchmark in zip(upper, taken("budget_accuracy"), strict=True):
        _budget(axes, results, benchmark)
    series = {"Reflexion 8B": "reflections", "LATS 8B": "iterations"}
    for axes, (name, key) in zip(lower, series.items(), strict=True):
        _design(axes, results, name, key)
    return figure


def _budget(axes: Axes, results: Results, benchmark: str) -> None:
    accuracy, published = taken("budget_accuracy")[benchmark], judged("budget_s")[benchmark]
    found, shares = results.series(f"budget-{benchmark}"), list(accuracy.values())
    axes.plot([found[each]["e2e_s"] for each in accuracy], shares, "o-", color=OURS, label="replayed")
    axes.plot([published[each][0] for each in accuracy], shares, "o-", color=PAPER, label="published")
    for each, share in accuracy.items():
        axes.annotate(
            each, (published[each][0], share), fontsize=7, xytext=(3, -8), textcoords="offset points"
        )
    axes.set(xlabel="mean s", ylabel="accuracy %", title=f"ReAct on {benchmark} by iteration budget")
    axes.legend(frameon=False)


def _design(axes: Axes, results: Results, name: str, series: str) -> None:
    points, wh = taken("scaling")[name], judged("scaling_wh")[name]
    found, accuracy = results.series(series), [each[2] for each in points]
    own = [found[str(place)]["energy_j"] / J_PER_WH for place in range(len(points))]
    axes.plot(own, accuracy, "o", color=OURS, label="replayed")
    axes.plot(wh, accuracy, "o", color=PAPER, label="published")
    axes.set(xscale="log", xlabel="Wh a query", ylabel="accuracy %", title=f"{name} on HotpotQA")
    _plain_numbers(axes.xaxis)
    axes.legend(frameon=False)


def _plain_numbers(*logarithmic: Axis) -> None:
    for axis in logarithmic:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
