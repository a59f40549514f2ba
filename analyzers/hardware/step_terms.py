"""The terms of a step's duration. They add up: a sum fits measured steps better than a maximum of memory and compute.

docs/background-hardware.md gives each formula, its source and where it fails.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.analyzers.hardware.constants import StepConstants
from tracekit.analyzers.hardware.load import Load
from tracekit.analyzers.kernels.layout import Floats

LOGIT_BYTES = 4
ACTIVATION_BYTES = 2


class StepTerms(NamedTuple):
    """Seconds of n mean steps by term, each array (n,)."""

    host: Floats  # the GPU has nothing to do meanwhile
    gaps: Floats  # between kernels; also casts of quantized models, routing of experts
    network: Floats
    sampling: Floats
    weights: Floats  # those that every step reads
    experts: Floats  # those that some token of the step visits
    kv: Floats  # contexts, and recurrent state
    decode_compute: Floats
    prompt_compute: Floats  # and the experts that only prompts visit

    @property
    def decode(self) -> Floats:
        """Seconds of a step in which no prompt is worked on."""
        return self.step - self.prompt_compute

    @property
    def step(self) -> Floats:
        """Seconds of a mean step."""
        total: Floats = np.sum(self, axis=0)
        return total

    @property
    def on_gpu(self) -> Floats:
        """Seconds of a mean step in which the GPU has something to do."""
        return self.step - self.host


def step_terms(load: Load, constants: StepConstants) -> StepTerms:
    """Seconds by term of n steps, (n,) each."""
    flop_s = load.gpus * load.flop_s * constants.compute_efficiency
    experts = touched_experts(load, constants) * expert_read_s(load, constants)
    visits = busiest_visits(load) * visit_s(load, constants)
    gaps_us = (
        constants.layer_us
        + load.quantized * constants.quantized_layer_us
        + load.recurrent * constants.state_layer_us
    )
    routing_us = constants.expert_layer_us + constants.expert_sequence_us * load.sequences
    return StepTerms(
        host=1e-6
        * (constants.step_us + constants.sequence_us * load.sequences + constants.prompt_us * load.prompts),
        gaps=1e-6 * (gaps_us * load.layers + routing_us * load.moe_layers),
        network=_network(load, constants),
        sampling=constants.sampling_passes
        * LOGIT_BYTES
        * load.vocabulary
        * load.sequences
        / load.bandwidth_b_s,
        weights=load.always_bytes / (load.gpus * load.bandwidth_b_s * constants.weight_efficiency),
        experts=experts,
        kv=_kv(load, constants),
        decode_compute=load.sequences * (load.token_flop + load.attention_flop) / flop_s + visits,
        prompt_compute=load.prompt_tokens * load.token_flop / flop_s
        + _prompt_experts(load, constants, experts),
    )


def _network(load: Load, constants: StepConstants) -> Floats:
    """Two all-reduces a layer: their latency, and bytes over one way of the link."""
    tokens = load.sequences + load.prompt_tokens
    sent = tokens * load.hidden_size * ACTIVATION_BYTES * 2 * (load.gpus - 1) / load.gpus
    both: Floats = 2 * load.layers * (constants.all_reduce_us * 1e-6 + sent / load.link_b_s)
    return np.where(load.gpus > 1, both, 0.0)


def _kv(load: Load, constants: StepConstants) -> Floats:
    kv: Floats = load.kv_bytes / (load.kv_shards * load.bandwidth_b_s * constants.kv_efficiency)
    state: Floats = 2 * load.state_bytes / (load.gpus * load.bandwidth_b_s * constants.state_efficiency)
    return load.sequences * (kv + state)


def touched_experts(load: Load, constants: StepConstants) -> Floats:
    """Experts of a layer that the busiest GPU has to read: (n,).

    A token visits k of E experts; the step waits for the GPU with most. The number touched on one of g GPUs is
    about normal with mean m = E / g q and variance m (1 - q), q = 1 - (1 - k / E)^tokens, and the largest of g
    such numbers lies sqrt(2 ln g) deviations above the mean.
    """
    experts = np.maximum(load.experts, 1.0)
    missed = (1.0 - np.minimum(load.experts_per_token / experts, 1.0)) ** (
        load.sequences * constants.routing_diversity
    )
    mean = experts / load.gpus * (1.0 - missed)
    largest = mean + np.sqrt(2.0 * np.log(load.gpus) * mean * missed)
    # no more than it has, nor than all GPUs together read
    return np.minimum(np.minimum(experts / load.gpus, load.gpus * mean), largest)


def busiest_visits(load: Load) -> Floats:
    """Visits of decoding tokens to experts on the busiest GPU, each to one expert in every layer: (n,)."""
    visits = load.sequences * load.experts_per_token / load.gpus
    return np.minimum(load.gpus * visits, visits + np.sqrt(2.0 * np.log(load.gpus) * visits))


def expert_read_s(load: Load, constants: StepConstants) -> Floats:
    """Seconds to read one expert in every layer that has experts: (n,)."""
    return load.moe_layers * load.expert_bytes / (load.bandwidth_b_s * constants.expert_efficiency)


def visit_s(load: Load, constants: StepConstants) -> Floats:
    """Seconds of one token in one expert of every layer: (n,)."""
    return load.visit_flop / (load.flop_s * constants.expert_compute_efficiency)


def _prompt_experts(load: Load, constants: StepConstants, experts: Floats) -> Floats:
    """Seconds that a mean step's prompts add: their visits, and all experts read wherever a step has a prompt."""
    every = load.experts / load.gpus * expert_read_s(load, constants)
    steps_with_prompt = 1.0 - np.exp(-load.prompts)
    visits = load.prompt_tokens * load.experts_per_token / load.gpus * visit_s(load, constants)
    return visits + steps_with_prompt * np.maximum(0.0, every - experts)
