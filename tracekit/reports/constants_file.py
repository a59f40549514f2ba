"""Fitted constants in the form of the catalog's engine profiles."""

from __future__ import annotations

from collections.abc import Iterator

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.prediction import Model

SAME = 5e-4
"""Four digits."""


def to_toml(model: Model) -> str:
    """The tables `step` and `power` of the default profile, and prompt lengths of tasks that do not state them."""
    name = catalog.engine().name
    lines = []
    for part in ("step", "power"):
        lines += [f'["{name}".{part}]', *(f"{key} = {value:.4g}" for key, value in _fitted(model, part)), ""]
    lines += [f"# prompt tokens of {task}: {tokens:.0f}" for task, tokens in model.prompt_tokens.items()]
    return "\n".join(lines) + "\n"


def differences(model: Model) -> Iterator[str]:
    """How the constants differ from those that are shipped, a line each; one line if they do not."""
    engine, same = catalog.engine(), True
    for part in ("step", "power"):
        for key, value in _fitted(model, part):
            shipped = getattr(getattr(engine, part), key)
            if abs(value / shipped - 1) > SAME:
                same = False
                yield f"{engine.name}.{part}.{key} is shipped as {shipped:.4g}, fitted as {value:.4g}"
    if same:
        yield f"the constants shipped as {engine.name} are these, to four digits"


def _fitted(model: Model, part: str) -> list[tuple[str, float]]:
    """Constants that have no default: the others are not fitted."""
    constants = getattr(model, part)
    return [
        (key, value) for key, value in constants._asdict().items() if key not in constants._field_defaults
    ]
