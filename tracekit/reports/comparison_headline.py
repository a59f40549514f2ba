"""A comparison's answer in a sentence or two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracekit import units
from tracekit.reports.words import fleet_name, shown_name

Document = dict[str, Any]
LONGEST_NAME = 24


def comparison_headline(workflows: Sequence[Document], baseline: str, queries_per_day: float | None) -> str:
    """On the first fleet; what is unknown is not in it. `workflows` are those of the document."""
    reference = next(workflow for workflow in workflows if workflow["name"] == baseline)
    others = [workflow for workflow in workflows if workflow is not reference]
    fleet = fleet_name(reference["replays"][0]["fleet"])
    short = [_name(workflow) for workflow in workflows if _is_refused_some(workflow)]
    compared = [] if _is_refused_some(reference) else [one for one in others if not _is_refused_some(one)]
    said = _alone(reference) if not others else _against(compared, reference)
    words = f"On {fleet} {said}."
    if short:
        words += f" Calls of {_listed(short)} are refused there, longer than a replica takes."
    if queries_per_day is not None and not _is_refused_some(reference):
        words += f" At {queries_per_day:,.0f} queries a day {_demand(compared, reference)}."
    return words


def _is_refused_some(workflow: Document) -> bool:
    return bool(workflow["replays"][0]["calls_failed"])


def _alone(workflow: Document) -> str:
    spread, energy = workflow["replays"][0]["session_s"], workflow["replays"][0]["wh_per_session"]
    took = "" if spread is None else f"{units.seconds(spread['mean'])} and "
    return f"a session of {_name(workflow)} takes {took}{units.ratio(energy['isolated'])} Wh alone"


def _against(others: Sequence[Document], reference: Document) -> str:
    parts = (
        (_span(others, _latency_x), "the time"),
        (_span(others, _energy_x), "the energy alone"),
        (_span(others, _cost_x), "the money"),
    )
    told = [f"{span} {words}" for span, words in parts if span]
    if not told:
        return f"nothing is known that could be set against {_name(reference)}"
    whose = f"a session of {_name(others[0])}" if len(others) == 1 else "a session"
    return f"{whose} takes {_listed(told)} of one of {_name(reference)}"


def _span(others: Sequence[Document], value_of: Callable[[Document], float | None]) -> str:
    """`7.4x`, or from the least to the most with their names; empty if unknown."""
    known = [(value, _name(one)) for one in others if (value := value_of(one)) is not None]
    if not known:
        return ""
    (low, low_name), (high, high_name) = min(known), max(known)
    if len(others) == 1:
        return f"{low:.3g}x"
    return f"{low:.3g}x ({low_name}) to {high:.3g}x ({high_name})"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _latency_x(workflow: Document) -> float | None:
    ratios = workflow["replays"][0]["session_x"]
    return None if ratios is None else ratios["mean"]


def _energy_x(workflow: Document) -> float | None:
    value: float | None = workflow["replays"][0]["wh_x"]["isolated"]
    return value


def _cost_x(workflow: Document) -> float | None:
    value: float | None = workflow["replays"][0]["cost_x"]
    return value


def _demand(others: Sequence[Document], reference: Document) -> str:
    told = f"{_name(reference)} draws {_megawatts(reference)}"
    if not others:
        return f"{told}, each session alone"
    most = max(others, key=lambda one: one["replays"][0]["at_demand"]["mw"]["isolated"])
    return f"{told} and {_name(most)} {_megawatts(most)}, each session alone"


def _megawatts(workflow: Document) -> str:
    return f"{workflow['replays'][0]['at_demand']['mw']['isolated']:.3g} MW"


def _name(workflow: Document) -> str:
    return shown_name(workflow["name"], LONGEST_NAME) or "unnamed"
