"""A replayed fleet in a document: its pools as they were replayed, limits and price included."""

from __future__ import annotations

from typing import Any

from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.kernels.layout import FleetLimits
from tracekit.analyzers.replay import Replay
from tracekit.analyzers.scenario import Pool

Document = dict[str, Any]


def fleet_document(replay: Replay) -> Document:
    """The fleet as it was replayed: its first pool's settings, and all pools where there are several."""
    pools = [
        pool_document(pool, replica, limits)
        for pool, replica, limits in zip(replay.fleet.pools, replay.replicas, replay.limits, strict=True)
    ]
    routing = {
        "replicas": replay.fleet.replicas,
        "router": replay.fleet.router,
        "queue_order": replay.fleet.queue_order,
    }
    return pools[0] | routing | ({"pools": pools} if len(pools) > 1 else {})


def pool_document(pool: Pool, replica: Replica, limits: FleetLimits) -> Document:
    """One pool, its scheduler's limits and price included."""
    price = replica.gpu.price
    return {
        "gpu": replica.gpu.name,
        "model": replica.model.name,
        "engine": replica.engine.name,
        "tp": pool.tp,
        "replicas": pool.replicas,
        "role": pool.role,
        "calls": pool.calls,
        "calibration": pool.calibration,
        "batching": pool.batching,
        "min_replicas": pool.min_replicas,
        "max_num_seqs": limits.max_num_seqs,
        "max_num_batched_tokens": limits.max_num_batched_tokens,
        "max_model_len": limits.max_model_len,
        "kv_capacity_tokens": limits.kv_capacity_tokens,
        "kv_block_tokens": limits.block_size,
        "prefix_cache": bool(limits.enable_prefix_cache),
        "kv_compression": pool.kv_compression,
        "usd_per_gpu_hour": {
            "low": price.low,
            "typical": price.typical,
            "high": price.high,
            "date": price.date,
        },
    }
