"""The steps of a few sessions, one object each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tracekit.schema import Kind
from tracekit.trace import Trace


@dataclass(frozen=True)
class Step:
    """A call (named by its model) or a tool; `kind` is llm_call or tool_span. An unknown end is the start."""

    row_id: int
    kind: str
    name: str | None
    start_ns: int
    end_ns: int
    parents: tuple[int, ...]


@dataclass(frozen=True)
class SessionSteps:
    """A session and its steps, in order of start; tools that are frames, or run inside others, are none."""

    session_id: int
    name: str | None
    start_ns: int
    end_ns: int
    steps: list[Step] = field(default_factory=list)


def steps_of_sessions(trace: Trace, sessions: pl.DataFrame) -> list[SessionSteps]:
    """The steps of `sessions` (columns session_id, name, start_ns, end_ns), in the same order."""
    found = {row["session_id"]: SessionSteps(**row) for row in _rows(sessions)}
    for step_session, step in _steps(trace, list(found)):
        found[step_session].steps.append(step)
    for session in found.values():
        session.steps.sort(key=lambda step: (step.start_ns, step.row_id))
    return list(found.values())


def _rows(sessions: pl.DataFrame) -> Iterable[dict[str, Any]]:
    return sessions.select("session_id", "name", "start_ns", "end_ns").iter_rows(named=True)


def _steps(trace: Trace, wanted: list[int]) -> Iterable[tuple[int, Step]]:
    for kind, label, columns in (
        (Kind.LLM_CALL, "model", []),
        (Kind.TOOL_SPAN, "name", ["frame", "inside_id"]),
    ):
        names = ["row_id", "session_id", "start_ns", "end_ns", "parents", label, *columns]
        for piece in trace.pieces(kind, names):
            rows = pl.DataFrame(pl.from_arrow(piece)).filter(pl.col("session_id").is_in(wanted))
            if columns:
                rows = rows.filter(~pl.col("frame").fill_null(False) & pl.col("inside_id").is_null())
            for row in rows.iter_rows(named=True):
                end_ns = row["start_ns"] if row["end_ns"] is None else row["end_ns"]
                parents = tuple(row["parents"] or ())
                yield (
                    row["session_id"],
                    Step(row["row_id"], kind.value, row[label], row["start_ns"], end_ns, parents),
                )
