"""A replica's coefficients for the replay kernel, read off the terms of a step.

The kernel's cost is affine in what a step holds, and what is not (experts) is a table by tokens, so each
coefficient is a difference of two steps' terms. Windows of up to SHORT_WINDOW tokens count as full from the first
token on, longer ones as no windows: agents' contexts are longer than the first and mostly shorter than the second.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.hardware.constants import PowerConstants
from tracekit.analyzers.hardware.load import Steps, load_of
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_terms import (
    StepTerms,
    busiest_visits,
    expert_read_s,
    step_terms,
    touched_experts,
    visit_s,
)
from tracekit.analyzers.hardware.watts import driven_s, step_floor_w
from tracekit.analyzers.kernels.layout import TABLE_NODES, Floats, PowerCurve, StepCost, TokenTable

SHORT_WINDOW = 2048
NODES: Floats = np.exp2(np.arange(TABLE_NODES, dtype=np.float64))


class ReplicaCost(NamedTuple):
    """What a step of a replica takes and draws."""

    step: StepCost
    power: PowerCurve
    table: TokenTable


def replica_cost(replica: Replica) -> ReplicaCost:
    """The replica's coefficients, in seconds and watts of all its GPUs."""
    at = _Differences(replica)
    model, constants = replica.model, replica.engine.power
    floor_w = float(step_floor_w(at.load, constants)[0])
    return ReplicaCost(
        StepCost(
            base_s=at.base.seconds,
            prefill_token_s=at.prompt_token.seconds,
            prefill_attention_s=at.attended_s,
            decode_s=at.decode.seconds,
            decode_context_s=at.context.seconds,
            weight_share_s=float(at.base.terms.weights[0]),
            kv_token_share_s=at.kv_token_s,
            token_compute_share_s=float(at.prompt_token.terms.prompt_compute[0]),
            attention_compute_share_s=at.attended_s,
            prompt_s=replica.engine.step.prompt_us * 1e-6,
            prompt_context_s=at.kv_token_s,
        ),
        PowerCurve(
            idle_w=replica.tp * replica.gpu.warm_idle_w,
            floor_w=replica.tp * floor_w,
            span_w=replica.tp * (replica.gpu.tdp_w - floor_w),
            host_base_s=float(at.base.terms.host[0]),
            host_prompt_s=replica.engine.step.prompt_us * 1e-6,
            host_decode_s=float(at.decode.terms.host[0]),
            driven_base_s=at.base.driven(constants),
            driven_prefill_token_s=at.prompt_token.driven(constants),
            driven_prefill_attention_s=constants.compute_level * at.attended_s,
            driven_prompt_context_s=constants.kv_level * at.kv_token_s,
            driven_decode_s=at.decode.driven(constants),
            driven_decode_context_s=at.context.driven(constants),
        ),
        _experts_table(replica) if model.experts else TokenTable(),
    )


class _Difference(NamedTuple):
    """What one more of something adds to a step."""

    terms: StepTerms  # (1,) each

    @property
    def seconds(self) -> float:
        return float(self.terms.step[0])

    def driven(self, constants: PowerConstants) -> float:
        return float(driven_s(self.terms, constants)[0])


class _Differences:
    """What a step takes by itself, and what a prompt token, a sequence and a token of its context add.

    Of experts, visits are in it; the table has what is read, and how much longer the busiest GPU takes.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.load = load_of([replica], Steps(*np.zeros((len(Steps._fields), 1))))
        nothing, one = self._terms(), self._terms(sequences=1.0)
        self.base = _Difference(nothing)
        self.decode = _Difference(_minus(one, nothing))
        self.context = _Difference(_minus(self._terms(sequences=1.0, context=1.0), one))
        self.prompt_token = _Difference(_minus(self._terms(prompt_tokens=1.0), nothing))

    @property
    def attended_s(self) -> float:
        """Seconds of a token that attends to another."""
        return float(self.context.terms.decode_compute[0])

    @property
    def kv_token_s(self) -> float:
        """Seconds of reading a token of context."""
        return float(self.context.terms.kv[0])

    def _terms(self, sequences: float = 0.0, context: float = 0.0, prompt_tokens: float = 0.0) -> StepTerms:
        contents = (sequences, context, context, prompt_tokens, 0.0)
        load = self.load.running(Steps(*(np.array([value]) for value in contents)))
        is_short = load.window_tokens <= SHORT_WINDOW
        full_layers = load.full_layers + np.where(is_short, 0.0, load.window_layers)
        windowed = np.where(is_short, load.window_layers * load.window_tokens, 0.0)
        constants = self.replica.engine.step
        terms = step_terms(load._replace(seen=full_layers * context + windowed), constants)
        visits_s = sequences * load.experts_per_token / load.gpus * visit_s(load, constants)
        even = terms.decode_compute - busiest_visits(load) * visit_s(load, constants) + visits_s
        return terms._replace(experts=np.zeros(1), decode_compute=even)


def _minus(more: StepTerms, less: StepTerms) -> StepTerms:
    return StepTerms(*(big - small for big, small in zip(more, less, strict=True)))


def _experts_table(replica: Replica) -> TokenTable:
    """Seconds of experts by the tokens of a step, beyond what visits would take if GPUs had equally many."""
    constants, power = replica.engine.step, replica.engine.power
    nothing = np.zeros(TABLE_NODES)
    load = load_of([replica] * TABLE_NODES, Steps(NODES, nothing, nothing, nothing, nothing))
    read_s = touched_experts(load, constants) * expert_read_s(load, constants)
    visits = load.sequences * load.experts_per_token / load.gpus
    uneven_s = (busiest_visits(load) - visits) * visit_s(load, constants)
    return TokenTable(
        step_s=_terms(read_s + uneven_s),
        weight_share_s=_terms(read_s),
        driven_s=_terms(power.weight_level * read_s + power.compute_level * uneven_s),
    )


def _terms(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
