"""Measured against modelled: the recorded GPUs' joules beside a replay's on the same GPU and model, per phase."""

from __future__ import annotations

from typing import NamedTuple

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.kernels.layout import State
from tracekit.analyzers.metering.cut import Figure
from tracekit.analyzers.metering.measured import MeasuredEnergy
from tracekit.analyzers.metering.pool import Phase
from tracekit.analyzers.replay import Replay
from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.analyzers.timeline import Timeline

BUSY = (State.PREFILL, State.MIXED, State.DECODE)


MOST_UNMEASURED = 0.05
"""Of a phase's time, that may be taken at its mean power: a sampler starts a moment after the agent."""


class Comparison(NamedTuple):
    """One phase, measured and modelled; `difference` is modelled / measured - 1, None where it would say nothing.

    That is where more than MOST_UNMEASURED of the phase was not measured (what is missing below is taken at its mean
    power), where there is none on one side, or where the bound is as large as the figure.
    """

    phase: str
    measured: Figure
    modelled_j: float
    modelled_gpu_s: float

    @property
    def is_known(self) -> bool:
        """Whether anything of the phase was measured."""
        return self.measured.gpu_s > self.measured.unmeasured_s

    @property
    def difference(self) -> float | None:
        measured_w, gpu_s = self.measured_w, self.measured.gpu_s
        if measured_w is None or self.measured.unmeasured_s > MOST_UNMEASURED * gpu_s:
            return None
        if self.measured.energy_j <= self.measured.bound_j or self.modelled_gpu_s <= 0.0:
            return None
        return self.modelled_j / (measured_w * gpu_s) - 1.0

    @property
    def measured_w(self) -> float | None:
        """Mean watts of a GPU in this phase, as far as they were measured."""
        if not self.is_known:
            return None
        return self.measured.energy_j / (self.measured.gpu_s - self.measured.unmeasured_s)

    @property
    def modelled_w(self) -> float | None:
        return self.modelled_j / self.modelled_gpu_s if self.modelled_gpu_s > 0.0 else None


def compare(measured: MeasuredEnergy, replay: Replay) -> list[Comparison]:
    """The phases side by side, joules of all GPUs that serve.

    `busy` also has calls that were not streamed, whose phases the trace cannot tell.
    """
    pairs = {
        "prefill": (measured.phases[Phase.PREFILL], (State.PREFILL,)),
        "mixed": (measured.phases[Phase.MIXED], (State.MIXED,)),
        "decode": (measured.phases[Phase.DECODE], (State.DECODE,)),
        "busy": (measured.busy, BUSY),
        "idle": (measured.phases[Phase.IDLE], (State.IDLE,)),
        "total": (measured.attributed, tuple(State)),
    }
    return [_comparison(name, figure, replay.timeline, states) for name, (figure, states) in pairs.items()]


def _comparison(name: str, figure: Figure, timeline: Timeline, states: tuple[State, ...]) -> Comparison:
    seconds = sum(timeline.gpu_s[state] for state in states if state != State.OFF)
    return Comparison(name, figure, sum(timeline.state_j[state] for state in states), seconds)


def recorded_fleet(
    measured: MeasuredEnergy, tp: int | None = None, calibration: str | None = None
) -> Fleet | str:
    """The fleet that served the calls, as far as the catalog knows it; else a sentence that says why not.

    Several GPUs are taken for one replica (tensor parallel) unless `tp` says otherwise, where the model's heads
    can be divided among them.
    """
    serving = measured.serving
    if not serving or measured.steps is None:
        return "no sampled GPU is known to serve the calls"
    gpus = {gpu.catalog_gpu.name if gpu.catalog_gpu else None for gpu in serving}
    named = sorted({gpu.device.name or "a GPU without a name" for gpu in serving})
    gpu = next(iter(gpus))
    if len(gpus) > 1 or gpu is None:
        return f"the catalog does not know {' and '.join(named)} as one GPU"
    routes = set().union(*(each.serving.routes for each in serving))
    calls = measured.steps.calls
    asked = {
        measured.steps.models[model]
        for model, route in zip(calls.model, calls.route, strict=True)
        if route in routes
    }
    models = {found.name: found for name in asked if (found := catalog.find_model(name)) is not None}
    if len(models) != 1 or len(asked) != 1:
        return f"the catalog does not know {', '.join(sorted(str(name) for name in asked))} as one model"
    model = next(iter(models.values()))
    count = len(serving)
    parallel = tp or (count if model.heads % count == 0 else 1)
    assumed = () if count == 1 or tp else (f"TP {parallel} on the {count} GPUs that serve",)
    pool = Pool(
        gpu=gpu, model=model.name, tp=parallel, replicas=max(1, count // parallel), calibration=calibration
    )
    return Fleet(pools=(pool,), assumed=assumed).named()
