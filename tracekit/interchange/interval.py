"""Lengths of unions of intervals: parallel tools count once."""

from __future__ import annotations

from collections.abc import Iterable


def union_ns(intervals: Iterable[tuple[int, int]]) -> int:
    """Total length covered, in ns."""
    total_ns, covered_to = 0, None
    for start_ns, end_ns in sorted(intervals):
        if covered_to is None or start_ns > covered_to:
            total_ns += end_ns - start_ns
            covered_to = end_ns
        elif end_ns > covered_to:
            total_ns += end_ns - covered_to
            covered_to = end_ns
    return total_ns
