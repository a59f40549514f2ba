"""How an instant is split over the calls in flight: by modelled shares where model and GPU are known, else equally.

A step's energy splits t_W : t_K : t_C (DESIGN: attribution). Over a second of recorded time a model's passes
take t_W each and belong equally to its calls in flight; reading and writing KV, and computing, belong to the
call that asks for them. What a call asks for is spread evenly over its prefill (request to first token: the
prompt's tokens but for cached ones) and over its decode (one pass a token, at its mean context).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.columns import Flags
from tracekit.analyzers.hardware.step_cost import NODES, ReplicaCost
from tracekit.analyzers.kernels.layout import Floats, Ints
from tracekit.analyzers.metering.pool import Phase, Pool, count_open
from tracekit.analyzers.metering.spread import Spans, Weights
from tracekit.units import NS_PER_S

STEP_TOKENS = 8192
"""Tokens of a prompt that are computed in one pass, at most."""


class Split(NamedTuple):
    """Spans of calls with their weights; `is_modelled` (segments,) says by which rule."""

    spans: Spans
    weights: Weights
    is_modelled: Flags


class _Work(NamedTuple):
    """What each span asks for in a second: passes, tokens of a prompt, own seconds; each of shape (n,)."""

    passes: Floats
    prompt_tokens: Floats
    own: Floats
    is_known: Flags


def split_of(pool: Pool, costs: Sequence[ReplicaCost | None]) -> Split:
    """The split on a GPU on which the steps' models cost that much; None: not known, and then it is equal."""
    model = pool.steps.calls.model[pool.call]
    work = _work(pool, costs, model)
    edges, first, last = len(pool.edges_ns), pool.first, pool.last
    unknown = count_open(first[~work.is_known], last[~work.is_known], edges)
    own = _sum_open(work.own, first, last, edges)
    weight_s, count = np.zeros((len(costs), edges - 1)), np.zeros((len(costs), edges - 1))
    for index, cost in enumerate(costs):
        here = np.flatnonzero(model == index)
        if cost is not None and len(here):
            count[index] = count_open(first[here], last[here], edges)
            weight_s[index] = _weight_s(pool, cost, here, work)
    whole = weight_s.sum(axis=0) + own
    is_modelled = np.asarray((unknown == 0) & (whole > 0.0) & (pool.in_flight > 0), np.bool_)
    equal = 1.0 / np.maximum(pool.in_flight, 1)
    divisor = np.where(is_modelled, whole, 1.0)
    shared = np.where(is_modelled, weight_s / (np.maximum(count, 1) * divisor), equal)
    weights = Weights(shared, np.where(is_modelled, 1.0 / divisor, 0.0))
    return Split(Spans(first, last, model, work.own), weights, is_modelled)


def _work(pool: Pool, costs: Sequence[ReplicaCost | None], model: Ints) -> _Work:
    calls = pool.steps.calls
    prompt, output = calls.input_tokens[pool.call], calls.output_tokens[pool.call]
    cached = np.minimum(calls.cached_tokens[pool.call], prompt)
    seconds = (pool.edges_ns[pool.last] - pool.edges_ns[pool.first]) / NS_PER_S
    per_s = np.where(seconds > 0.0, 1.0 / np.where(seconds > 0.0, seconds, 1.0), 0.0)
    is_known = ~np.isnan(prompt + output)
    new = np.where(is_known, prompt - cached, 0.0)
    tokens = np.where(is_known, np.maximum(output - 1, 0), 0.0)
    has_prompt, has_tokens = pool.phase != Phase.DECODE, pool.phase != Phase.PREFILL
    chunks = np.ceil(new / STEP_TOKENS) * has_prompt
    decodes = tokens * has_tokens
    context = np.where(is_known, prompt + tokens / 2, 0.0)
    kv = chunks * np.where(is_known, cached, 0.0) + new * (chunks + 1) / 2 * has_prompt + decodes * context
    attended = new * (np.where(is_known, cached, 0.0) + new / 2) * has_prompt + decodes * context
    computed = new * has_prompt + decodes
    own = np.zeros(len(model))
    for index, cost in enumerate(costs):
        here = model == index
        if cost is None:
            is_known = is_known & ~here
            continue
        step = cost.step
        seconds_asked = (
            step.kv_token_share_s * kv
            + step.token_compute_share_s * computed
            + step.attention_compute_share_s * attended
        )
        own = np.where(here, seconds_asked * per_s, own)
    own = np.where(is_known, own, 0.0)
    own = np.rint(own / _grain(own)) * _grain(own)
    return _Work((chunks + decodes) * per_s, new * has_prompt * per_s, own, is_known)


def _weight_s(pool: Pool, cost: ReplicaCost, here: Ints, work: _Work) -> Floats:
    """Seconds of reading weights in a second of each segment: passes of those that decode, else of the prompts."""
    edges = len(pool.edges_ns)
    is_prompt = pool.phase[here] == Phase.PREFILL
    prompts, decodes = here[is_prompt], here[~is_prompt]
    decoding = count_open(pool.first[decodes], pool.last[decodes], edges)
    decode_passes = _rates(pool, decodes, work.passes, edges) / np.maximum(decoding, 1)
    prompt_passes = _rates(pool, prompts, work.passes, edges)
    passes = np.where(decode_passes > 0.0, decode_passes, prompt_passes)
    prompt_tokens = _rates(pool, prompts, work.prompt_tokens, edges)
    tokens = decoding + np.where(passes > 0.0, prompt_tokens / np.where(passes > 0.0, passes, 1.0), 0.0)
    return passes * (cost.step.weight_share_s + np.interp(tokens, NODES, cost.table.weight_share_s))


def _rates(pool: Pool, here: Ints, rate: Floats, edges: int) -> Floats:
    return _sum_open(rate[here], pool.first[here], pool.last[here], edges)


def _sum_open(rate: Floats, first: Ints, last: Ints, edges: int) -> Floats:
    """The sum of `rate` over the spans open in each segment: whole grains, of which none is left when all end."""
    grain = _grain(rate)
    grains = np.rint(rate / grain).astype(np.int64)
    change = np.zeros(edges, np.int64)
    np.add.at(change, first, grains)
    np.subtract.at(change, last, grains)
    return np.asarray(np.cumsum(change)[:-1] * grain, np.float64)


def _grain(rate: Floats) -> float:
    """The power of two of which all the rates together have less than 2^62."""
    whole = float(rate.sum())
    return float(2.0 ** (np.ceil(np.log2(whole)) - 61)) if whole > 0.0 else 1.0
