"""One copy of a model on its GPUs under one engine, and how many tokens it can keep."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tracekit.analyzers.catalog.engine import Engine
from tracekit.analyzers.catalog.gpu import Gpu
from tracekit.analyzers.catalog.model import Model
from tracekit.errors import ModelDoesNotFit

# Below this, a replica could hardly serve one agent's call.
LEAST_CACHE_TOKENS = 4096
TENSOR_PARALLEL_SIZES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Replica:
    """One copy of a model on `tp` GPUs under one engine; experts are spread over the same GPUs.

    `kv_compression` is a factor on the bytes of its KV.
    """

    gpu: Gpu
    model: Model
    engine: Engine
    tp: int = 1
    kv_compression: float = 1.0

    @property
    def bandwidth_b_s(self) -> float:
        """Of one GPU's memory, on its data sheet."""
        return self.gpu.bandwidth_gb_s * 1e9

    @property
    def peak_flop_s(self) -> float:
        """Of one GPU at the weights' precision, dense; weights of less than 8 bits are computed in 16."""
        low = self.gpu.fp8_dense_tflops if self.model.precision == "fp8" else None
        return (low or self.gpu.bf16_dense_tflops) * 1e12

    @property
    def kv_shards(self) -> int:
        """GPUs among which a token's keys and values are divided; latent ones are whole on each."""
        return 1 if self.model.latent_values else min(self.tp, self.model.kv_heads)

    @property
    def weight_bytes_per_gpu(self) -> float:
        return self.model.weight_bytes / self.tp

    @property
    def kv_bytes_per_token(self) -> float:
        """On all its GPUs together."""
        return self.kv_compression * self.model.kv_bytes_per_token

    @property
    def kv_bytes_per_token_and_gpu(self) -> float:
        return self.kv_bytes_per_token / self.kv_shards


def kv_capacity_tokens(replica: Replica) -> int:
    """Tokens whose keys and values fit beside the weights.

    Raises
    ------
    ModelDoesNotFit : fewer than LEAST_CACHE_TOKENS; the message names a tensor parallel size that does.
    """
    capacity = capacity_tokens(replica)
    if capacity < LEAST_CACHE_TOKENS:
        fitting = [
            tp
            for tp in TENSOR_PARALLEL_SIZES
            if tp > replica.tp and capacity_tokens(replace(replica, tp=tp)) >= LEAST_CACHE_TOKENS
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


def capacity_tokens(replica: Replica) -> int:
    """The same without the check; 0 or less where the weights alone do not fit."""
    free_bytes = _usable_gb(replica) * 1e9 - replica.weight_bytes_per_gpu
    return int(free_bytes // replica.kv_bytes_per_token_and_gpu)


def _usable_gb(replica: Replica) -> float:
    return replica.gpu.memory_gb * replica.engine.memory_share - replica.engine.activation_gb
