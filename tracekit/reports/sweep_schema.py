"""The schema of what `sweep` writes as JSON."""

from __future__ import annotations

from tracekit.reports.schema_parts import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Schema,
    list_of,
    object_of,
    or_null,
    table_of,
)


def sweep_schema(head: dict[str, Schema]) -> Schema:
    """The document, whose first keys are those of every document."""
    return object_of(
        head
        | {
            "headline": {"type": "string", "description": "The answer in one sentence or two."},
            "traces": list_of(TEXT, "In the order asked for."),
            "over": table_of(list_of(TEXT), "The values of each switch that is varied."),
            "fixed": table_of(TEXT, "Switches that are turned in every point."),
            "release": {"type": "object", "properties": {"name": TEXT}, "required": ["name"]},
            "seeds": list_of(COUNT),
            "interval_level": or_null(
                NUMBER, "Of the intervals over the seeds; null: one seed, no intervals."
            ),
            "objectives": list_of(_objective(), "What the front is of."),
            "points": list_of(
                _point(), "By trace, then in the product's order; the last switch turns fastest."
            ),
            "repeated": {
                **COUNT,
                "description": "Combinations left out: the same scenario as an earlier one.",
            },
        }
    )


def _objective() -> Schema:
    return object_of(
        {
            **dict.fromkeys(("name", "words", "unit"), TEXT),
            "column": {"type": "string", "description": "Its key in figures."},
            "maximised": FLAG,
        }
    )


def _point() -> Schema:
    return object_of(
        {
            "trace": TEXT,
            "combination": {**COUNT, "description": "Its place in the product."},
            "switches": table_of(TEXT),
            "error": or_null(TEXT, "Why there is no such scenario; then there are no figures."),
            "labels": list_of(TEXT, "What the figures have to be called, such as an upper bound."),
            "warnings": list_of(TEXT, "What the switches leave out, or do not do here."),
            "on_front": FLAG,
            "figures": or_null(
                table_of(or_null(NUMBER)), "Means over the seeds; the unit is in the name; null is unknown."
            ),
            "intervals": table_of(
                {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2},
                "Of the means, low and high.",
            ),
        }
    )
