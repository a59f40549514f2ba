"""Steps as the replay kernel costs them: seconds, host seconds and seconds at full power, as arrays."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from tracekit.analyzers.hardware.step_cost import NODES, ReplicaCost
from tracekit.analyzers.kernels.layout import Floats, PowerCurve

MOST_REACH = 0.999
"""Of the way from floor to power limit, which the curve only nears."""


class Contents(NamedTuple):
    """What n steps hold, each array (n,)."""

    sequences: Floats  # that decode
    context: Floats  # tokens of each of their contexts
    prompt_tokens: Floats  # of the one chunk of a prompt, 0 without
    prompt_context: Floats  # tokens before that chunk

    @classmethod
    def decoding(cls, sequences: Floats, context: Floats | float) -> Self:
        """Steps without prompts."""
        nothing = np.zeros(len(sequences))
        return cls(sequences, nothing + context, nothing, nothing)

    @classmethod
    def prompts(cls, tokens: Floats, context: Floats) -> Self:
        """Steps of one chunk each and nothing else."""
        nothing = np.zeros(len(tokens))
        return cls(nothing, nothing, tokens, context)

    @property
    def attended(self) -> Floats:
        """Pairs of a prompt's token and a token that it attends to."""
        pairs: Floats = self.prompt_tokens * (self.prompt_context + 0.5 * self.prompt_tokens)
        return pairs


class KernelSteps(NamedTuple):
    """n steps by one cost, each array (n,)."""

    seconds: Floats
    host: Floats  # of these, with nothing to do for the GPU
    driven: Floats  # seconds at full power that its parts come to

    @classmethod
    def of(cls, cost: ReplicaCost, of: Contents) -> Self:
        """The steps as the kernel adds them up."""
        step, power = cost.step, cost.power
        read = of.sequences * of.context
        chunks = np.where(of.prompt_tokens > 0, 1.0, 0.0)
        prompt_read = chunks * (of.prompt_context + of.prompt_tokens)
        tokens = of.sequences + of.prompt_tokens
        return cls(
            step.base_s + step.decode_s * of.sequences + step.decode_context_s * read
            + step.prefill_token_s * of.prompt_tokens + step.prefill_attention_s * of.attended
            + step.prompt_s * chunks + step.prompt_context_s * prompt_read
            + np.interp(tokens, NODES, cost.table.step_s),
            power.host_base_s + power.host_decode_s * of.sequences + power.host_prompt_s * chunks,
            power.driven_base_s + power.driven_decode_s * of.sequences + power.driven_decode_context_s * read
            + power.driven_prefill_token_s * of.prompt_tokens
            + power.driven_prefill_attention_s * of.attended + power.driven_prompt_context_s * prompt_read
            + np.interp(tokens, NODES, cost.table.driven_s),
        )  # fmt: skip

    def watts(self, power: PowerCurve) -> Floats:
        """Of all GPUs of the replica."""
        on_gpu = self.seconds - self.host
        return watts_of(power, on_gpu / self.seconds, power.level + self.driven / on_gpu)

    def watts_given(self, seconds: Floats, power: PowerCurve) -> Floats:
        """If the same work takes `seconds`: what is beyond the modelled duration is waiting."""
        work = self.seconds - self.host
        return watts_of(power, np.minimum(seconds, work) / seconds, power.level + self.driven / work)

    def driven_for(self, watts: Floats, seconds: Floats, power: PowerCurve) -> Floats:
        """The seconds at full power with which steps that take `seconds` draw `watts`: the curve's inverse."""
        on_gpu = seconds - self.host
        reach = np.clip((watts - power.floor_w) * seconds / (power.span_w * on_gpu), 0.0, MOST_REACH)
        driven: Floats = (reach / np.cbrt(1.0 - reach**3) - power.level) * on_gpu
        return driven


def watts_of(power: PowerCurve, busy: Floats, level: Floats) -> Floats:
    """The curve: watts by the share of time that something runs, and by its level, which is at least 0."""
    level = np.maximum(level, 0.0)
    watts: Floats = power.floor_w + power.span_w * busy * level / np.cbrt(1.0 + level**3)
    return watts
