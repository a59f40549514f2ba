"""What-ifs in the document: which switches, what they did, and what has to be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from tracekit.analyzers.what_if.asked import switch_named
from tracekit.analyzers.what_if.replayed import ScenarioReplay
from tracekit.reports.document import Document
from tracekit.reports.schema_parts import AMOUNT, COUNT, TEXT, Schema, list_of, object_of, or_null, table_of


def what_if_document(told: ScenarioReplay) -> Document | None:
    """The key `what_if` of a replay; None where nothing was switched."""
    scenario = told.scenario
    if not scenario.switches:
        return None
    return {
        "switches": dict(scenario.switches),
        "seed": scenario.seed,
        "labels": list(told.labels),
        "warnings": list(told.warnings),
        "speculation": None if told.speculation is None else asdict(told.speculation),
        "sessions_cut": told.sessions_cut,
    }


def what_if_schema() -> Schema:
    """Its schema."""
    speculation = object_of({"hits": COUNT, "misses": COUNT, "wasted_tool_s": AMOUNT})
    keys = {
        "switches": table_of(TEXT, "What was switched, by name."),
        "seed": COUNT,
        "labels": list_of(TEXT, "What the numbers have to be called, such as an upper bound."),
        "warnings": list_of(TEXT, "What the switches leave out."),
        "speculation": or_null(speculation, "Tools guessed right and wrong; null where none is guessed."),
        "sessions_cut": {"type": "integer", "minimum": 0, "description": "That lost rounds."},
    }
    return or_null(object_of(keys), "What was switched; null: nothing.")


def what_if_notes(replays: Sequence[ScenarioReplay]) -> list[str]:
    """What the replays' switches mean and leave out, a sentence each, told once."""
    told: dict[str, None] = {}
    for replay in replays:
        for name, value in replay.scenario.switches:
            told[f"what if {name}={value}: {switch_named(name)[1].meaning}"] = None
        told |= dict.fromkeys(f"what if {words}" for words in (*replay.labels, *replay.warnings))
    return list(told)


def what_if_words(document: Document) -> str | None:
    """The switches of a replay's document on one line, with its labels; None if there are none."""
    told = document.get("what_if")
    if told is None:
        return None
    words = ", ".join(f"{name}={value}" for name, value in told["switches"].items())
    labels = f" ({'; '.join(told['labels'])})" if told["labels"] else ""
    return f"what if: {words}{labels}"
