"""The product of all axes: which scenarios there are, which of them cannot be, which are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from tracekit.analyzers.sweep.axis import Axis, Given
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.errors import ModelDoesNotFit, ScenarioInvalid, SweepInvalid, WhatIfInvalid

MOST_POINTS = 1_000_000
Switched = dict[str, Given]


class Point(NamedTuple):
    """One combination: its values by switch, and its scenario, or why there is none.

    `combination` is its place in the product; the last axis turns fastest.
    """

    combination: int
    switches: Switched
    scenario: Scenario | None
    error: str | None


class Grid(NamedTuple):
    """All points in the product's order; `repeated` combinations were the same as an earlier one and are left out."""

    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    repeated: int


def grid(base: Scenario, axes: Sequence[Axis], fixed: Mapping[str, Given] | None = None) -> Grid:
    """The product of the axes on the base scenario, with `fixed` switched in every point that does not vary it.

    A combination that cannot be (a model that does not fit, switches that exclude each other) is a point with its
    error.

    Raises
    ------
    SweepInvalid : there is no axis, far too many combinations, or none that can be.
    UnknownName : a value names what the catalog lacks, which is no combination but a word to be corrected.
    """
    count = combinations(axes)
    if not axes:
        raise SweepInvalid.empty()
    if count > MOST_POINTS:
        raise SweepInvalid.too_many(count, MOST_POINTS)
    points, seen, repeated = [], set[object](), 0
    for place, switches in enumerate(_product(axes)):
        point = _point(place, base, dict(fixed or {}) | switches, switches)
        same = point.error or point.scenario
        if point.scenario is not None and same in seen:
            repeated += 1
            continue
        seen.add(same)
        points.append(point)
    if all(point.scenario is None for point in points):
        raise SweepInvalid.all_impossible(len(points), str(points[0].error))
    return Grid(tuple(axes), tuple(points), repeated)


def combinations(axes: Sequence[Axis]) -> int:
    """How many there are."""
    count = 1
    for axis in axes:
        count *= len(axis.values)
    return count


def _product(axes: Sequence[Axis]) -> Iterator[Switched]:
    for values in product(*(axis.values for axis in axes)):
        yield dict(zip((axis.name for axis in axes), values, strict=True))


def _point(place: int, base: Scenario, asked: Switched, switches: Switched) -> Point:
    try:
        return Point(place, switches, base.switched(asked), None)
    except (ScenarioInvalid, WhatIfInvalid, ModelDoesNotFit) as error:
        return Point(place, switches, None, str(error))
