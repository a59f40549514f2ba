"""The sessions that the timeline shows, and why replicas are idle."""

from __future__ import annotations

from tracekit import units
from tracekit.reports.sections.columns import labelled_row, share_of_gpu
from tracekit.reports.sections.section import Cell, Document, Section, Table
from tracekit.reports.words import CAUSES, fleet_name, session_name


def timeline_section(document: Document) -> Section:
    """The sessions shown from start to end, and the causes of idleness, a column for each fleet."""
    recorded = document.get("recorded")
    line = recorded and recorded.get("timeline")
    shown = len(line["sessions"]) if line else 0
    whole = recorded["sessions"] if recorded else 0
    which = f"The {shown} slowest of {whole:,} sessions. " if whole > shown > 0 else ""
    lead = (
        f"{which}Above, what the agents did; below, what the replicas of each replayed fleet do, and why they wait. "
        "The two have a time axis each: a replay times calls anew."
    )
    names = [fleet_name(replay["fleet"]) for replay in document["replays"]]
    rows = [
        labelled_row(
            words,
            (
                (share_of_gpu(replay, "idle_s", cause), units.percent)
                for replay in document["replays"]
            ),
        )
        for cause, words in CAUSES.items()
        if any(replay["idle_s"][cause] for replay in document["replays"])
    ]  # fmt: skip
    sessions = [
        [
            Cell(session_name(session)),
            Cell(units.seconds(session["start_s"]), session["start_s"]),
            Cell(units.seconds(session["end_s"]), session["end_s"]),
            *(Cell(*_marks(session, kind)) for kind in ("llm_call", "tool_span")),
        ]
        for session in (line["sessions"] if line else ())
    ]
    return Section(
        "timeline",
        "Timeline",
        lead,
        [
            Table("Sessions shown", ("session", "from", "to", "calls", "tools"), sessions),
            Table("Why replicas are idle, of the GPU time paid for", ("cause", *names), rows),
        ],
    )


def _marks(session: Document, kind: str) -> tuple[str, float]:
    count = sum(mark["steps"] for mark in session["marks"] if mark["kind"] == kind)
    return units.count(count), count
