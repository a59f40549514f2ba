"""A trace as speedscope's JSON: an evented profile for each session, and another for each lane of what overlaps.

A profile is one stack, so steps that run at once go to profiles of their own, named by lane. Below the session lie
its steps, by model or tool; in a call lie the wait for the first token and the output. What is left to the session
is time between steps. https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tracekit.errors import TraceEmpty
from tracekit.interchange.exported import Exported, cut
from tracekit.interchange.lanes import Lanes
from tracekit.interchange.session_steps import Row, SessionSteps, session_name, session_steps
from tracekit.schema import Kind
from tracekit.trace import Trace

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_MOST_FRAMES = 50_000


def export(trace: Trace) -> Exported:
    """The profiles of `trace`, one document.

    Raises
    ------
    TraceEmpty : it has no step.
    """
    if not trace.count(Kind.LLM_CALL) and not trace.count(Kind.TOOL_SPAN):
        raise TraceEmpty.of(trace.path, "LLM call or tool", "There is nothing to draw.")
    return Exported(_document(trace), ["open it in https://www.speedscope.app; it stays on your machine"])


def _document(trace: Trace) -> Iterator[str]:
    frames = _Frames()
    yield f'{{"$schema":{json.dumps(_SCHEMA)},"exporter":"tracekit","name":{json.dumps(trace.path.name)},"profiles":['
    first = True
    sessions = session_steps(trace, ("name", "conversation_id"), ("model", "first_token_ns"), ("name",))
    for part in sessions:
        for profile in _profiles(frames, part):
            yield ("\n" if first else ",\n") + json.dumps(profile, separators=(",", ":"))
            first = False
    yield '\n],"shared":{"frames":['
    yield ",\n".join(json.dumps({"name": name}) for name in frames.names)
    yield "]}}\n"


class _Frames:
    """The names that profiles refer to by number; beyond a bound all others share one."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}

    def number(self, name: str) -> int:
        name = cut(name)
        if len(self.names) >= _MOST_FRAMES and name not in self.names:
            name = "other"
        return self.names.setdefault(name, len(self.names))


def _profiles(frames: _Frames, part: SessionSteps) -> Iterator[dict[str, object]]:
    steps = sorted((*part.calls, *part.tools), key=lambda row: (row["start_ns"], row["row_id"]))
    ended = [row for row in steps if row["end_ns"] is not None]
    if not ended:
        return
    lanes, by_lane = Lanes(), list[list[Row]]()
    for row in ended:
        lane = lanes.place(row["start_ns"], row["end_ns"])
        if lane == len(by_lane):
            by_lane.append([])
        by_lane[lane].append(row)
    name = "step of no session" if part.session is None else session_name(part.session)
    start_ns, end_ns = _span(part.session, ended)
    for lane, rows in enumerate(by_lane):
        yield {
            "type": "evented",
            "name": cut(name) + (f" (at once: {lane + 1})" if lane else ""),
            "unit": "nanoseconds",
            "startValue": 0,
            "endValue": end_ns - start_ns,
            "events": _events(frames, name, rows, start_ns, end_ns),
        }


def _span(session: Row | None, ended: list[Row]) -> tuple[int, int]:
    """From the session's start to its end, and no less than its steps."""
    starts, ends = [row["start_ns"] for row in ended], [row["end_ns"] for row in ended]
    if session is not None:
        starts.append(session["start_ns"])
        ends.append(session["end_ns"] or session["start_ns"])
    return min(starts), max(ends)


def _events(
    frames: _Frames, session: str, rows: list[Row], start_ns: int, end_ns: int
) -> list[dict[str, object]]:
    """Opens and closes, as offsets from the session's start: exact in JavaScript, which Unix ns would not be."""
    events: list[dict[str, object]] = [_event("O", frames, session, 0)]
    for row in rows:
        spans = _spans(row)
        name, opens_ns, closes_ns = spans[0]
        events.append(_event("O", frames, name, opens_ns - start_ns))
        for part, from_ns, to_ns in spans[1:]:
            events.append(_event("O", frames, part, from_ns - start_ns))
            events.append(_event("C", frames, part, to_ns - start_ns))
        events.append(_event("C", frames, name, closes_ns - start_ns))
    return [*events, _event("C", frames, session, end_ns - start_ns)]


def _event(kind: str, frames: _Frames, name: str, at_ns: int) -> dict[str, object]:
    return {"type": kind, "frame": frames.number(name), "at": at_ns}


def _spans(row: Row) -> list[tuple[str, int, int]]:
    """A step, then its parts, as (frame, from, to)."""
    start_ns, end_ns = row["start_ns"], row["end_ns"]
    if "name" in row:
        return [(f"tool {row['name'] or ''}".rstrip(), start_ns, end_ns)]
    step = (f"LLM {row['model'] or ''}".rstrip(), start_ns, end_ns)
    first_ns = row["first_token_ns"]
    if first_ns is None or not start_ns <= first_ns <= end_ns:
        return [step]
    return [step, ("to first token", start_ns, first_ns), ("output", first_ns, end_ns)]
