"""Origins of processes: the session, tool and flow of the code that started a process hold for what it does.

A forked process has its parent's memory and knows by itself. One that was started anew does not; its parent wrote
down, beside its process id, what it belonged to at that moment. A shell between the two is bridged, and so are
processes that had nothing to say of themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tracekit.spool import Record

_INHERITED = ("session", "tool", "agent_run")
_BEGINNINGS = ("attempt_start", "tool_start")
LONGEST_LINE = 64
"""Processes between one and the one that told of it; ids that are used again could make a circle."""


def inherited(records: Iterable[Record]) -> list[Record]:
    """The records, where those of a process that belongs to its starter's session, tool and run say so.

    A scope of the process's own stays; `scope_around` is the one that it was started in.
    """
    records = list(records)
    origins = _Origins(records)
    return [origins.told(record) if record["t"] in _BEGINNINGS else record for record in records]


class _Origins:
    def __init__(self, records: Iterable[Record]) -> None:
        self._starts: dict[object, list[Record]] = defaultdict(list)
        self._children: dict[object, list[Record]] = defaultdict(list)
        self._known: dict[object, Record | None] = {}
        for record in records:
            if record["t"] == "process":
                self._starts[record.get("pid")].append(record)
            elif record["t"] == "child":
                self._children[record.get("child_pid")].append(record)

    def told(self, record: Record) -> Record:
        origin = self._of(record)
        if origin is None:
            return record
        missing = {key: origin.get(key) for key in _INHERITED if record.get(key) is None}
        return {**record, **missing, "scope_around": origin.get("scope")}

    def _of(self, record: Record) -> Record | None:
        if not self._children:
            return None
        process = _last_before(self._starts.get(record.get("pid"), ()), record["ns"])
        key = (record.get("pid"), process["ns"] if process else None)
        if key not in self._known:
            self._known[key] = self._search(process)
        return self._known[key]

    def _search(self, process: Record | None) -> Record | None:
        for _ in range(LONGEST_LINE):
            if process is None:
                return None
            found = _nearest(self._children.get(process.get("pid"), ()), process["ns"])
            shells = self._children.get(process.get("ppid"), ())
            found = found or _last_before(shells, process["ns"]) or _nearest(shells, process["ns"])
            if found is not None:
                return found
            process = _last_before(self._starts.get(process.get("ppid"), ()), process["ns"] - 1)
        return None


def _last_before(records: Iterable[Record], at_ns: int) -> Record | None:
    return max(
        (record for record in records if record["ns"] <= at_ns),
        key=lambda record: int(record["ns"]),
        default=None,
    )


def _nearest(records: Iterable[Record], at_ns: int) -> Record | None:
    """The one written closest to the moment: parent and child write at about the same time, in any order."""
    return min(records, key=lambda record: abs(int(record["ns"]) - at_ns), default=None)
