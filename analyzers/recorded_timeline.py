"""The recording over time: how much was under way, and the steps of the slowest sessions, bounded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tracekit.analyzers.critical_path import CriticalPath, critical_path
from tracekit.analyzers.kernels.layout import Floats
from tracekit.analyzers.presence import bin_edges, mean_presence
from tracekit.analyzers.recorded import Recorded
from tracekit.analyzers.session_steps import SessionSteps, steps_of_sessions
from tracekit.schema import Kind
from tracekit.trace import Trace

SESSIONS = 24
PATHS = 8
MARKS = 1_500
"""Beyond as many steps, those of one kind that a chart could not keep apart are one mark."""
RESOLUTION = 300


@dataclass(frozen=True)
class Mark:
    """A step, or several of one kind too close to be told apart; `name` is None if theirs differ or nobody says."""

    kind: str
    name: str | None
    steps: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class SessionLine:
    """One session's marks, in order of start; seconds since the first session's start."""

    session_id: int
    name: str | None
    start_s: float
    end_s: float
    marks: list[Mark]


@dataclass(frozen=True)
class RecordedTimeline:
    """Mean numbers under way in each bin, shape (bins,), the slowest sessions in order of start, their paths."""

    bin_s: float
    sessions_open: Floats
    calls_open: Floats
    tools_open: Floats
    sessions: list[SessionLine]
    critical_paths: list[CriticalPath]


def recorded_timeline(trace: Trace, recorded: Recorded) -> RecordedTimeline:
    """The recording over time. `critical_paths` are those of the slowest sessions, slowest first.

    Sessions that take no time, as imports without ends have them, are in neither.
    """
    sessions = recorded.sessions
    origin_ns = _least(sessions["start_ns"])
    edges_s = bin_edges(recorded.makespan_s)
    lasting = sessions.filter(pl.col("end_ns") > pl.col("start_ns"))
    steps = steps_of_sessions(trace, _slowest(lasting, SESSIONS))
    merged_s = recorded.makespan_s / RESOLUTION if sum(len(one.steps) for one in steps) > MARKS else None
    return RecordedTimeline(
        bin_s=float(edges_s[1]),
        sessions_open=_open(sessions, origin_ns, edges_s),
        calls_open=_open(_spans(trace, Kind.LLM_CALL), origin_ns, edges_s),
        tools_open=_open(_spans(trace, Kind.TOOL_SPAN), origin_ns, edges_s),
        sessions=sorted(
            (_line(one, origin_ns, merged_s) for one in steps),
            key=lambda line: (line.start_s, line.session_id),
        ),
        critical_paths=[critical_path(one) for one in steps[:PATHS]],
    )


def slowest_sessions(recorded: Recorded, most: int) -> Recorded:
    """The same, but of the sessions' table only the slowest `most`, in its order; `session_count` stays."""
    if len(recorded.sessions) <= most:
        return recorded
    kept = _slowest(recorded.sessions, most)["session_id"]
    return replace(recorded, sessions=recorded.sessions.filter(pl.col("session_id").is_in(kept.to_list())))


def _slowest(sessions: pl.DataFrame, most: int) -> pl.DataFrame:
    length_ns = pl.col("end_ns") - pl.col("start_ns")
    ordered = sessions.with_columns(length_ns=length_ns).sort(
        "length_ns", "session_id", descending=[True, False]
    )
    return ordered.head(most)


def _least(values: pl.Series) -> int:
    return int(values.to_numpy().min()) if len(values) else 0


def _spans(trace: Trace, kind: Kind) -> pl.DataFrame:
    names = ["start_ns", "end_ns", *(["frame"] if kind is Kind.TOOL_SPAN else [])]
    rows = pl.DataFrame(pl.from_arrow(trace.rows(kind, names)))
    return rows.filter(~pl.col("frame").fill_null(False)) if "frame" in names else rows


def _open(rows: pl.DataFrame, origin_ns: int, edges_s: Floats) -> Floats:
    known = rows.filter(pl.col("end_ns").is_not_null())
    start_s, end_s = ((known[name].to_numpy() - origin_ns) / 1e9 for name in ("start_ns", "end_ns"))
    return mean_presence(start_s, np.maximum(start_s, end_s), edges_s)


def _line(session: SessionSteps, origin_ns: int, merged_s: float | None) -> SessionLine:
    marks = [
        Mark(step.kind, step.name, 1, (step.start_ns - origin_ns) / 1e9, (step.end_ns - origin_ns) / 1e9)
        for step in session.steps
    ]
    return SessionLine(
        session_id=session.session_id,
        name=session.name,
        start_s=(session.start_ns - origin_ns) / 1e9,
        end_s=(session.end_ns - origin_ns) / 1e9,
        marks=marks if merged_s is None else _merged(marks, merged_s),
    )


def _merged(marks: list[Mark], gap_s: float) -> list[Mark]:
    merged: dict[str, list[Mark]] = {}
    for mark in marks:
        line = merged.setdefault(mark.kind, [])
        if line and mark.start_s <= line[-1].end_s + gap_s:
            line[-1] = _joined(line[-1], mark)
        else:
            line.append(mark)
    return sorted((mark for line in merged.values() for mark in line), key=lambda mark: mark.start_s)


def _joined(one: Mark, other: Mark) -> Mark:
    name = one.name if one.name == other.name else None
    return Mark(one.kind, name, one.steps + other.steps, one.start_s, max(one.end_s, other.end_s))
