"""A replica's cost with its prompts corrected by measured ones: chunks of prompts, by tokens and by context.

The kernel takes a chunk's duration as affine in its tokens and in the pairs that attend. Both coefficients are fitted,
by least squares of relative errors, to what measured chunks take beyond the rest of the step; so is a constant
of the table past the tokens that decoding alone can have. Watts follow by one factor on the seconds at full power.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.catalog.engine import ErrorBand
from tracekit.analyzers.hardware.kernel_step import Contents, KernelSteps
from tracekit.analyzers.hardware.step_cost import NODES, ReplicaCost
from tracekit.analyzers.kernels.layout import Floats


class PromptCorrection(NamedTuple):
    """log(measured / analytic) of steps that hold one chunk of a prompt each, by its tokens and those before it.

    `power_log_ratio` is of watts, None if not measured; `error` is what is left of durations, None where too few tell.
    """

    chunk_tokens: tuple[float, ...]
    context_tokens: tuple[float, ...]
    log_ratio: tuple[float, ...]
    power_log_ratio: tuple[float, ...] | None = None
    error: ErrorBand | None = None


MOST_DECODES = 256.0
"""Sequences that decode at once, at most."""
LEAST_LEFT = 0.01
"""Of a step's other seconds: prompt tokens never make a step shorter than that."""
LARGEST_FACTOR = 100.0


def with_prompts(
    cost: ReplicaCost, analytic: ReplicaCost, prompts: PromptCorrection, most_decodes: float = MOST_DECODES
) -> ReplicaCost:
    """`cost` with chunks that take and draw what was measured: the ratios' multiple of what `analytic` says.

    Steps of more than `most_decodes` tokens hold a prompt.
    """
    contents = Contents.prompts(np.array(prompts.chunk_tokens), np.array(prompts.context_tokens))
    said = KernelSteps.of(analytic, contents)
    timed = _timed(cost, contents, said.seconds * np.exp(prompts.log_ratio), most_decodes < NODES)
    if prompts.power_log_ratio is None:
        return timed
    wanted_w = said.watts(analytic.power) * np.exp(prompts.power_log_ratio)
    return _powered(timed, contents, wanted_w)


def _timed(
    cost: ReplicaCost, contents: Contents, wanted_s: Floats, is_prompts: npt.NDArray[np.bool_]
) -> ReplicaCost:
    """`is_prompts` (TABLE_NODES,): of the table, what the constant is added to."""
    step, least_s = cost.step, cost.step.base_s + np.array(cost.table.step_s)
    bare = cost._replace(step=step._replace(prefill_token_s=0.0, prefill_attention_s=0.0))
    beyond_s = wanted_s - KernelSteps.of(bare, contents).seconds
    constant = np.interp(contents.prompt_tokens, NODES, is_prompts)
    columns = np.column_stack([contents.prompt_tokens, contents.attended, constant]) / wanted_s[:, None]
    scale = np.maximum(columns.max(axis=0), np.finfo(np.float64).tiny)
    taken_s = (1.0 - LEAST_LEFT) * float(np.min(least_s, where=is_prompts, initial=np.inf))
    lowest = np.array([0.0, 0.0, -max(0.0, taken_s) * scale[2] - 1e-12])
    from scipy.optimize import lsq_linear  # noqa: PLC0415  (0.2 s that replays, which only apply fits, can do without)

    fit = lsq_linear(columns / scale, beyond_s / wanted_s, bounds=(lowest, np.inf)).x / scale
    constant_s = float(fit[2]) if constant.any() else 0.0
    table_s = np.array(cost.table.step_s) + constant_s * is_prompts
    token_s, attention_s = max(float(fit[0]), _least_token_s(step.base_s, table_s)), float(fit[1])
    power = cost.power._replace(
        driven_prefill_token_s=_like(cost.power.driven_prefill_token_s, token_s, step.prefill_token_s),
        driven_prefill_attention_s=_like(
            cost.power.driven_prefill_attention_s, attention_s, step.prefill_attention_s
        ),
    )
    return ReplicaCost(
        step._replace(prefill_token_s=token_s, prefill_attention_s=attention_s),
        power,
        cost.table._replace(step_s=tuple(float(value) for value in table_s)),
    )


def _least_token_s(base_s: float, table_s: Floats) -> float:
    """With which steps of any number of tokens take some time, whatever the table takes away."""
    return max(0.0, float(np.max((LEAST_LEFT * base_s - base_s - table_s) / NODES)))


def _like(driven: float, now_s: float, before_s: float) -> float:
    """Seconds at full power at the same level, over the new duration."""
    return driven * now_s / before_s if before_s > 0 else driven


def _powered(cost: ReplicaCost, contents: Contents, wanted_w: Floats) -> ReplicaCost:
    def scaled(factor: float) -> ReplicaCost:
        power = cost.power
        return cost._replace(
            power=power._replace(
                driven_prefill_token_s=factor * power.driven_prefill_token_s,
                driven_prefill_attention_s=factor * power.driven_prefill_attention_s,
                driven_prompt_context_s=factor * power.driven_prompt_context_s,
            )
        )

    def off(log_factor: float) -> float:
        found = scaled(float(np.exp(log_factor)))
        return float(np.mean(np.log(KernelSteps.of(found, contents).watts(found.power) / wanted_w)))

    ends = (-np.log(LARGEST_FACTOR), np.log(LARGEST_FACTOR))
    if off(ends[0]) >= 0.0:
        return scaled(float(np.exp(ends[0])))
    if off(ends[1]) <= 0.0:
        return scaled(float(np.exp(ends[1])))
    from scipy.optimize import brentq  # noqa: PLC0415

    return scaled(float(np.exp(brentq(off, *ends, xtol=1e-6))))
