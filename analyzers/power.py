"""Measured power: each device's joules by its counter and by integrating its watts, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tracekit.analyzers.energy_counter import Counted, Floats, counted
from tracekit.analyzers.power_integral import Integrated, integrated
from tracekit.schema import Kind
from tracekit.trace import Trace

DISAGREEMENT = 0.05
_AVERAGES = ("average", "usage")
"""Sources of power_w that may be the mean of the last second."""


@dataclass(frozen=True)
class DeviceEnergy:
    """One device over the samples at hand; None where a source is missing.

    `device` is gpu, cpu or dram; `gpu` names it. `counter_j` is measured, `integral_j` integrated (trapezoid), each
    with the error that sampling leaves; `disagrees` flags more than 5 % between them over the same time, `explained`
    whether their errors can account for that. After a reset `counter_j` is None, and `counter_known_j` is what the
    counter advanced over `counter_known_s` outside of it.
    """

    device: str
    gpu: str
    name: str | None
    samples: int
    seconds: float
    counter_j: float | None
    counter_error_j: float | None
    counter_resets: int
    counter_known_j: float | None
    counter_known_s: float | None
    integral_j: float | None
    integral_error_j: float | None
    power_source: str | None
    mean_utilization: float | None
    disagrees: bool
    explained: bool
    mig: bool
    reasons: tuple[str, ...]


_COLUMNS = (
    "host", "device", "device_name", "gpu_index", "gpu_uuid", "gpu_name", "start_ns", "power_w", "power_source",
    "energy_counter_j", "power_update_ms", "energy_update_ms", "utilization_gpu", "mig", "reason",
)  # fmt: skip
_IDENTITY = ("host", "device", "device_name", "gpu_index", "gpu_uuid")


def device_energies(trace: Trace) -> list[DeviceEnergy]:
    """One record a device, GPUs first, ordered by host and index; empty without power samples."""
    table = trace.rows(Kind.POWER_SAMPLE, _COLUMNS)
    if not table.num_rows:
        return []
    frame = pl.DataFrame(pl.from_arrow(table)).with_columns(
        pl.col("device").cast(pl.String).fill_null("gpu"), pl.col("host", "device_name").cast(pl.String)
    )
    groups = frame.sort("start_ns").partition_by(*_IDENTITY, maintain_order=True)
    return sorted(map(_energy, groups), key=lambda found: (found.device != "gpu", found.device, found.gpu))


def gpu_energies(trace: Trace) -> list[DeviceEnergy]:
    """The same of GPUs alone."""
    return [found for found in device_energies(trace) if found.device == "gpu"]


def _energy(frame: pl.DataFrame) -> DeviceEnergy:
    first = frame.row(0, named=True)
    counter, power = _readings(frame, "energy_counter_j"), _readings(frame, "power_w")
    said = counted(*counter, *power, _seconds(frame["energy_update_ms"]))
    source = _only(frame["power_source"])
    sum_ = integrated(*power, _seconds(frame["power_update_ms"]), is_average=source in _AVERAGES)
    apart_j, errors_j, disagrees = _apart(said, counter[0], power, sum_)
    utilization = frame["utilization_gpu"].drop_nulls()
    return DeviceEnergy(
        device=first["device"],
        gpu=f"{first['host']}:{first['device_name'] if first['gpu_index'] is None else first['gpu_index']}",
        name=_only(frame["gpu_name"]) or first["device_name"],
        samples=len(frame),
        seconds=(frame["start_ns"][-1] - frame["start_ns"][0]) / 1e9,
        counter_j=said.joules if said else None,
        counter_error_j=said.error_j if said and said.joules is not None else None,
        counter_resets=said.resets if said else 0,
        counter_known_j=said.known_j if said else None,
        counter_known_s=said.known_s if said else None,
        integral_j=sum_.joules if sum_ else None,
        integral_error_j=sum_.error_j if sum_ else None,
        power_source=source,
        mean_utilization=float(utilization.to_numpy().mean()) if len(utilization) else None,
        disagrees=disagrees,
        explained=disagrees and apart_j <= errors_j,
        mig=bool(frame["mig"].drop_nulls().any()),
        reasons=tuple(sorted(frame["reason"].drop_nulls().cast(pl.String).unique())),
    )


def _readings(frame: pl.DataFrame, column: str) -> tuple[Floats, Floats]:
    """Times in s since the device's first sample, and the values that are known."""
    known = frame.select("start_ns", column).drop_nulls()
    since_ns = known["start_ns"].to_numpy() - frame["start_ns"][0]
    return since_ns / 1e9, known[column].to_numpy().astype(np.float64)


def _apart(
    said: Counted | None, counter_s: Floats, power: tuple[Floats, Floats], sum_: Integrated | None
) -> tuple[float, float, bool]:
    """By how much counter and integral differ over the time that both know, what errors may explain, and the flag."""
    if said is None or said.joules is None or sum_ is None:
        return 0.0, 0.0, False
    time_s, _watts = power
    common_s = max(0.0, min(counter_s[-1], time_s[-1]) - max(counter_s[0], time_s[0]))
    if common_s < 0.99 * max(said.seconds, sum_.seconds):
        return 0.0, 0.0, False  # they are of different times
    apart_j = abs(said.joules - sum_.joules)
    return apart_j, said.error_j + sum_.error_j, apart_j > DISAGREEMENT * said.joules


def _seconds(milliseconds: pl.Series) -> float | None:
    known = milliseconds.drop_nulls()
    return float(known[-1]) / 1000 if len(known) else None


def _only(values: pl.Series) -> Any:
    """The first that is known."""
    known = values.drop_nulls()
    return str(known[0]) if len(known) else None
