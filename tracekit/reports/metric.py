"""Numbers of a document by name: `session_p95`, `energy_j`, `idle_s.tool_wait`, any dotted path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tracekit import units

Document = dict[str, Any]
Number = int | float | None
BULKY = ("timeline", "error")
"""Keys of what charts are made of, and of errors of the model; lists are no numbers anyway."""
INPUTS = (
    "schema_version",
    "trace",
    "command",
    "fleet",
    "assumed",
    "release",
    "origin",
    "labels",
    "tier",
    "headline",
    "question",
)
"""Keys of what went in, whose numbers are no results."""
_SPREAD = re.compile(r"^(session|ttft|tpot|e2e|queue)_s\.(mean|p50|p90|p95|p99)$")
_SHORT_SPREAD = re.compile(r"^(session|ttft|tpot|e2e|queue)_(mean|p50|p90|p95|p99)$")
_SHORT = {
    "energy_j": "energy_j.total",
    "cost_usd": "cost_usd.total",
    "carbon_g": "carbon_g.high",
    "idle_s": "gpu_s.idle",
    "gpu_s": "gpu_s.billed",
}
_LONG = {path: name for name, path in _SHORT.items()}


def path_of(name: str) -> str:
    """The dotted path that a short name stands for; any other name as it is."""
    found = _SHORT_SPREAD.match(name)
    return f"{found[1]}_s.{found[2]}" if found else _SHORT.get(name, name)


def name_of(path: str) -> str:
    """The short name of a dotted path, if it has one."""
    found = _SPREAD.match(path)
    return f"{found[1]}_{found[2]}" if found else _LONG.get(path, path)


def numbers(document: Document, *, but: tuple[str, ...] = INPUTS) -> dict[str, Number]:
    """Every number by its dotted path, None where it is unknown; without what is bulky or went in."""
    return {
        path: value
        for path, value in leaves(document, but)
        if (value is None or _is_number(value)) and path != "what_if.seed"
    }


def leaves(document: Document, but: tuple[str, ...], before: str = "") -> Iterator[tuple[str, Any]]:
    """Everything that is no object or list, by its dotted path."""
    for key, value in document.items():
        if key in BULKY or (not before and key in but):
            continue
        if isinstance(value, dict):
            yield from leaves(value, but, f"{before}{key}.")
        elif not isinstance(value, list):
            yield f"{before}{key}", value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Unit(NamedTuple):
    """How numbers of a kind are shown, and the words that may follow one, by how much they are of the base unit."""

    shown: Callable[[float | None], str]
    scales: dict[str, float]


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:,.6g}"


def _grams(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g} g"


PLAIN = Unit(_plain, {"": 1.0})
SHARE = Unit(units.percent, {"": 1.0, "%": 0.01})
SECONDS = Unit(units.seconds, {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0})
JOULES = Unit(units.energy, {"": 1.0, "J": 1.0, "kJ": 1e3, "MJ": 1e6, "Wh": 3600.0, "kWh": 3.6e6})
DOLLARS = Unit(units.dollars, {"": 1.0, "$": 1.0, "USD": 1.0})
GRAMS = Unit(_grams, {"": 1.0, "g": 1.0, "kg": 1e3, "t": 1e6})
_BY_ENDING = {"_s": SECONDS, "_j": JOULES, "_usd": DOLLARS, "_g": GRAMS, "_fraction": SHARE}
_BY_KEY = {"share": SHARE, "idle": SHARE}
_PLAIN_ENDS = ("n", "cv", "p95_over_p50")


def unit_of(path: str) -> Unit:
    """The unit of a number, by the first of its keys that names one."""
    if path.rpartition(".")[2] in _PLAIN_ENDS:
        return PLAIN
    for key in path.split("."):
        if key in _BY_KEY:
            return _BY_KEY[key]
        for ending, unit in _BY_ENDING.items():
            if key.endswith(ending):
                return unit
    return PLAIN
