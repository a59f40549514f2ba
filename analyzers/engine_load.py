"""What the servers' own metrics said while the agent ran: requests, KV memory, prefix cache, preemptions."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tracekit.schema import Kind, columns_of
from tracekit.trace import Trace

GAUGES = ("running_requests", "waiting_requests", "kv_fraction")
COUNTERS = (
    "prefix_query_tokens_total",
    "prefix_hit_tokens_total",
    "preemptions_total",
    "prompt_tokens_total",
    "generation_tokens_total",
)


@dataclass(frozen=True)
class Level:
    """Of samples: their mean and their largest."""

    mean: float
    max: float


@dataclass(frozen=True)
class EngineLoad:
    """One model behind one endpoint over the samples at hand; None where its engine does not tell.

    Requests are summed over data-parallel engines, `kv_fraction` is their mean. Counts are advances of counters between
    samples; a server that starts again counts from 0, and what it had counted since the sample before is lost
    (`restarts` says how often). `hit_share` is hits over queried tokens. Other clients of the server are in all of it.
    """

    endpoint: str
    engine: str
    model: str | None
    samples: int
    seconds: float
    running: Level | None
    waiting: Level | None
    kv_fraction: Level | None
    prefix_query_tokens: float | None
    prefix_hit_tokens: float | None
    hit_share: float | None
    preemptions: float | None
    prompt_tokens: float | None
    generation_tokens: float | None
    restarts: int


def engine_loads(trace: Trace) -> list[EngineLoad]:
    """One record for each model and endpoint, in the order of their first samples; empty without samples."""
    columns = [
        column.name for column in columns_of(Kind.ENGINE_SAMPLE) if column.name not in ("kind", "row_id")
    ]
    table = trace.rows(Kind.ENGINE_SAMPLE, columns)
    if not table.num_rows:
        return []
    frame = pl.DataFrame(pl.from_arrow(table)).sort("start_ns", maintain_order=True)
    groups = frame.partition_by("endpoint", "engine", "model", maintain_order=True)
    return [_load(group) for group in groups]


def _load(frame: pl.DataFrame) -> EngineLoad:
    levels = {name: _level(frame, name) for name in GAUGES}
    advances = {name: _advance(frame, name) for name in COUNTERS}
    queries, hits = advances["prefix_query_tokens_total"], advances["prefix_hit_tokens_total"]
    return EngineLoad(
        endpoint=frame["endpoint"][0],
        engine=frame["engine"][0],
        model=frame["model"][0],
        samples=frame["start_ns"].n_unique(),
        seconds=(frame["start_ns"][-1] - frame["start_ns"][0]) / 1e9,
        running=levels["running_requests"],
        waiting=levels["waiting_requests"],
        kv_fraction=levels["kv_fraction"],
        prefix_query_tokens=queries,
        prefix_hit_tokens=hits,
        hit_share=hits / queries if queries and hits is not None else None,
        preemptions=advances["preemptions_total"],
        prompt_tokens=advances["prompt_tokens_total"],
        generation_tokens=advances["generation_tokens_total"],
        restarts=max(_restarts(frame, name) for name in COUNTERS),
    )


def _level(frame: pl.DataFrame, name: str) -> Level | None:
    known = frame.drop_nulls(name)
    if known.is_empty():
        return None
    over_ranks = pl.col(name).mean() if name == "kv_fraction" else pl.col(name).sum()
    at_once = known.group_by("start_ns").agg(over_ranks.cast(pl.Float64))[name].to_numpy()
    return Level(float(at_once.mean()), float(at_once.max()))


def _steps(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """`value` and `step` of a counter, each data-parallel engine by itself; a first value has no step."""
    known = frame.drop_nulls(name).select("engine_rank", value=name)
    return known.with_columns(step=pl.col("value").diff().over("engine_rank"))


def _advance(frame: pl.DataFrame, name: str) -> float | None:
    steps = _steps(frame, name).drop_nulls("step")
    if steps.is_empty():
        return None
    counted = steps.select(pl.when(pl.col("step") < 0).then(pl.col("value")).otherwise(pl.col("step")).sum())
    return float(counted.item())


def _restarts(frame: pl.DataFrame, name: str) -> int:
    return int((_steps(frame, name)["step"] < 0).sum())
