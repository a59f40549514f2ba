"""How few replicas could do the work at all: the seconds of work that arrive in a second, at a replica's best."""

from __future__ import annotations

import math

import numpy as np

from tracekit.analyzers.kernels.layout import TABLE_NODES, Floats, Pool, StepKind, Workload

LUCK = 0.85
"""A replicate may draw lighter sessions than the recorded ones are on average, and the model may be too slow."""


def work_s(workload: Workload, pool: Pool) -> float:
    """Seconds of a replica for a recorded session on average, at least.

    With full batches, every prompt token that was ever seen before found in the cache, and nobody waiting.
    """
    is_call = workload.kind == StepKind.CALL
    prompt, output = (
        np.maximum(1, column[is_call]).astype(np.float64)
        for column in (workload.input_tokens, workload.output_tokens)
    )
    shared = workload.prefix_tokens[is_call] * pool.limits.enable_prefix_cache
    cached = np.minimum(shared, prompt - 1.0)
    new = prompt - cached
    cost, limits = pool.cost, pool.limits
    decodes = output - 1.0  # the step that ends the prompt emits the first
    context = decodes * (prompt + output / 2.0)
    base_s = cost.base_s / limits.max_num_seqs * decodes
    base_s += cost.base_s / limits.max_num_batched_tokens * new
    seconds: Floats = (
        base_s
        + cost.prompt_s
        + new * cost.prefill_token_s
        + new * (cached + new / 2.0) * cost.prefill_attention_s
        + decodes * cost.decode_s
        + context * cost.decode_context_s
        + (new + decodes) * _table_s(pool)
    )
    return max(0.0, float(seconds.sum())) / len(workload.session_arrival_s)


def _table_s(pool: Pool) -> float:
    """Seconds that the table adds for a token of the fullest step."""
    tokens = np.exp2(np.arange(TABLE_NODES))
    per_token = np.asarray(pool.table.step_s) / tokens
    beyond = pool.table.step_s[-1] / max(float(tokens[-1]), float(pool.limits.max_num_batched_tokens))
    return max(0.0, min(float(per_token.min()), beyond))


def least_replicas(workload: Workload, pools: tuple[Pool, ...], rate_per_s: float) -> int:
    """Replicas below which work piles up, whatever the router; those of the fastest pool if there are several."""
    least_s = min(work_s(workload, pool) for pool in pools) if len(pools) == 1 else 0.0
    return max(len(pools), math.floor(LUCK * rate_per_s * least_s))
