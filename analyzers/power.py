"""Measured power: each device's joules by its counter and by integrating its watts, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tracekit.analyzers.metering.measured import MeasuredEnergy, MeteredGpu
from tracekit.analyzers.metering.meter import Gap, Source
from tracekit.analyzers.metering.steps import Route

DISAGREEMENT = 0.05
SAME_TIME = 0.99
"""Of the time of either source: by less in common their errors are of different times."""


@dataclass(frozen=True)
class GpuEnergy:
    """One device over the samples at hand; None where a source is missing.

    `device` is gpu, cpu or dram; `gpu` names it. `energy_j` is what all figures are made of, `bound_j` how far off
    sampling may leave it, `source` where it comes from. `counter_j` is measured, `integral_j` integrated
    (trapezoid, of `power_source`), each with its own error of sampling; `difference` is (integral - counter) /
    counter over the time that has both, `disagrees` flags more than 5 %, `explained` whether the two errors can
    account for that. Gaps are left out of all joules, and so is what a counter had counted when it was reset.
    `reasons` are the driver's for the values it did not give.
    """

    gpu: str
    name: str | None
    device: str
    samples: int
    seconds: float
    measured_s: float
    energy_j: float | None
    bound_j: float | None
    source: str | None
    counter_j: float | None
    counter_error_j: float | None
    counter_resets: int
    integral_j: float | None
    integral_error_j: float | None
    power_source: str | None
    difference: float | None
    disagrees: bool
    explained: bool
    mean_utilization: float | None
    serves: tuple[str, ...]
    why: str
    mig: bool
    reasons: tuple[str, ...]
    gaps: tuple[Gap, ...]

    @classmethod
    def of(cls, gpu: MeteredGpu, routes: Sequence[Route]) -> Self:
        """The device's record; `routes` are those that its serving counts by."""
        difference = gpu.common.difference
        disagrees = difference is not None and abs(difference) > DISAGREEMENT
        return cls(
            gpu=gpu.device.label,
            name=gpu.device.name,
            device=gpu.device.kind,
            samples=gpu.samples,
            seconds=gpu.seconds,
            measured_s=gpu.measured_s,
            energy_j=gpu.measured_j,
            bound_j=None if gpu.measured_j is None else gpu.whole.bound_j,
            source=source_of(gpu),
            counter_j=gpu.counter and gpu.counter.energy_j,
            counter_error_j=gpu.counter and gpu.counter.error_j,
            counter_resets=gpu.counter_resets,
            integral_j=gpu.integral and gpu.integral.energy_j,
            integral_error_j=gpu.integral and gpu.integral.error_j,
            power_source=", ".join(gpu.power_sources) or None,
            difference=difference,
            disagrees=disagrees,
            explained=disagrees and _errors_explain(gpu),
            mean_utilization=gpu.mean_utilization,
            serves=tuple(sorted({routes[index].endpoint for index in gpu.serving.routes})),
            why=gpu.serving.why,
            mig=gpu.mig,
            reasons=gpu.reasons,
            gaps=gpu.gaps,
        )


def _errors_explain(gpu: MeteredGpu) -> bool:
    """Whether counter and integral are of the same time, and no further apart than both errors."""
    counter, integral, common = gpu.counter, gpu.integral, gpu.common
    if (
        counter is None
        or integral is None
        or common.seconds < SAME_TIME * max(counter.seconds, integral.seconds)
    ):
        return False
    return abs(common.integrated_j - common.counted_j) <= counter.error_j + integral.error_j


def source_of(gpu: MeteredGpu) -> str | None:
    """Where its joules come from: measured (counter), integrated (what power was), or both; None: none are known."""
    words = []
    if Source.COUNTER in gpu.sources:
        words.append("measured (counter)")
    if Source.WATTS in gpu.sources:
        words.append(f"integrated ({', '.join(gpu.power_sources) or 'power of unknown source'})")
    return " and ".join(words) or None


def gpu_energies(measured: MeasuredEnergy | None) -> list[GpuEnergy]:
    """One record a device, ordered by host and index; empty without power samples."""
    if measured is None:
        return []
    routes = () if measured.steps is None else measured.steps.routes
    return [GpuEnergy.of(gpu, routes) for gpu in measured.gpus]
