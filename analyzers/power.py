"""Measured power: each GPU's joules by its counter and by integrating its watts, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tracekit.schema import Kind
from tracekit.trace import Trace

DISAGREEMENT = 0.05
LONGEST_GAP_S = 3.0


@dataclass(frozen=True)
class GpuEnergy:
    """One GPU over the samples at hand; None where a source is missing.

    `counter_j` is measured, `integral_j` integrated (trapezoid); `disagrees` flags more than 5 % between them.
    """

    gpu: str
    name: str | None
    samples: int
    seconds: float
    counter_j: float | None
    integral_j: float | None
    mean_utilization: float | None
    disagrees: bool


def gpu_energies(trace: Trace) -> list[GpuEnergy]:
    """One record a GPU, ordered by host and index; empty without power samples."""
    columns = [
        "host",
        "gpu_index",
        "gpu_uuid",
        "gpu_name",
        "start_ns",
        "power_w",
        "energy_counter_j",
        "utilization_gpu",
    ]
    table = trace.rows(Kind.POWER_SAMPLE, columns)
    if not table.num_rows:
        return []
    frame = pl.DataFrame(pl.from_arrow(table)).sort("host", "gpu_index", "start_ns")
    groups = frame.partition_by("host", "gpu_index", maintain_order=True)
    return [_energy(group) for group in groups]


def _energy(frame: pl.DataFrame) -> GpuEnergy:
    counter = frame["energy_counter_j"].drop_nulls()
    counter_j = _counted_j(counter)
    integral_j = _integral_j(frame.select("start_ns", "power_w").drop_nulls())
    apart = (
        counter_j is not None
        and integral_j is not None
        and abs(counter_j - integral_j) > DISAGREEMENT * counter_j
    )
    utilization = frame["utilization_gpu"].drop_nulls()
    return GpuEnergy(
        gpu=f"{frame['host'][0]}:{frame['gpu_index'][0]}",
        name=frame["gpu_name"][0],
        samples=len(frame),
        seconds=(frame["start_ns"][-1] - frame["start_ns"][0]) / 1e9,
        counter_j=counter_j,
        integral_j=integral_j,
        mean_utilization=float(utilization.to_numpy().mean()) if len(utilization) else None,
        disagrees=apart,
    )


def _counted_j(counter: pl.Series) -> float | None:
    """The counter's advance; None if it ever went backward: it was reset, and what it had counted is unknown."""
    advances = counter.diff().drop_nulls()
    return float(advances.sum()) if len(advances) and advances.to_numpy().min() >= 0 else None


def _integral_j(frame: pl.DataFrame) -> float | None:
    """Watts over time by trapezoids; None if the samples have a gap, over which nothing is known."""
    time_s = (frame["start_ns"] - frame["start_ns"][0]).to_numpy() / 1e9 if len(frame) > 1 else np.zeros(0)
    if not len(time_s) or np.diff(time_s).max() > LONGEST_GAP_S:
        return None
    return float(np.trapezoid(frame["power_w"].to_numpy(), time_s))
