"""A calibration: how far measured steps of one model on one GPU lie from the analytic ones, by batch.

It keeps log(measured / analytic) at log2 batches; between them straight lines, past the ends what the ends have. For
the kernel it becomes a table by tokens that is added to a replica's cost. Where steps were measured one by one, at
several contexts and with prompts, the seconds of a token of context and of prompts are corrected too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.kernel_step import Contents, KernelSteps
from tracekit.analyzers.hardware.prompt_fit import MOST_DECODES, PromptCorrection, with_prompts
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import NODES, ReplicaCost
from tracekit.analyzers.kernels.layout import Floats, TokenTable

MOST_TAKEN_AWAY = 0.9
"""Of what a step takes at least: a correction that is too large for short contexts must leave something."""


class Correction(NamedTuple):
    """log(measured / analytic) at log2 batches, ascending; `error` is what is left, None where too few points tell."""

    log2_batch: tuple[float, ...]
    log_ratio: tuple[float, ...]
    error: ErrorBand | None = None

    def ratio(self, batch: Floats) -> Floats:
        """Measured / analytic at each batch."""
        ratio: Floats = np.exp(np.interp(np.log2(batch), self.log2_batch, self.log_ratio))
        return ratio


@dataclass(frozen=True)
class Calibration:
    """Corrections of the replicas of one model, GPU, engine and tensor-parallel size.

    source, date : of the measurement
    tier : `measured` if a trace's own calls told it, `calibrated` if rows of a table did
    points : how many operating points told it
    context_tokens : of a decoding sequence, their mean; where the corrections hold exactly
    step, power : of a decode step's duration, and of a GPU's watts; None where nothing was measured
    context_ratio : of the seconds that reading a token of context takes, measured / analytic; None: as modelled
    context_driven_ratio : the same of its seconds at full power; None: in step with its seconds
    prompt : of steps with prompts; None: as modelled
    warm_idle_w : of one GPU that holds a model and waits; None: the catalog's
    """

    gpu: str
    model: str
    engine: str
    tp: int
    source: str
    date: str
    tier: str
    points: int
    context_tokens: float
    step: Correction | None
    power: Correction | None
    context_ratio: float | None = None
    context_driven_ratio: float | None = None
    prompt: PromptCorrection | None = None
    warm_idle_w: float | None = None

    def is_for(self, replica: Replica) -> bool:
        """Whether it was measured on replicas like this one."""
        own = (self.gpu, self.model, self.engine, self.tp)
        return own == (replica.gpu.name, replica.model.name, replica.engine.name, replica.tp)


def calibrated_cost(cost: ReplicaCost, calibration: Calibration) -> ReplicaCost:
    """The cost with the calibration's corrections: in its table, in seconds by a step's tokens, and in coefficients.

    A decode step of the calibration's mean context takes and draws what was measured. Past the largest measured batch,
    and in steps full of prompts that were not measured, the seconds that are added stay what they are there.
    """
    corrected = _with_table(cost, _with_context(cost, calibration), calibration)
    if calibration.prompt is not None:
        decodes = MOST_DECODES if calibration.step is None else 2.0 ** calibration.step.log2_batch[-1]
        corrected = with_prompts(corrected, cost, calibration.prompt, max(decodes, MOST_DECODES))
    if calibration.warm_idle_w is None:
        return corrected
    gpus = calibration.tp
    return corrected._replace(power=corrected.power._replace(idle_w=gpus * calibration.warm_idle_w))


def _with_context(cost: ReplicaCost, calibration: Calibration) -> ReplicaCost:
    """Tokens of context take and draw what was measured, else draw the same meanwhile; shares of energy stay."""
    ratio = 1.0 if calibration.context_ratio is None else calibration.context_ratio
    driven = ratio if calibration.context_driven_ratio is None else calibration.context_driven_ratio
    step, power = cost.step, cost.power
    return cost._replace(
        step=step._replace(
            decode_context_s=ratio * step.decode_context_s, prompt_context_s=ratio * step.prompt_context_s
        ),
        power=power._replace(
            driven_decode_context_s=driven * power.driven_decode_context_s,
            driven_prompt_context_s=driven * power.driven_prompt_context_s,
        ),
    )


def _with_table(analytic: ReplicaCost, cost: ReplicaCost, calibration: Calibration) -> ReplicaCost:
    """`cost` with decode steps of the calibration's context as measured: the ratios' multiple of `analytic`."""
    measured = [part.log2_batch[-1] for part in (calibration.step, calibration.power) if part is not None]
    sequences = np.minimum(NODES, 2.0 ** max(measured, default=0.0))
    contents = Contents.decoding(sequences, calibration.context_tokens)
    said, decode = KernelSteps.of(analytic, contents), KernelSteps.of(cost, contents)
    wanted_s = said.seconds if calibration.step is None else said.seconds * calibration.step.ratio(sequences)
    added_s = np.maximum(wanted_s - decode.seconds, -MOST_TAKEN_AWAY * _least_seconds(cost))
    seconds = decode.seconds + added_s
    watts = decode.watts_given(seconds, cost.power)
    if calibration.power is not None:
        watts = said.watts(analytic.power) * calibration.power.ratio(sequences)
    added_driven = decode.driven_for(watts, seconds, cost.power) - decode.driven
    added_driven = np.maximum(added_driven, -MOST_TAKEN_AWAY * _least_driven(cost))
    table = TokenTable(
        step_s=_sums(cost.table.step_s, added_s),
        weight_share_s=cost.table.weight_share_s,
        driven_s=_sums(cost.table.driven_s, added_driven),
    )
    return cost._replace(table=table)


def _least_seconds(cost: ReplicaCost) -> Floats:
    """What a step of so many tokens takes at least, whatever they are."""
    token_s = min(cost.step.decode_s, cost.step.prefill_token_s)
    least: Floats = cost.step.base_s + token_s * NODES + np.array(cost.table.step_s)
    return least


def _least_driven(cost: ReplicaCost) -> Floats:
    token = min(cost.power.driven_decode_s, cost.power.driven_prefill_token_s)
    least: Floats = cost.power.driven_base_s + token * NODES + np.array(cost.table.driven_s)
    return least


def _sums(terms: tuple[float, ...], added: Floats) -> tuple[float, ...]:
    return tuple(float(term + more) for term, more in zip(terms, added, strict=True))
