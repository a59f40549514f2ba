"""The document of `tracekit sweep`: every point with its figures, and which of them are on the front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tracekit import units
from tracekit.analyzers.sweep.axis import Axis
from tracekit.analyzers.sweep.interval import LEVEL
from tracekit.analyzers.sweep.judged import on_front
from tracekit.analyzers.sweep.objective import QUALITY, Objective
from tracekit.analyzers.sweep.sweep import Swept
from tracekit.analyzers.what_if.asked import switch_named
from tracekit.reports.document import SCHEMA_VERSION, Document
from tracekit.reports.words import plural

SHOWN: dict[str, Callable[[float], str]] = {"s": units.seconds, "J": units.energy, "USD": units.dollars}


class Asked(NamedTuple):
    """What was swept: the traces by name, the axes, how sessions arrive, the seeds, and what is judged by."""

    traces: Sequence[str]
    axes: Sequence[Axis]
    fixed: Mapping[str, Any]
    release: Mapping[str, Any]
    seeds: Sequence[int]
    objectives: Sequence[Objective]
    repeated: int


def sweep_document(
    asked: Asked,
    points: Sequence[Swept],
    assumptions: Sequence[str],
    sources: Mapping[str, str],
    command: str,
) -> Document:
    """Everything that `sweep` says; None is unknown."""
    is_front = on_front(points, asked.objectives)
    told = [_point(asked, one, bool(front)) for one, front in zip(points, is_front, strict=True)]
    document = {
        "schema_version": SCHEMA_VERSION,
        "trace": ", ".join(asked.traces),
        "traces": list(asked.traces),
        "over": {axis.name: [_text(value) for value in axis.values] for axis in asked.axes},
        "fixed": {name: _text(value) for name, value in asked.fixed.items()},
        "release": dict(asked.release),
        "seeds": list(asked.seeds),
        "interval_level": LEVEL if len(asked.seeds) > 1 else None,
        "objectives": [
            {
                "name": one.name,
                "column": one.column,
                "words": one.words,
                "unit": one.unit,
                "maximised": one.is_maximised,
            }
            for one in asked.objectives
        ],
        "points": told,
        "repeated": asked.repeated,
    }
    return document | {
        "headline": _headline(document),
        "assumptions": [*_notes(asked, points, document), *assumptions],
        "sources": dict(sources),
        "command": command,
    }


def _point(asked: Asked, one: Swept, is_front: bool) -> Document:
    scenario = one.point.scenario
    return {
        "trace": asked.traces[one.trace],
        "combination": one.point.combination,
        "switches": {name: _text(value) for name, value in one.point.switches.items()},
        "error": one.point.error,
        "labels": [] if scenario is None else list(scenario.labels),
        "warnings": [] if scenario is None else list(scenario.warnings),
        "on_front": is_front,
        "figures": one.figures,
        "intervals": {name: list(interval) for name, interval in one.intervals.items()},
    }


def point_words(document: Document, point: Document) -> str:
    """A point by its switches, with its trace where there are several."""
    words = ", ".join(f"{name}={value}" for name, value in point["switches"].items())
    return f"{point['trace']}: {words}" if len(document["traces"]) > 1 else words


def shown_value(objective: Document, value: float | None) -> str:
    """A value of an objective as people read it."""
    if value is None:
        return "-"
    return SHOWN[objective["unit"]](value) if objective["unit"] in SHOWN else units.ratio(value)


def front_of(document: Document) -> list[Document]:
    """The points on the front, the best by the first objective first."""
    first = document["objectives"][0]
    sign = -1 if first["maximised"] else 1
    chosen = [point for point in document["points"] if point["on_front"]]
    return sorted(chosen, key=lambda point: sign * point["figures"][first["column"]])


def _headline(document: Document) -> str:
    points, front = document["points"], front_of(document)
    replayed = sum(point["error"] is None for point in points)
    words = f"{plural(replayed, 'scenario')} replayed, {len(front)} on the front"
    best = []
    for objective in document["objectives"]:
        if not front:
            break
        sign = -1 if objective["maximised"] else 1
        point = min(front, key=lambda one: sign * one["figures"][objective["column"]])
        value = shown_value(objective, point["figures"][objective["column"]])
        best.append(f"{objective['words']} {value} with {point_words(document, point)}")
    return f"{words}. Best: {'; '.join(best)}." if best else f"{words}."


def _notes(asked: Asked, points: Sequence[Swept], document: Document) -> list[str]:
    names = ", ".join(one.name for one in asked.objectives)
    notes = [f"front: no other point is as good in all of {names} and better in one"]
    if len(asked.traces) > 1:
        of_quality = any(one.name == QUALITY for one in asked.objectives)
        notes.append(
            "one front over all traces, whose agents compete"
            if of_quality
            else "each trace has a front of its own: without quality nothing says that they do the same work"
        )
    for count, words in (
        (
            sum(one.figures is None for one in points),
            "cannot be and {have} an error instead of figures",
        ),
        (
            sum(bool(one.figures and one.figures["calls_failed"]) for one in points),
            "refused calls and {are} not compared: a fleet that does less is cheaper",
        ),
        (_without_score(asked, points), "{have} no score that holds, and {are} not compared"),
    ):
        if count:
            have, are = ("has", "is") if count == 1 else ("have", "are")
            notes.append(f"{plural(count, 'point')} {words.format(have=have, are=are)}")
    if asked.repeated:
        notes.append(
            f"{plural(asked.repeated, 'combination')} came to the same scenario as an earlier one, told once"
        )
    if len(asked.seeds) > 1:
        notes.append(
            f"figures are means over {len(asked.seeds)} seeds; intervals are of those means, by Student's t at 95 %"
        )
    if asked.release["name"] in ("poisson", "bursty", "daily"):
        notes.append(
            "figures are over all drawn sessions, those that find the fleet empty included; `tracekit replay` with the "
            "same switches shows the steady part"
        )
    return [*notes, *_switch_notes(document)]


def _without_score(asked: Asked, points: Sequence[Swept]) -> int:
    if all(one.name != QUALITY for one in asked.objectives):
        return 0
    return sum(one.figures is not None and one.figures["score"] is None for one in points)


def _switch_notes(document: Document) -> list[str]:
    """What the switches mean and leave out, told once; which of them do nothing in a point is told there."""
    told = dict.fromkeys(
        f"what if {name}: {switch_named(name)[1].meaning}" for name in (*document["over"], *document["fixed"])
    )
    for point in document["points"]:
        told |= dict.fromkeys(f"what if {words}" for words in point["labels"])
        told |= dict.fromkeys(
            f"what if {words}" for words in point["warnings"] if "changes nothing" not in words
        )
    return list(told)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
