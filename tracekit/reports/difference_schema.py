"""The schema of what `diff` writes as JSON."""

from __future__ import annotations

from tracekit.reports.schema_parts import FLAG, NUMBER, TEXT, Schema, list_of, object_of, or_null


def difference_schema(head: dict[str, Schema]) -> Schema:
    """Its schema; `head` are the keys that every document has."""
    number = object_of(
        {
            "name": {"type": "string", "description": "As --fail-if takes it."},
            "path": {"type": "string", "description": "In the documents, with dots."},
            **dict.fromkeys(("a", "b", "change"), or_null(NUMBER)),
            "relative": or_null(NUMBER, "Of a; null from 0, and where one is unknown."),
        }
    )
    part = object_of({"name": TEXT, "numbers": list_of(number)})
    row = object_of({"what": TEXT, "a": or_null(TEXT), "b": or_null(TEXT)})
    budget = object_of(
        {"text": TEXT, "part": TEXT, "value": or_null(NUMBER), "limit": NUMBER, "broken": FLAG},
        about="`value` is null for a relative change from 0.",
    )
    keys = head | {
        "a": TEXT,
        "b": TEXT,
        "trace": or_null(TEXT, "Null: they are of two traces."),
        "inputs": list_of(row, "What went in differently; null: it is not there."),
        "parts": list_of(part, "What was recorded, and the replays in their order."),
        "budgets": list_of(budget),
    }
    return object_of(keys, optional=("command",))
