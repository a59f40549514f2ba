"""A calibration: how far measured steps of one model on one GPU lie from the analytic ones, by batch.

It keeps log(measured / analytic) at log2 batches; between them straight lines, past the ends what the ends have. For
the kernel it becomes a table by tokens that is added to a replica's cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import NODES, ReplicaCost
from tracekit.analyzers.kernels.layout import Floats, PowerCurve, TokenTable

MOST_TAKEN_AWAY = 0.9
"""Of what a step takes at least: a correction that is too large for short contexts must leave something."""
MOST_REACH = 0.999
"""Of the way from floor to power limit, which the curve only nears."""


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

    def is_for(self, replica: Replica) -> bool:
        """Whether it was measured on replicas like this one."""
        own = (self.gpu, self.model, self.engine, self.tp)
        return own == (replica.gpu.name, replica.model.name, replica.engine.name, replica.tp)


class _Decode(NamedTuple):
    """Decode steps of one sequence count each, at the calibration's context: arrays (TABLE_NODES,)."""

    seconds: Floats
    host: Floats
    driven: Floats

    @classmethod
    def of(cls, cost: ReplicaCost, sequences: Floats, context: float) -> _Decode:
        step, power, table = cost.step, cost.power, cost.table
        read = sequences * context
        return cls(
            step.base_s + step.decode_s * sequences + step.decode_context_s * read
            + np.interp(sequences, NODES, table.step_s),
            power.host_base_s + power.host_decode_s * sequences,
            power.driven_base_s + power.driven_decode_s * sequences + power.driven_decode_context_s * read
            + np.interp(sequences, NODES, table.driven_s),
        )  # fmt: skip


def calibrated_cost(cost: ReplicaCost, calibration: Calibration) -> ReplicaCost:
    """The cost with the calibration's corrections in its table, in seconds by a step's tokens.

    A decode step of the calibration's mean context takes and draws what was measured. Past the largest measured batch,
    and in steps full of prompts, the seconds that are added stay what they are there.
    """
    measured = [part.log2_batch[-1] for part in (calibration.step, calibration.power) if part is not None]
    sequences = np.minimum(NODES, 2.0 ** max(measured, default=0.0))
    decode = _Decode.of(cost, sequences, calibration.context_tokens)
    added_s = np.maximum(
        _added_s(decode, sequences, calibration.step), -MOST_TAKEN_AWAY * _least_seconds(cost)
    )
    seconds = decode.seconds + added_s
    watts = _watts_given_time(decode, seconds, cost.power)
    if calibration.power is not None:
        watts = _watts(decode, cost.power) * calibration.power.ratio(sequences)
    added_driven = _driven_for(watts, decode, seconds, cost.power) - decode.driven
    added_driven = np.maximum(added_driven, -MOST_TAKEN_AWAY * _least_driven(cost))
    table = TokenTable(
        step_s=_sums(cost.table.step_s, added_s),
        weight_share_s=cost.table.weight_share_s,
        driven_s=_sums(cost.table.driven_s, added_driven),
    )
    return cost._replace(table=table)


def _added_s(decode: _Decode, sequences: Floats, step: Correction | None) -> Floats:
    if step is None:
        return np.zeros(len(sequences))
    return (step.ratio(sequences) - 1.0) * decode.seconds


def _least_seconds(cost: ReplicaCost) -> Floats:
    """What a step of so many tokens takes at least, whatever they are."""
    token_s = min(cost.step.decode_s, cost.step.prefill_token_s)
    least: Floats = cost.step.base_s + token_s * NODES + np.array(cost.table.step_s)
    return least


def _least_driven(cost: ReplicaCost) -> Floats:
    token = min(cost.power.driven_decode_s, cost.power.driven_prefill_token_s)
    least: Floats = cost.power.driven_base_s + token * NODES + np.array(cost.table.driven_s)
    return least


def _watts(decode: _Decode, power: PowerCurve) -> Floats:
    on_gpu = decode.seconds - decode.host
    return _curve(power, on_gpu / decode.seconds, power.level + decode.driven / on_gpu)


def _watts_given_time(decode: _Decode, seconds: Floats, power: PowerCurve) -> Floats:
    """If the same work takes `seconds`: what is beyond the modelled duration is waiting."""
    work = decode.seconds - decode.host
    return _curve(power, np.minimum(seconds, work) / seconds, power.level + decode.driven / work)


def _curve(power: PowerCurve, busy: Floats, level: Floats) -> Floats:
    watts: Floats = power.floor_w + power.span_w * busy * level / np.cbrt(1.0 + level**3)
    return watts


def _driven_for(watts: Floats, decode: _Decode, seconds: Floats, power: PowerCurve) -> Floats:
    """The seconds at full power with which the curve gives `watts`: its inverse."""
    on_gpu = seconds - decode.host
    reach = np.clip((watts - power.floor_w) * seconds / (power.span_w * on_gpu), 0.0, MOST_REACH)
    level = reach / np.cbrt(1.0 - reach**3)
    driven: Floats = (level - power.level) * on_gpu
    return driven


def _sums(terms: tuple[float, ...], added: Floats) -> tuple[float, ...]:
    return tuple(float(term + more) for term, more in zip(terms, added, strict=True))
