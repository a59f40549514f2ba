"""Measured power: each device's joules by its counter and by integrating its watts, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tracekit.analyzers.metering.measured import MeasuredEnergy, MeteredGpu
from tracekit.analyzers.metering.meter import Gap, Source
from tracekit.analyzers.metering.steps import Route

DISAGREEMENT = 0.05


@dataclass(frozen=True)
class GpuEnergy:
    """One device over the samples at hand; None where a source is missing.

    `energy_j` is what all figures are made of, `bound_j` how far off it may be, `source` where it comes from.
    `counter_j` is measured, `integral_j` integrated (trapezoid); `difference` is (integral - counter) / counter
    over the time that has both; `disagrees` flags more than 5 %. Gaps are left out of all joules.
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
    integral_j: float | None
    difference: float | None
    disagrees: bool
    mean_utilization: float | None
    serves: tuple[str, ...]
    why: str
    is_divided: bool
    gaps: tuple[Gap, ...]

    @classmethod
    def of(cls, gpu: MeteredGpu, routes: Sequence[Route]) -> Self:
        """The device's record; `routes` are those that its serving counts by."""
        difference = gpu.disagreement
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
            counter_j=gpu.counter_j,
            integral_j=gpu.integral_j,
            difference=difference,
            disagrees=difference is not None and abs(difference) > DISAGREEMENT,
            mean_utilization=gpu.mean_utilization,
            serves=tuple(sorted({routes[index].endpoint for index in gpu.serving.routes})),
            why=gpu.serving.why,
            is_divided=gpu.is_divided,
            gaps=gpu.gaps,
        )


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
