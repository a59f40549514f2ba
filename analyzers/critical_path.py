"""The chain of steps that made a session as long as it was."""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.analyzers.session_steps import SessionSteps, Step

SHOWN = 120
"""Steps of a path that are kept, the longest."""


@dataclass(frozen=True)
class PathStep:
    """A step on the path: what it added, and the wait before it (no step of the path under way)."""

    row_id: int
    kind: str
    name: str | None
    start_s: float
    wait_s: float
    own_s: float


@dataclass(frozen=True)
class CriticalPath:
    """A session's path in order of time; seconds since the session's start.

    llm_s + tool_s + wait_s = session_s, over all `count` steps, of which `steps` are the longest.
    """

    session_id: int
    name: str | None
    session_s: float
    llm_s: float
    tool_s: float
    wait_s: float
    count: int
    steps: list[PathStep]


def critical_path(session: SessionSteps, shown: int = SHOWN) -> CriticalPath:
    """From the step that ends last back to the first, at each step over the parent that ended last."""
    steps = []
    cursor_ns = session.start_ns
    for step in _chain(session.steps):
        since_ns = max(step.start_ns, cursor_ns)
        own_ns = max(step.end_ns - since_ns, 0)
        wait_ns = max(step.start_ns - cursor_ns, 0)
        steps.append(
            PathStep(
                step.row_id,
                step.kind,
                step.name,
                (since_ns - session.start_ns) / 1e9,
                wait_ns / 1e9,
                own_ns / 1e9,
            )
        )
        cursor_ns = max(cursor_ns, step.end_ns)
    session_s = (max(session.end_ns, cursor_ns) - session.start_ns) / 1e9
    busy = {
        kind: sum(step.own_s for step in steps if step.kind == kind) for kind in ("llm_call", "tool_span")
    }
    longest = sorted(sorted(steps, key=lambda step: -step.own_s)[:shown], key=lambda step: step.start_s)
    return CriticalPath(
        session_id=session.session_id,
        name=session.name,
        session_s=session_s,
        llm_s=busy["llm_call"],
        tool_s=busy["tool_span"],
        wait_s=max(session_s - sum(busy.values()), 0.0),
        count=len(steps),
        steps=longest,
    )


def _chain(steps: list[Step]) -> list[Step]:
    by_row = {step.row_id: step for step in steps}
    chain: list[Step] = []
    seen: set[int] = set()
    step = max(steps, key=lambda step: (step.end_ns, step.row_id), default=None)
    while step is not None and step.row_id not in seen:
        chain.append(step)
        seen.add(step.row_id)
        parents = [by_row[row] for row in step.parents if row in by_row]
        step = max(parents, key=lambda parent: (parent.end_ns, parent.row_id), default=None)
    return chain[::-1]
