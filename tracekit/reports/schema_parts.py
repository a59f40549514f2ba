"""The words that the document's schema is written in: JSON Schema for numbers, lists and objects."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
SHARE: Schema = {"type": "number", "minimum": -1e-9, "maximum": 1 + 1e-9}
AMOUNT: Schema = {"type": "number", "minimum": 0}


def object_of(keys: dict[str, Schema], optional: tuple[str, ...] = (), about: str = "") -> Schema:
    """An object with these keys and no other."""
    required = [key for key in keys if key not in optional]
    schema = {"type": "object", "properties": keys, "required": required, "additionalProperties": False}
    return ({"description": about} if about else {}) | schema


def list_of(item: Schema, about: str = "") -> Schema:
    """A list of such items."""
    return {"type": "array", "items": item} | ({"description": about} if about else {})


def table_of(value: Schema, about: str = "") -> Schema:
    """An object with keys of its own."""
    return {"type": "object", "additionalProperties": value} | ({"description": about} if about else {})


def or_null(schema: Schema, about: str = "") -> Schema:
    """Such a value, or null where it is unknown."""
    return {"anyOf": [schema, {"type": "null"}]} | ({"description": about} if about else {})
