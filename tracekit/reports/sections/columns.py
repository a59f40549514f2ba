"""The columns that most tables share: what was recorded, then each replay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tracekit import units
from tracekit.reports.sections.section import Cell, Document
from tracekit.reports.words import fleet_name


def columns_of(document: Document) -> list[tuple[str, Document]]:
    """What was recorded, if it is in the document, then the replays, by the names of their columns."""
    recorded = document.get("recorded")
    parts = [] if recorded is None else [("recorded (measured)", recorded)]
    return [
        *parts,
        *((f"{fleet_name(replay['fleet'])} (modelled)", replay) for replay in document["replays"]),
    ]


def labelled_row(label: str, values: Iterable[tuple[float | None, Any]]) -> list[Cell]:
    """A row of values and how each is shown, after its label."""
    return [Cell(label), *(Cell(shown(value), value) for value, shown in values)]


def idle_share(part: Document) -> float | None:
    """Of the time that is paid for; of a recording, of the GPUs sampled."""
    if "gpu_s" in part:
        return units.ratio_of(part["gpu_s"]["idle"], part["gpu_s"]["billed"])
    idle: float | None = part["idle"]["device_idle"]
    return idle


def share_of_gpu(replay: Document, key: str, name: str) -> float | None:
    """What of a replay's GPU seconds under `key` and `name`, of those that are paid for."""
    return units.ratio_of(replay[key][name], replay["gpu_s"]["billed"])
