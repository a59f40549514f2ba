"""The analytic tier: step time, watts and cache size of a model on a GPU, from data sheets and an engine profile.

Step time is a sum of terms (a sum fits better than a maximum of memory and compute):
    host        step + layers x layer + decoding sequences x sequence
    weights     streamed bytes / (tp x bandwidth x weight efficiency)
    cache       bytes of the decoding contexts / (min(tp, kv heads) x bandwidth x kv efficiency)
    compute     FLOPs / (tp x peak x compute efficiency), attention 4 x layers x heads x head_dim for each
                token and token of its context
    network     two all-reduces a layer, if tp > 1
so it is affine in prompt tokens, chunk x context, decoding sequences and their contexts.
Watts are warm idle + (TDP - warm idle) x a saturating function of bandwidth and compute use.
Not modelled in this tier: the cache that prompt chunks read, per-request overhead of the API server, kernel
selection, thermal throttling.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.analyzers.catalog.catalog import Engine, Gpu, Model
from tracekit.analyzers.kernels.layout import PowerCurve, StepCost
from tracekit.errors import ModelDoesNotFit

# Below this, a replica could hardly serve one agent's call.
LEAST_CACHE_TOKENS = 4096
TENSOR_PARALLEL_SIZES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Replica:
    """One copy of a model on `tp` GPUs under one engine."""

    gpu: Gpu
    model: Model
    engine: Engine
    tp: int = 1

    @property
    def bandwidth_b_s(self) -> float:
        return self.gpu.bandwidth_gb_s * 1e9

    @property
    def peak_flop_s(self) -> float:
        return self.gpu.bf16_dense_tflops * 1e12

    @property
    def weight_bytes_per_gpu(self) -> float:
        return self.model.parameters * self.model.dtype_bytes / self.tp

    @property
    def kv_bytes_per_token_and_gpu(self) -> float:
        return self.model.kv_bytes_per_token / min(self.tp, self.model.kv_heads)


def step_cost(replica: Replica) -> StepCost:
    """The replica's step time coefficients, in seconds."""
    model, engine, tp = replica.model, replica.engine, replica.tp
    flop_s = tp * replica.peak_flop_s * engine.compute_efficiency
    weights_s = (
        model.streamed_parameters
        * model.dtype_bytes
        / (tp * replica.bandwidth_b_s * engine.weight_efficiency)
    )
    kv_token_s = replica.kv_bytes_per_token_and_gpu / (replica.bandwidth_b_s * engine.kv_efficiency)
    token_s = 2 * model.streamed_parameters / flop_s
    attention_s = 4 * model.layers * model.heads * model.head_dim / flop_s
    network_s, network_token_s = _network(replica)
    return StepCost(
        base_s=engine.step_us * 1e-6 + model.layers * engine.layer_us * 1e-6 + weights_s + network_s,
        prefill_token_s=token_s + network_token_s,
        prefill_attention_s=attention_s,
        decode_s=engine.sequence_us * 1e-6 + token_s + network_token_s,
        decode_context_s=kv_token_s + attention_s,
        weight_share_s=weights_s,
        kv_token_share_s=kv_token_s,
        token_compute_share_s=token_s,
        attention_compute_share_s=attention_s,
    )


def _network(replica: Replica) -> tuple[float, float]:
    """Seconds of all-reduce per step and per token: latency, and bytes over half the link's two-way rate."""
    if replica.tp == 1:
        return 0.0, 0.0
    reduces = 2 * replica.model.layers
    bytes_per_token = (
        replica.model.hidden_size * replica.model.dtype_bytes * 2 * (replica.tp - 1) / replica.tp
    )
    return (
        reduces * replica.engine.all_reduce_us * 1e-6,
        reduces * bytes_per_token / (0.5 * replica.gpu.nvlink_gb_s * 1e9),
    )


def power_curve(replica: Replica) -> PowerCurve:
    """Watts of the whole replica (all its GPUs) as a function of what a step uses."""
    gpu, engine, fit = replica.gpu, replica.engine, replica.engine.power
    return PowerCurve(
        idle_w=replica.tp * gpu.warm_idle_w,
        span_w=replica.tp * (gpu.tdp_w - gpu.warm_idle_w),
        q0=fit.q0,
        q1=fit.q1,
        q2=fit.q2,
        exponent=fit.exponent,
        cap=fit.cap,
        weight_efficiency=engine.weight_efficiency,
        kv_efficiency=engine.kv_efficiency,
        compute_efficiency=engine.compute_efficiency,
    )


def kv_capacity_tokens(replica: Replica) -> int:
    """Tokens whose keys and values fit beside the weights.

    Raises
    ------
    ModelDoesNotFit : fewer than LEAST_CACHE_TOKENS; the message names a tensor parallel size that does.
    """
    capacity = _capacity(replica)
    if capacity < LEAST_CACHE_TOKENS:
        fitting = [
            tp
            for tp in TENSOR_PARALLEL_SIZES
            if tp > replica.tp
            and _capacity(Replica(replica.gpu, replica.model, replica.engine, tp)) >= LEAST_CACHE_TOKENS
        ]
        need_gb = (
            replica.weight_bytes_per_gpu + LEAST_CACHE_TOKENS * replica.kv_bytes_per_token_and_gpu
        ) / 1e9
        raise ModelDoesNotFit.on(
            replica.model.name,
            replica.gpu.name,
            replica.tp,
            need_gb,
            _usable_gb(replica),
            next(iter(fitting), None),
        )
    return capacity


def _usable_gb(replica: Replica) -> float:
    return replica.gpu.memory_gb * replica.engine.memory_share - replica.engine.activation_gb


def _capacity(replica: Replica) -> int:
    free_bytes = _usable_gb(replica) * 1e9 - replica.weight_bytes_per_gpu
    return int(free_bytes // replica.kv_bytes_per_token_and_gpu)
