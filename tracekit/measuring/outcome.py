"""What a campaign comes to: whole steps from blocks and head, and the file that replays read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tracekit.analyzers.hardware.step_reading import StepReading
from tracekit.measuring.point import Reading
from tracekit.measuring.shape import ModelShape

METHOD = (
    "a few blocks with random weights, each with KV memory of its own; seconds are of one block, times the layers, "
    "plus those of the head (embedding, last norm, output matrix), which is measured once. The engine's host and its "
    "sampling are not in them. Watts: of blocks that run without a pause, after settling, of all GPUs together."
)
METHOD_OF_GROUPS = (
    " Tensor parallel: each of the GPUs has its part of every matrix, its heads and whole experts, in a process of its "
    "own; a sum over the GPUs ends each half of a layer; seconds are the slowest GPU's."
)
Facts = Mapping[str, str]


def source_of(facts: Facts, launch: str) -> str:
    """A calibration's source in words: what measured, on how many GPUs, and how."""
    tp = int(facts.get("tp", 1))
    gpus = f"{tp} x " if tp > 1 else ""
    by = f"tensor parallel by {facts['collectives']}, " if tp > 1 else ""
    return f"torch {facts['torch']} blocks on {gpus}{facts['device']} ({by}{launch} launches)"


def launch_of(readings: Iterable[Reading]) -> str:
    """The way of launching that steps are taken from: graphs where there are any, as engines use them."""
    known = {reading.launch for reading in readings if reading.seconds is not None}
    return "graph" if "graph" in known else "plain"


def steps_of(readings: Sequence[Reading], shape: ModelShape) -> list[StepReading]:
    """Whole steps: those of which every kind of block was measured, and a head of some batch."""
    launch = launch_of(readings)
    known = [reading for reading in readings if reading.launch == launch and reading.seconds is not None]
    heads = {reading.batch: reading.seconds for reading in known if reading.phase == "head"}
    by_step: dict[tuple[str, int, int, int], dict[str, Reading]] = {}
    for reading in known:
        if reading.phase != "head":
            step = (reading.phase, reading.batch, reading.context, reading.chunk)
            by_step.setdefault(step, {})[reading.kind] = reading
    whole = {kind.name for kind in shape.kinds}
    return [
        _step(list(parts.values()), shape, heads)
        for parts in by_step.values()
        if heads and whole <= parts.keys()
    ]


def _step(parts: list[Reading], shape: ModelShape, heads: Mapping[int, float | None]) -> StepReading:
    first = parts[0]
    batches = sorted(heads)
    rows = first.batch if first.phase == "decode" else 1
    head_s = float(np.interp(rows, batches, [heads[batch] or 0.0 for batch in batches]))
    seconds = [shape.kind(part.kind).layers * (part.seconds or 0.0) for part in parts]
    watts = [part.watts for part in parts]
    known = [watt for watt in watts if watt is not None]
    mean_w = float(np.average(known, weights=seconds)) / shape.tp if len(known) == len(parts) else None
    return StepReading(first.batch, first.context, first.chunk, sum(seconds) + head_s, mean_w)


def measured_toml(facts: Facts, idle: Mapping[str, float | None], readings: Sequence[Reading]) -> str:
    """The table [measured] of a calibration file: what measured, how, and every reading."""
    method = METHOD + (METHOD_OF_GROUPS if int(facts.get("tp", 1)) > 1 else "")
    lines = [
        "",
        "[measured]",
        f"method = {json.dumps(method)}",
        f"steps_from = {json.dumps(launch_of(readings))}",
    ]
    lines += [f"{name} = {json.dumps(value)}" for name, value in facts.items() if value]
    lines += [f"{name} = {watts:.5g}" for name, watts in idle.items() if watts is not None]
    lines += ["readings = [", *(f"  {_inline(reading.to_json())}," for reading in readings), "]"]
    return "\n".join(lines) + "\n"


def _inline(record: Mapping[str, Any]) -> str:
    """One line; unknown values are left out."""
    known = [f"{name} = {_value(value)}" for name, value in record.items() if value not in (None, "")]
    return "{ " + ", ".join(known) + " }"


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value)
