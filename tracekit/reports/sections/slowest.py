"""The slowest sessions, and the steps that made them slow."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.words import SHARES, session_name, shown_name, token_sum

SLOWEST = 50
PATH_STEPS = 10


def slowest_section(document: Document) -> Section:
    """The slowest sessions, their critical paths, and the longest steps on these."""
    recorded = document.get("recorded")
    if not recorded:
        return Section("sessions", "Slowest sessions", "What was recorded is not part of this document.", [])
    ordered = sorted(recorded["per_session"], key=lambda session: -(session["session_s"] or 0))[:SLOWEST]
    rows = [
        [
            Cell(session_name(session)),
            Cell(units.seconds(session["session_s"]), session["session_s"]),
            Cell(units.count(session["calls"]), session["calls"]),
            Cell(units.count(session["tools"]), session["tools"]),
            *(Cell(token_sum(session["tokens"], side), session["tokens"][side]) for side in ("input", "output")),
            *(Cell(units.percent(session["share"][key]), session["share"][key]) for key in SHARES),
        ]
        for session in ordered
    ]  # fmt: skip
    count = recorded["sessions"]
    which = "All sessions" if count <= SLOWEST else f"The slowest {SLOWEST} of {count:,} sessions"
    columns = ("session", "time", "calls", "tools", "input", "output", "LLM", "tools only", "both", "neither")
    paths = recorded.get("critical_paths") or []
    return Section(
        "sessions",
        "Slowest sessions",
        "A session's critical path is the chain of steps that made it as long as it was: shorten one of these, or "
        "nothing changes.",
        [
            Table(f"{which} (recorded)", columns, rows),
            Table(
                "Critical paths of the slowest sessions (recorded)",
                ("session", "time", "LLM calls", "tools", "waiting", "steps"),
                [_path_row(path) for path in paths],
            ),
            *(_steps_table(path) for path in paths),
        ],
    )


def _path_row(path: Document) -> list[Cell]:
    times = (path[key] for key in ("session_s", "llm_s", "tool_s", "wait_s"))
    return [
        Cell(session_name(path)),
        *(Cell(units.seconds(time_s), time_s) for time_s in times),
        Cell(units.count(path["count"]), path["count"]),
    ]


def _steps_table(path: Document) -> Table:
    longest = sorted(path["steps"], key=lambda step: -step["own_s"])[:PATH_STEPS]
    rows = [
        [
            Cell(step_name(step)),
            Cell(units.seconds(step["start_s"]), step["start_s"]),
            Cell(units.seconds(step["wait_s"]), step["wait_s"]),
            Cell(units.seconds(step["own_s"]), step["own_s"]),
        ]
        for step in longest
    ]
    return Table(
        f"Longest steps on the critical path of {session_name(path)}",
        ("step", "from", "waited before", "took"),
        rows,
    )


def step_name(step: Document) -> str:
    """A call by its model, a tool by its name."""
    name = shown_name(step["name"] or "") or "unnamed"
    return f"call of {name}" if step["kind"] == "llm_call" else f"tool {name}"
