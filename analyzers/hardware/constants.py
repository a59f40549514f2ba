"""The constants of the hardware model: how far kernels stay behind data sheets, and what a step costs beside them."""

from __future__ import annotations

from typing import NamedTuple


class StepConstants(NamedTuple):
    """What turns bytes, FLOPs and counts into seconds; docs/background-hardware.md has every term's formula.

    Efficiencies are shares of the data sheet's rate.
    """

    weight_efficiency: float  # of bandwidth, reading weights
    kv_efficiency: float  # of bandwidth, reading keys and values
    compute_efficiency: float  # of the dense rate
    step_us: float  # host, each step
    layer_us: float  # gaps between kernels, each layer
    sequence_us: float  # host, each decoding sequence
    all_reduce_us: float  # latency of one of two a layer, if tp > 1
    sampling_passes: float  # over the logits of a sequence, four bytes each
    quantized_layer_us: float  # kernels that scale and cast, each layer of 8-bit or smaller weights
    expert_efficiency: float  # of bandwidth, reading experts
    expert_compute_efficiency: float  # of the dense rate, in experts
    routing_diversity: float  # tokens that choose experts independently, as a share of all
    expert_layer_us: float  # routing, each layer with experts
    expert_sequence_us: float  # the same, each sequence
    state_layer_us: float  # each layer of a model with recurrent layers
    state_efficiency: float  # of bandwidth, reading and writing recurrent state
    prompt_us: float = 0.0  # host, each prompt that a step works on


class PowerConstants(NamedTuple):
    """How far each part of a step drives a GPU from its floor to its power limit."""

    floor_share: float  # of TDP: what a GPU draws in a step while nothing runs on it
    weight_level: float
    kv_level: float
    compute_level: float
    sampling_level: float
    gap_level: float  # gaps between kernels, all-reduces, casts
