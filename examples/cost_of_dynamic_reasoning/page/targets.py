"""What the study is judged by: targets.json. No trace and no replay asks for it."""

from __future__ import annotations

from typing import Any

from examples.cost_of_dynamic_reasoning.published import HERE, tables

TARGETS = HERE / "targets.json"


def judged(name: str) -> Any:
    """The values of one table of targets.json."""
    return tables(TARGETS)[name].values
