"""An engine's log of its steps: which call had how many tokens in which step, and how long the step took."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import Floats, Ints


class BatchLog(NamedTuple):
    """What n steps of one replica did, in k parts: one call in one step.

    `step`, `call` and `tokens` have shape (k,) and are in order of steps; `step` and `call` count from 0.
    `start_s` and `duration_s` have shape (n,).
    """

    step: Ints
    call: Ints
    tokens: Ints
    start_s: Floats
    duration_s: Floats


class StepContents(NamedTuple):
    """What is in each of n steps, in the sums that StepCost's duration is affine in; each of shape (n,)."""

    prefill_tokens: Floats
    prefill_attention: Floats  # sum(chunk * (context + chunk / 2)), tokens squared
    decodes: Floats  # sequences
    decode_contexts: Floats  # tokens, the one that is computed included: it is read as the others are

    def between(self, first: int, end: int | None) -> StepContents:
        """The steps from `first` up to but without `end`; None: to the last."""
        return StepContents(*(term[first:end] for term in self))


def step_contents(log: BatchLog, prompt_tokens: Ints) -> StepContents:
    """The sums of every step of a log that begins with the calls' first tokens.

    Holds for engines that compute every token once: no preemptions, no prefix cache.

    Parameters
    ----------
    log : the whole log; a call's context is what the log has computed of it before.
    prompt_tokens : shape (calls,); a part that begins before its call's prompt ends is prefill.
    """
    context = _computed_before(log.call, log.tokens)
    is_prefill = context < prompt_tokens[log.call]
    attention = log.tokens * (context + log.tokens / 2)

    def sums(values: Ints | Floats, where: np.ndarray) -> Floats:
        weights = values[where].astype(np.float64)
        return np.bincount(log.step[where], weights, log.duration_s.size).astype(np.float64)

    return StepContents(
        sums(log.tokens, is_prefill),
        sums(attention, is_prefill),
        sums(np.ones_like(log.tokens), ~is_prefill),
        sums(context + 1, ~is_prefill),
    )


def _computed_before(call: Ints, tokens: Ints) -> Ints:
    """Tokens of the same call in earlier parts, for every part."""
    order = np.argsort(call, kind="stable")
    before = np.cumsum(tokens[order]) - tokens[order]
    is_first = np.diff(call[order], prepend=-1) != 0
    before -= np.repeat(before[is_first], np.diff(np.append(np.flatnonzero(is_first), call.size)))
    context = np.empty_like(before)
    context[order] = before
    return context
