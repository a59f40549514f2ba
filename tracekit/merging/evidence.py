"""What two traces say about each other's clocks, best first.

| source | evidence | error |
|---|---|---|
| given | the user's offset | not known |
| same_clock | both hosts' boot id is the same: one monotonic clock | 0 |
| exchange | one asked the other for its clock, or both recorded the same LLM call | what the delays leave |
| wall_clock | the kernels say that both clocks follow the network's time | the kernels' own bounds |
| assumed | nothing: both wall clocks are taken to be right | not known |
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from tracekit.merging.clock_map import Bound, ClockMap, Sleep, through, woken
from tracekit.provenance import Host
from tracekit.schema import Kind
from tracekit.trace import Trace

LEAST_SLEEP_NS = 10_000_000
"""Shorter growth of the time slept is the jitter of two clocks read one after the other."""


@dataclass
class Clock:
    """What a trace tells of its first host's clock. Times are its own, as recorded."""

    trace: Trace
    host: Host = field(init=False)

    def __post_init__(self) -> None:
        hosts = self.trace.provenance.hosts
        self.host = hosts[0] if hosts else Host("unknown", None)

    @cached_property
    def marks(self) -> list[tuple[int, str, dict[str, Any]]]:
        """(time, name, what it tells) of the clock's marks, in time order."""
        rows = self.trace.rows(Kind.MARK, ["start_ns", "host", "name", "text"]).to_pylist()
        found = [
            (row["start_ns"], row["name"], told)
            for row in rows
            if (row["name"] or "").startswith("tracekit.clock")
            and row["host"] in (None, self.host.name)
            and (told := _told(row["text"])) is not None
        ]
        return sorted(found, key=lambda mark: mark[0])

    @cached_property
    def sleeps(self) -> tuple[Sleep, ...]:
        """When the host was suspended, and for how long."""
        readings = [
            (at_ns, told["slept_ns"])
            for at_ns, name, told in self.marks
            if name == "tracekit.clock" and told.get("slept_ns") is not None
        ]
        return tuple(
            Sleep(at_ns, slept_ns - before_ns)
            for (_at, before_ns), (at_ns, slept_ns) in pairwise(readings)
            if slept_ns - before_ns > LEAST_SLEEP_NS
        )

    @cached_property
    def span(self) -> tuple[int, int]:
        """First and last instant of the trace's rows, sleeps put back."""
        starts = [self.trace.rows(kind, ["start_ns"])["start_ns"] for kind in Kind if self.trace.count(kind)]
        edges = [edge for column in starts for edge in (column.to_numpy().min(), column.to_numpy().max())]
        first, last = (int(min(edges)), int(max(edges))) if edges else (0, 0)
        return self.awake(first), self.awake(last)

    def awake(self, at_ns: int) -> int:
        """One time, with what was slept before it put back."""
        return int(woken(np.array([at_ns]), self.sleeps)[0])


def clock_map(reference: Clock, other: Clock, given_ns: float | None) -> ClockMap:
    """The map from the other trace's clock to the reference's, by the best evidence there is."""
    if given_ns is not None:
        return ClockMap("given", 0, -given_ns, 0.0, None, other.sleeps)
    if _is_same(reference.host, other.host):
        offset_ns = (reference.host.clock_offset_ns or 0) - (other.host.clock_offset_ns or 0)
        return ClockMap("same_clock", 0, float(offset_ns), 0.0, 0.0, other.sleeps)
    met = sorted(
        [*_asked(reference, other), *_answered(reference, other), *_calls(reference, other)], key=_time
    )
    if met:
        return through(met, "exchange", other.sleeps, other.span)
    kept = sorted(_walls(reference, other), key=_time)
    if kept:
        return through(kept, "wall_clock", other.sleeps, other.span)
    return ClockMap("assumed", 0, 0.0, 0.0, None, other.sleeps)


def _time(bound: Bound) -> int:
    return bound.at_ns


def _told(text: str | None) -> dict[str, Any] | None:
    try:
        told = json.loads(text or "")
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _is_same(one: Host, other: Host) -> bool:
    known = one.boot_id is not None and None not in (one.clock_offset_ns, other.clock_offset_ns)
    return known and one.boot_id == other.boot_id


def _questions(asker: Clock, asked: Clock) -> Iterator[tuple[int, int, int, int]]:
    """(left, came, answered, back): outer two on the asker's clock, inner two on that of the host it asked."""
    offset_ns = asked.host.clock_offset_ns
    if offset_ns is None or asked.host.boot_id is None:
        return
    for at_ns, name, told in asker.marks:
        if name == "tracekit.clock_exchange" and told.get("peer_boot_id") == asked.host.boot_id:
            keys = ("received_ns", "replied_ns", "returned_ns")
            times = [int(told[key]) for key in keys if isinstance(told.get(key), int)]
            if len(times) == len(keys):
                yield (
                    asker.awake(at_ns),
                    asked.awake(times[0] + offset_ns),
                    asked.awake(times[1] + offset_ns),
                    asker.awake(times[2]),
                )


def _asked(reference: Clock, other: Clock) -> Iterator[Bound]:
    """The reference asked: the question left before it came, the answer left before it was back."""
    for left, came, answered, back in _questions(reference, other):
        yield Bound((came + answered) // 2, left - came, back - answered)


def _answered(reference: Clock, other: Clock) -> Iterator[Bound]:
    """The reference was asked, by the other."""
    for left, came, answered, back in _questions(other, reference):
        yield Bound((left + back) // 2, answered - back, came - left)


def _calls(reference: Clock, other: Clock) -> Iterator[Bound]:
    """LLM calls that both hosts recorded: the shorter record lies within the longer one."""
    theirs = dict(_answered_calls(reference))
    for response_id, (start, end) in _answered_calls(other):
        if response_id in theirs:
            first, last = theirs[response_id]
            low, high = sorted((first - start, last - end))
            yield Bound((start + end) // 2, low, high)


def _answered_calls(clock: Clock) -> Iterator[tuple[str, tuple[int, int]]]:
    """Start and end of calls by response id, where the server gave each its own."""
    rows = clock.trace.rows(Kind.LLM_CALL, ["response_id", "start_ns", "end_ns"]).to_pylist()
    ids = Counter(row["response_id"] for row in rows)
    for row in rows:
        if row["response_id"] and row["end_ns"] is not None and ids[row["response_id"]] == 1:
            yield row["response_id"], (clock.awake(row["start_ns"]), clock.awake(row["end_ns"]))


def _walls(reference: Clock, other: Clock) -> Iterator[Bound]:
    """Both wall clocks are the network's: what each differs from its recording's clock by is known."""
    ours, theirs = list(_synchronized(reference)), list(_synchronized(other))
    if not ours or not theirs:
        return
    at = np.array([reading[0] for reading in ours], np.float64)
    walls = np.array([reading[1] for reading in ours], np.float64)
    errors = np.array([reading[2] for reading in ours], np.float64)
    for at_ns, wall_ns, error_ns in theirs:
        own_ns = float(np.interp(at_ns, at, walls))
        both_ns = error_ns + float(np.interp(at_ns, at, errors))
        yield Bound(at_ns, wall_ns - own_ns - both_ns, wall_ns - own_ns + both_ns)


def _synchronized(clock: Clock) -> Iterator[tuple[int, int, int]]:
    """(time awake, wall clock less that time, bound on the wall clock's error) where the kernel follows others."""
    for at_ns, name, told in clock.marks:
        if name == "tracekit.clock" and told.get("synchronized") and told.get("max_error_ns") is not None:
            slept_ns = clock.awake(at_ns) - at_ns
            yield clock.awake(at_ns), told["wall_offset_ns"] - slept_ns, told["max_error_ns"]
