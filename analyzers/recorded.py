"""What the recording itself says: latencies, tokens, where session time went, the three idle numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tracekit.analyzers.distribution import Distribution
from tracekit.analyzers.engine_load import EngineLoad, engine_loads
from tracekit.analyzers.metering.measured import MeasuredEnergy, measured_energy
from tracekit.analyzers.metering.serving import Serves
from tracekit.analyzers.power import GpuEnergy, gpu_energies
from tracekit.analyzers.prefix import PrefixReuse, prefix_reuse
from tracekit.analyzers.session_table import ANSWERED, LATENCIES, NOT_REPLAYED, UNCOUNTED, session_table
from tracekit.analyzers.share import Shares, shares, union_ns
from tracekit.assembly.token_class import CLASSES
from tracekit.schema import Kind
from tracekit.trace import Trace

UNSTATED = "unstated"
"""The source of token counts in imports that name none."""


@dataclass(frozen=True)
class SourceTokens:
    """Answered calls whose tokens come from one source, and their sums; None where none says."""

    calls: int
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True)
class Recorded:
    """The recording in numbers; None is unknown, never 0.

    `sessions` has one row a session: see `session_table`; `session_count` counts them. `shares` are of sessions whose
    steps have all ended at a time that is known; `sessions_without_shares` counts the others. `uncounted_calls` are
    answered ones of whose tokens nobody has said how many there are, by side; `calls_not_replayed` counts those that
    no replay has for this reason.
    """

    calls: int
    calls_failed: int
    session_count: int
    tools: int
    makespan_s: float
    ttft_s: Distribution | None
    tpot_s: Distribution | None
    e2e_s: Distribution | None
    session_s: Distribution | None
    shares: Shares
    sessions_without_shares: int
    uncounted_calls: dict[str, int]
    calls_not_replayed: int
    no_call_in_flight: float | None
    device_utilization: float | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    tokens_by_source: dict[str, SourceTokens]
    tokens_by_class: dict[str, int] | None
    prefix: PrefixReuse
    power: list[GpuEnergy]
    measured: MeasuredEnergy | None
    engines: list[EngineLoad]
    models: list[str]
    prompts_on_server: int
    sessions: pl.DataFrame


def analyze_recording(trace: Trace, serves: Sequence[Serves] = ()) -> Recorded:
    """Everything the trace says; of hardware models only the ratios by which measured joules are split.

    Raises
    ------
    ServesInvalid : `serves` names an endpoint or a GPU that is not in the trace.
    """
    calls = _frame(trace, Kind.LLM_CALL, _CALL_COLUMNS)
    tools = _frame(trace, Kind.TOOL_SPAN, ["row_id", "session_id", "start_ns", "end_ns", "frame"])
    sessions = _frame(trace, Kind.SESSION, ["row_id", "name", "start_ns", "end_ns", "status"]).sort(
        "start_ns", "row_id"
    )
    sessions = _ended(
        sessions.with_columns(ended=pl.col("end_ns").is_not_null() & (pl.col("status") != "interrupted")),
        calls,
        tools,
    )
    done = calls.filter(pl.col("end_ns").is_not_null())
    answered = calls.filter(ANSWERED).with_columns(
        continues=pl.col("previous_response_id").is_not_null() | pl.col("conversation_id").is_not_null(),
        **LATENCIES,
    )
    sessions = _known_whole(sessions, calls, tools)
    where = _shares(done, tools, sessions)
    horizon_ns = _horizon_ns(sessions)
    busy_ns = union_ns(done["start_ns"].to_numpy(), done["end_ns"].to_numpy())
    ends_known = calls["end_ns"].null_count() == 0
    measured = measured_energy(trace, serves)
    power = gpu_energies(measured)
    return Recorded(
        calls=len(calls),
        calls_failed=len(calls) - len(answered),
        session_count=len(sessions),
        tools=len(tools),
        makespan_s=horizon_ns / 1e9,
        ttft_s=_distribution(answered["ttft_s"]),
        tpot_s=_distribution(answered["tpot_s"]),
        e2e_s=_distribution(answered["e2e_s"]),
        session_s=_distribution(sessions.filter(ended=True).select(SESSION_S)["session_s"]),
        shares=where.of(sessions["steps_ended"].to_numpy()),
        sessions_without_shares=int((~sessions["steps_ended"]).sum()),
        uncounted_calls={side: len(answered.filter(uncounted)) for side, uncounted in UNCOUNTED.items()},
        calls_not_replayed=len(answered.filter(NOT_REPLAYED)),
        no_call_in_flight=1 - busy_ns / horizon_ns if horizon_ns and ends_known else None,
        device_utilization=_mean([gpu.mean_utilization for gpu in power if gpu.device == "gpu"]),
        input_tokens=_sum(answered["input_tokens"]),
        output_tokens=_sum(answered["output_tokens"]),
        cached_tokens=_sum(answered["cached_tokens"]),
        tokens_by_source=_by_source(answered),
        tokens_by_class=_by_class(answered),
        prefix=prefix_reuse(trace),
        power=power,
        measured=measured,
        engines=engine_loads(trace),
        models=sorted(calls["model"].drop_nulls().unique().to_list()),
        prompts_on_server=int(answered["continues"].sum()),
        sessions=session_table(sessions, calls, tools, where),
    )


_CALL_COLUMNS = [
    "row_id", "session_id", "status", "api", "model", "start_ns", "end_ns", "first_token_ns", "input_tokens",
    "output_tokens", "cached_tokens", "prompt_bytes", "previous_response_id", "conversation_id",
    "usage_source", *(f"{name}_bytes" for name in CLASSES),
]  # fmt: skip


_FRAME = pl.col("frame").fill_null(False)
SESSION_S = ((pl.col("end_ns") - pl.col("start_ns")) / 1e9).alias("session_s")


def _frame(trace: Trace, kind: Kind, columns: list[str]) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(trace.rows(kind, columns)))


def _ended(sessions: pl.DataFrame, calls: pl.DataFrame, tools: pl.DataFrame) -> pl.DataFrame:
    """The sessions, an unknown end replaced by the last instant that their steps show."""
    columns = ["session_id", "start_ns", "end_ns"]
    last = (
        pl.concat([calls.select(columns), tools.select(columns)])
        .group_by(row_id="session_id")
        .agg(last_ns=pl.coalesce("end_ns", "start_ns").max())
    )
    joined = sessions.join(last, on="row_id", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("end_ns", "last_ns", "start_ns").alias("end_ns")).drop("last_ns")


def _known_whole(sessions: pl.DataFrame, calls: pl.DataFrame, tools: pl.DataFrame) -> pl.DataFrame:
    """The sessions, with `steps_ended`: false where nobody knows when one of its calls or tools ended."""
    columns = ["session_id", "end_ns"]
    steps = pl.concat([calls.select(columns), tools.filter(~_FRAME).select(columns)])
    ended = steps.group_by(row_id="session_id").agg(steps_ended=pl.col("end_ns").is_not_null().all())
    joined = sessions.join(ended, on="row_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("steps_ended").fill_null(True))


def _shares(calls: pl.DataFrame, tools: pl.DataFrame, sessions: pl.DataFrame) -> Shares:
    finished = tools.filter(pl.col("end_ns").is_not_null() & ~_FRAME)
    steps = pl.concat(
        [
            calls.select("session_id", "start_ns", "end_ns", is_tool=pl.lit(0, pl.Int64)),
            finished.select("session_id", "start_ns", "end_ns", is_tool=pl.lit(1, pl.Int64)),
        ]
    ).filter(pl.col("session_id").is_not_null())
    index = sessions.select(session_id="row_id").with_row_index("session")
    steps = steps.join(index, on="session_id", how="inner")
    return shares(
        steps["session"].to_numpy().astype(np.int64),
        steps["is_tool"].to_numpy(),
        steps["start_ns"].to_numpy(),
        steps["end_ns"].to_numpy(),
        sessions["start_ns"].to_numpy(),
        sessions["end_ns"].to_numpy(),
    )


def _distribution(values_s: pl.Series) -> Distribution | None:
    return Distribution.of(values_s.drop_nulls().to_numpy())


def _horizon_ns(sessions: pl.DataFrame) -> int:
    if sessions.is_empty():
        return 0
    first, last = sessions["start_ns"].to_numpy().min(), sessions["end_ns"].to_numpy().max()
    return int(last - first)


def _sum(values: pl.Series) -> int | None:
    return int(values.sum()) if values.count() else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _by_source(calls: pl.DataFrame) -> dict[str, SourceTokens]:
    sources = calls.with_columns(source=pl.col("usage_source").cast(pl.String).fill_null(UNSTATED))
    return {
        source: SourceTokens(len(rows), _sum(rows["input_tokens"]), _sum(rows["output_tokens"]))
        for (source,), rows in sorted(sources.partition_by("source", as_dict=True).items())
    }


def _by_class(calls: pl.DataFrame) -> dict[str, int] | None:
    """Input tokens by class, by each call's tokens per byte; output as generated. None without prompt bytes."""
    counted = calls.filter((pl.col("prompt_bytes") > 0) & pl.col("input_tokens").is_not_null())
    if counted.is_empty():
        return None
    scale = pl.col("input_tokens") / pl.col("prompt_bytes")
    sums: dict[str, Any] = counted.select(
        (pl.col(f"{name}_bytes") * scale).sum().alias(name) for name in CLASSES
    ).row(0, named=True)
    by_class = {name: round(value) for name, value in sums.items()}
    return by_class | {"output": int(counted["output_tokens"].sum())}
