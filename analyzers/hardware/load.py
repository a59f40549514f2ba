"""What engine steps ask of their GPUs: bytes, FLOPs and counts, before any constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.catalog.precision import SIXTEEN_BIT
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.kernels.layout import Floats


class Steps(NamedTuple):
    """The contents of n mean steps, each array (n,): counts may be fractions."""

    sequences: Floats  # that decode one token each
    first_context: Floats  # tokens of a sequence's context at its first token ...
    last_context: Floats  # ... and at its last; contexts are spread evenly between them
    prompt_tokens: Floats  # of prompts, in one step
    prompts: Floats  # that are worked on in one step


class Load(NamedTuple):
    """n steps on n replicas, each array (n,); bytes and FLOPs are of the whole replica unless said."""

    gpus: Floats
    bandwidth_b_s: Floats  # of one GPU
    flop_s: Floats  # of one GPU, dense
    link_b_s: Floats  # of one GPU, one way
    tdp_w: Floats
    warm_idle_w: Floats
    layers: Floats
    hidden_size: Floats
    vocabulary: Floats
    quantized: Floats  # 1 or 0
    recurrent: Floats  # 1 or 0
    always_bytes: Floats  # weights that every step reads
    expert_bytes: Floats  # of one expert in one layer
    experts: Floats
    experts_per_token: Floats
    moe_layers: Floats
    token_flop: Floats  # one token, experts aside
    visit_flop: Floats  # one token in one expert of each layer
    attended_flop: Floats  # one decoded token and one token of context in one layer
    kv_layer_bytes: Floats  # one token of context in one layer
    kv_shards: Floats
    full_layers: Floats  # that see the whole context
    window_layers: Floats
    window_tokens: Floats
    state_bytes: Floats  # of one sequence
    sequences: Floats
    seen: Floats  # mean tokens of context that one decoded token sees, summed over layers
    prompt_tokens: Floats
    prompts: Floats

    def running(self, steps: Steps) -> Load:
        """The same replicas with other contents of their steps."""
        full = 0.5 * (steps.first_context + steps.last_context)
        windowed = _mean_capped(steps, self.window_tokens)
        return self._replace(
            sequences=steps.sequences,
            seen=self.full_layers * full + self.window_layers * windowed,
            prompt_tokens=steps.prompt_tokens,
            prompts=steps.prompts,
        )

    @property
    def attention_flop(self) -> Floats:
        """One decoded token of a mean context."""
        return self.attended_flop * self.seen

    @property
    def kv_bytes(self) -> Floats:
        """Of one mean context."""
        return self.kv_layer_bytes * self.seen


def load_of(replicas: Sequence[Replica], steps: Steps) -> Load:
    """What each step asks of its replica: two sequences of n in, (n,) arrays out."""
    models = [replica.model for replica in replicas]
    gpus = [replica.gpu for replica in replicas]
    nothing = np.zeros(len(models))
    return Load(
        gpus=_column([replica.tp for replica in replicas]),
        bandwidth_b_s=_column([replica.bandwidth_b_s for replica in replicas]),
        flop_s=_column([replica.peak_flop_s for replica in replicas]),
        link_b_s=_column([0.5 * gpu.link_gb_s * 1e9 for gpu in gpus]),
        tdp_w=_column([gpu.tdp_w for gpu in gpus]),
        warm_idle_w=_column([gpu.warm_idle_w for gpu in gpus]),
        layers=_column([model.layers for model in models]),
        hidden_size=_column([model.hidden_size for model in models]),
        vocabulary=_column([model.vocabulary for model in models]),
        quantized=_column([model.precision not in (*SIXTEEN_BIT, "fp32") for model in models]),
        recurrent=_column([model.state_bytes_per_sequence > 0 for model in models]),
        always_bytes=_column([model.always_streamed_bytes for model in models]),
        expert_bytes=_column([model.expert_bytes for model in models]),
        experts=_column([model.experts for model in models]),
        experts_per_token=_column([model.experts_per_token for model in models]),
        moe_layers=_column([model.moe_layers for model in models]),
        token_flop=_column([2.0 * (model.streamed_parameters - model.routed_parameters) for model in models]),
        visit_flop=_column([2.0 * model.moe_layers * model.expert_parameters for model in models]),
        attended_flop=_column([4.0 * model.heads * model.head_dim for model in models]),
        kv_layer_bytes=_column(
            [replica.kv_bytes_per_token / max(1, replica.model.attention_layers) for replica in replicas]
        ),
        kv_shards=_column([replica.kv_shards for replica in replicas]),
        full_layers=_column([model.attention_layers - model.window_layers for model in models]),
        window_layers=_column([model.window_layers for model in models]),
        window_tokens=_column([model.window_tokens for model in models]),
        state_bytes=_column([model.state_bytes_per_sequence for model in models]),
        sequences=nothing,
        seen=nothing,
        prompt_tokens=nothing,
        prompts=nothing,
    ).running(steps)


def _column(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)


def _mean_capped(steps: Steps, window: Floats) -> Floats:
    """The mean of min(context, window) over contexts spread evenly from first to last."""
    first, last = steps.first_context, np.maximum(steps.last_context, steps.first_context + 1e-9)
    capped = np.clip(window, first, last)
    below = 0.5 * (capped**2 - first**2) + capped * (last - capped)
    return np.where(window <= first, window, below / (last - first))
