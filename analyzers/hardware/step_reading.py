"""Steps measured one by one on a GPU, and the calibration that they make.

What is measured is what runs on the GPU: blocks and head of a model. An engine's host and its sampling are not; they
come from the engine's profile, and the corrections are of the whole step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import lsq_linear

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.calibrating import Provenance, correction_of
from tracekit.analyzers.hardware.calibration import Calibration, Correction, calibrated_cost
from tracekit.analyzers.hardware.error import error_of
from tracekit.analyzers.hardware.kernel_step import Contents, KernelSteps
from tracekit.analyzers.hardware.load import Steps, load_of
from tracekit.analyzers.hardware.prompt_fit import PromptCorrection, with_prompts
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import ReplicaCost, replica_cost
from tracekit.analyzers.hardware.step_terms import step_terms
from tracekit.analyzers.kernels.layout import Floats

LEAST_PROMPTS = 4
"""Measured chunks, so that each can be told by the others."""
LEAST_CONTEXT_SHARE = 0.02
"""Of a step, that more context has to take by the model: below that, what it adds is jitter."""


@dataclass(frozen=True)
class StepReading:
    """One step without an engine: `sequences` that decode at `context`, or a chunk of `prompt_tokens` after it.

    on_gpu_s : of all layers and the head
    watts : of one GPU that runs such steps and nothing else, one after the other; None if not measured
    """

    sequences: int
    context: int
    prompt_tokens: int
    on_gpu_s: float
    watts: float | None


class _Measured(NamedTuple):
    """n steps in an engine, and what the model says of them; arrays (n,)."""

    gpus: int
    cost: ReplicaCost
    contents: Contents
    seconds: Floats
    watts: Floats  # of one GPU, nan where not measured
    said: KernelSteps
    said_watts: Floats

    @property
    def log_seconds(self) -> Floats:
        ratio: Floats = np.log(self.seconds / self.said.seconds)
        return ratio

    @property
    def log_watts(self) -> Floats:
        ratio: Floats = np.log(self.watts / self.said_watts)
        return ratio


def calibration_of_steps(
    replica: Replica,
    readings: Sequence[StepReading],
    provenance: Provenance,
    warm_idle_w: float | None = None,
) -> Calibration | None:
    """The calibration of such replicas; None without readings. Tokens in them choose experts independently."""
    if not readings:
        return None
    decodes = _measured(replica, [reading for reading in readings if reading.prompt_tokens == 0])
    chunks = [reading for reading in readings if reading.prompt_tokens > 0]
    prompts = _measured(replica, sorted(chunks, key=lambda chunk: (chunk.prompt_tokens, chunk.context)))
    bare = Calibration(
        gpu=replica.gpu.name,
        model=replica.model.name,
        engine=replica.engine.name,
        tp=replica.tp,
        source=provenance.source,
        date=provenance.date,
        tier=provenance.tier,
        points=len(readings),
        context_tokens=1.0,
        step=None,
        power=None,
        warm_idle_w=warm_idle_w,
    )
    found = bare if decodes is None else _with_decodes(bare, decodes)
    return found if prompts is None else replace(found, prompt=_prompt(prompts, found))


def _with_decodes(bare: Calibration, decodes: _Measured) -> Calibration:
    sequences, of_context = decodes.contents.sequences, decodes.contents.context
    read_s = decodes.cost.step.decode_context_s * sequences * of_context
    ratio = driven_ratio = None
    if _tells_context(decodes, read_s):
        ratio = _slope(sequences, read_s, decodes.seconds)
        if np.isfinite(decodes.watts).all():
            power = decodes.cost.power
            driven = decodes.said.driven_for(decodes.watts * decodes.gpus, decodes.seconds, power)
            driven_read_s = power.driven_decode_context_s * sequences * of_context
            driven_ratio = _slope(sequences, driven_read_s, np.maximum(driven, 1e-9))
    context = float(np.exp(np.mean(np.log(of_context))))
    return replace(
        bare,
        context_tokens=context,
        step=_step(decodes, context, 1.0 if ratio is None else ratio),
        power=correction_of(np.log2(sequences), decodes.log_watts),
        context_ratio=ratio,
        context_driven_ratio=driven_ratio,
    )


def _measured(replica: Replica, readings: Sequence[StepReading]) -> _Measured | None:
    if not readings:
        return None
    constants = replica.engine.step._replace(routing_diversity=1.0)
    scattered = replace(replica, engine=replace(replica.engine, step=constants))
    cost = replica_cost(scattered)
    sequences = _column([reading.sequences if reading.prompt_tokens == 0 else 0 for reading in readings])
    context = _column([reading.context for reading in readings])
    chunk = _column([reading.prompt_tokens for reading in readings])
    is_prompt = chunk > 0
    contents = Contents(
        sequences,
        np.where(is_prompt, 0.0, np.maximum(context, 1.0)),
        chunk,
        np.where(is_prompt, context, 0.0),
    )
    said = KernelSteps.of(cost, contents)
    on_gpu_s = _column([reading.on_gpu_s for reading in readings])
    seconds = on_gpu_s + said.host + _sampling_s(scattered, sequences)
    floor_w = cost.power.floor_w / replica.tp
    busy_w = _column([np.nan if reading.watts is None else reading.watts for reading in readings])
    watts = floor_w + (busy_w - floor_w) * on_gpu_s / seconds
    return _Measured(replica.tp, cost, contents, seconds, watts, said, said.watts(cost.power) / replica.tp)


def _sampling_s(replica: Replica, sequences: Floats) -> Floats:
    nothing = np.zeros(len(sequences))
    load = load_of([replica] * len(sequences), Steps(sequences, nothing, nothing, nothing, nothing))
    return step_terms(load, replica.engine.step).sampling


def _tells_context(decodes: _Measured, read_s: Floats) -> bool:
    """Whether some batch was measured at contexts that are so far apart that what they add is no jitter."""
    shares, sequences = read_s / decodes.said.seconds, decodes.contents.sequences
    spread = max(float(np.ptp(shares[sequences == batch])) for batch in np.unique(sequences))
    return spread >= LEAST_CONTEXT_SHARE


def _slope(sequences: Floats, modelled: Floats, measured: Floats) -> float:
    """By how much `measured` grows with `modelled`, by least relative squares with a base for each batch."""
    bases = [(sequences == batch).astype(np.float64) for batch in np.unique(sequences)]
    columns = np.column_stack([modelled, *bases]) / measured[:, None]
    return float(lsq_linear(columns, np.ones(len(measured)), bounds=(0.0, np.inf)).x[0])


def _step(decodes: _Measured, context: float, context_ratio: float) -> Correction | None:
    """By batch, at one context: other contexts are moved there by what a token of context takes."""
    sequences = decodes.contents.sequences
    token_s = context_ratio * decodes.cost.step.decode_context_s
    moved_s = decodes.seconds + token_s * sequences * (context - decodes.contents.context)
    said_s = KernelSteps.of(decodes.cost, Contents.decoding(sequences, context)).seconds
    usable = moved_s > 0
    return correction_of(np.log2(sequences[usable]), np.log(moved_s[usable] / said_s[usable]))


def _prompt(prompts: _Measured, decoding: Calibration) -> PromptCorrection:
    contents = prompts.contents
    power = prompts.log_watts
    found = PromptCorrection(
        _terms(contents.prompt_tokens),
        _terms(contents.prompt_context),
        _terms(prompts.log_seconds),
        _terms(power) if np.isfinite(power).all() else None,
    )
    return found._replace(error=_left(prompts, found, calibrated_cost(prompts.cost, decoding)))


def _left(prompts: _Measured, whole: PromptCorrection, cost: ReplicaCost) -> ErrorBand | None:
    """What each chunk is missed by when the others tell it, beside what decoding told."""
    count = len(whole.log_ratio)
    if count < LEAST_PROMPTS:
        return None
    told = np.empty(count)
    for index in range(count):
        chunks, contexts, ratios = (tuple(np.delete(column, index)) for column in whole[:3])
        others = PromptCorrection(chunks, contexts, ratios)
        fitted = with_prompts(cost, prompts.cost, others)
        one = Contents(*(np.array([column[index]]) for column in prompts.contents))
        told[index] = KernelSteps.of(fitted, one).seconds[0]
    left = error_of(told, prompts.seconds)
    return left and ErrorBand(
        round(left.mape, 4), round(left.median_ape, 4), f"{left.n} chunks, leave one out"
    )


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _terms(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)
