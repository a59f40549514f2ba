"""What a prefix cache does for one request: Fig 9."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import fmean, geometric_mean

import numpy as np

from examples.cost_of_dynamic_reasoning.comparison import Row, percent, table
from examples.cost_of_dynamic_reasoning.hardware import front_end_of
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.pair import Pair, pairs, shape_of
from examples.cost_of_dynamic_reasoning.results import Results

CHANGE = ["change by caching, %", "ours", "published", "difference"]
KEYS = {"prefill": ("call_prefill_s", "prefill_s"), "call": ("call_s", "call_s")}
"""Of a result, and the table of targets."""


def ours(results: Results, what: str, pair: Pair, less_s: float = 0.0) -> float:
    """Change by caching, %, if each took `less_s` less."""
    key, found = KEYS[what][0], results.alone(pair)
    return 100.0 * (float(found["cached"][key] - less_s) / float(found["uncached"][key] - less_s) - 1.0)


def published(what: str, pair: Pair) -> float:
    """The same of the bars of Fig 9."""
    bars = judged(KEYS[what][1])[pair.benchmark][pair.agent]
    return 100.0 * float(bars["cached"] / bars["uncached"] - 1.0)


def rows(results: Results) -> list[Row]:
    """The two sentences, and the bars that they are about."""
    found = []
    for what in KEYS:
        every, users = _mean(partial(ours, results, what))
        bars, bars_of_users = _mean(partial(published, what))
        found += [
            Row(f"{what}, mean of 17, against the text", every, judged("caching")[what], points=True),
            Row(f"{what}, mean of 17, against the bars", every, bars, points=True),
            Row(f"{what}, mean of the 14 with tools, against the bars", users, bars_of_users, points=True),
        ]
    return found


def _mean(of: Callable[[Pair], float]) -> tuple[float, float]:
    """Over the 17, and over the 14 with tools."""
    return fmean(of(pair) for pair in pairs()), fmean(of(pair) for pair in pairs() if pair.uses_tools)


def _bars() -> str:
    """The means of the published bars that were tried against the sentences."""
    told = []
    for what in KEYS:
        every, users = _mean(partial(published, what))
        geometric = 100.0 * (geometric_mean(1.0 + published(what, pair) / 100.0 for pair in pairs()) - 1.0)
        told.append(f"of {what} {users:.1f} over 14 pairs, {every:.1f} over 17, {geometric:.1f} by ratios")
    return "; ".join(told)


def without_front_end(results: Results) -> float:
    """Change of the prefill if the API server took nothing, mean of 17, %."""

    def one(pair: Pair) -> float:
        front_end_s = front_end_of(np.array([shape_of(pair).tokens.input]))
        return ours(results, "prefill", pair, float(front_end_s[0]))

    return _mean(one)[0]


def context(results: Results) -> dict[str, object]:
    """The tables and what the text names."""
    lines = []
    for pair in pairs():
        found, cells = results.alone(pair), []
        for key, name in KEYS.values():
            bars = judged(name)[pair.benchmark][pair.agent]
            for how in ("uncached", "cached"):
                off = percent(found[how][key] / bars[how] - 1)
                cells.append(f"{found[how][key]:.3f} / {bars[how]:.3f} ({off})")
        lines.append([pair.name, *cells])
    heads = [
        "ours / published, s a call",
        "prefill, no cache",
        "prefill, cached",
        "call, no cache",
        "call, cached",
    ]
    late = [
        1e3
        * (judged("prefill_s")[pair.benchmark][pair.agent]["cached"] - results.cached(pair)["call_prefill_s"])
        for pair in pairs()
    ]
    return {
        "change": table(CHANGE, [row.cells() for row in rows(results)]),
        "bars": _bars(),
        "calls": table(heads, lines),
        "late_ms": f"{fmean(late):.0f}",
        "without_front_end": f"{without_front_end(results):.1f}",
    }
