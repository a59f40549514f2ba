"""The points to measure, those first that say most: corners, then middles, then what lies between."""

from __future__ import annotations

from typing import NamedTuple

from tracekit.measuring.point import Point, work_of
from tracekit.measuring.shape import ModelShape

SMALLEST_CONTEXT = 128
SMALLEST_CHUNK = 64


class Limits(NamedTuple):
    """The largest batch, context and chunk, in sequences and tokens."""

    batch: int = 256
    context: int = 32768
    chunk: int = 8192


def grid_of(shape: ModelShape, limits: Limits) -> list[Point]:
    """Every point, in the order in which they are measured."""
    batches = _powers(1, limits.batch, 2)
    contexts = _powers(min(SMALLEST_CONTEXT, limits.context), limits.context, 4)
    chunks = _powers(min(SMALLEST_CHUNK, limits.chunk), limits.chunk, 4)
    pasts = [0, *(context for context in contexts if context > SMALLEST_CONTEXT)]
    ranked = [(level, Point("head", "", batch, 0, 0)) for level, batch in _levels(batches)]
    for kind in shape.kinds:
        ranked += [
            (max(one, other), Point("decode", kind.name, batch, context, 0))
            for one, batch in _levels(batches)
            for other, context in _levels(contexts)
        ]
        ranked += [
            (max(one, other), Point("prefill", kind.name, 1, past, chunk))
            for one, chunk in _levels(chunks)
            for other, past in _levels(pasts)
        ]
    return [point for _level, point in sorted(ranked, key=lambda entry: (entry[0], _size(entry[1], shape)))]


def _size(point: Point, shape: ModelShape) -> float:
    work = work_of(point, shape)
    return work.flops + 100.0 * work.moved_bytes


def _powers(first: int, last: int, ratio: int) -> list[int]:
    """From first to last by a ratio; both are in it."""
    values = []
    value = first
    while value < last:
        values.append(value)
        value *= ratio
    return [*values, last]


def _levels(values: list[int]) -> list[tuple[int, int]]:
    """Each value with its level: 0 for the ends, 1 for the middle, 2 for the middles of the halves, ..."""
    levels = {0: 0, len(values) - 1: 0}
    spans = [(0, len(values) - 1)]
    level = 1
    while spans:
        halves = []
        for low, high in spans:
            if high - low > 1:
                middle = (low + high) // 2
                levels[middle] = level
                halves += [(low, middle), (middle, high)]
        spans = halves
        level += 1
    return [(levels[index], value) for index, value in enumerate(values)]
