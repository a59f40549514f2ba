"""The charts of a comparison, by the section that they stand in."""

from __future__ import annotations

from typing import Any

from tracekit import units
from tracekit.reports.html.compared.score_plane import score_plane
from tracekit.reports.html.compared.session_ranges import session_ranges
from tracekit.reports.html.compared.workflow_bars import Measure, workflow_bars
from tracekit.reports.html.inline_svg import Chart
from tracekit.reports.words import shown_name

Document = dict[str, Any]


def comparison_charts(document: Document) -> dict[str, list[Chart | None]]:
    """By key of section; made within `drawing`."""
    return {
        "summary": [
            *_bars(document, _ratios(shown_name(document["baseline"], 14))),
            score_plane(document, "score over session time", _mean_s, units.seconds),
            score_plane(document, "score over energy alone", _alone_wh, _wh),
        ],
        "latency": [
            *_bars(document, _LATENCY[:1]),
            session_ranges(document),
            *_bars(document, _LATENCY[1:]),
        ],
        "energy": _bars(document, _ENERGY),
        "cost": _bars(document, _COST),
    }


def _bars(document: Document, measures: tuple[Measure, ...]) -> list[Chart | None]:
    return [workflow_bars(document, measure) for measure in measures]


def _ratios(baseline: str) -> tuple[Measure, ...]:
    """How many times the baseline each workflow is."""
    return (
        Measure(
            "x-time",
            f"session time ({baseline} = 1)",
            lambda replay: (replay["session_x"] or {}).get("mean"),
            _times,
        ),
        Measure(
            "x-energy",
            f"energy alone ({baseline} = 1)",
            lambda replay: replay["wh_x"]["isolated"],
            _times,
        ),
        Measure("x-cost", f"cost ({baseline} = 1)", lambda replay: replay["cost_x"], _times),
    )


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}x"


def _wh(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} Wh"


def _megawatts(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g} MW" if value >= 1 else f"{value * 1000:.3g} kW"


def _short_dollars(value: float | None) -> str:
    """Of a year: $133 M."""
    if value is None:
        return "-"
    for scale, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"${value / scale:.3g} {letter}"
    return units.dollars(value)


def _of_session(replay: Document, key: str) -> float | None:
    spread = replay["session_s"]
    return None if spread is None else spread[key]


def _mean_s(replay: Document) -> float | None:
    return _of_session(replay, "mean")


def _alone_wh(replay: Document) -> float | None:
    value: float | None = replay["wh_per_session"]["isolated"]
    return value


def _at_demand(replay: Document) -> Document:
    return replay["at_demand"] or {"mw": {"isolated": None}, "usd_per_year": None}


_LATENCY = (
    Measure("mean", "session time, mean", _mean_s, units.seconds),
    Measure("tail", "p95 over p50", lambda replay: _of_session(replay, "p95_over_p50"), units.ratio),
)
_ENERGY = (
    Measure("alone", "energy alone", _alone_wh, _wh),
    Measure("average", "energy, average", lambda replay: replay["wh_per_session"]["average"], _wh),
    Measure("idle", "GPU idle, of the time paid for", lambda replay: replay["idle"], units.percent),
)
_COST = (
    Measure("usd", "dollars a session", lambda replay: replay["cost_usd_per_session"], units.dollars),
    Measure("mw", "power, alone", lambda replay: _at_demand(replay)["mw"]["isolated"], _megawatts),
    Measure("year", "dollars a year", lambda replay: _at_demand(replay)["usd_per_year"], _short_dollars),
)
