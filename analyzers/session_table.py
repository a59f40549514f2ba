"""One row a session: how long it took, what it held, its latencies, its tokens by class."""

from __future__ import annotations

import polars as pl

from tracekit.analyzers.share import Shares
from tracekit.assembly.token_class import CLASSES

_ESTIMATED = pl.col("usage_source").cast(pl.String).eq_missing("estimated")
LATENCIES = {
    "ttft_s": (pl.col("first_token_ns") - pl.col("start_ns")) / 1e9,
    "tpot_s": pl.when((pl.col("output_tokens") >= 2) & ~_ESTIMATED).then(
        (pl.col("end_ns") - pl.col("first_token_ns")) / (pl.col("output_tokens") - 1) / 1e9
    ),
    "e2e_s": (pl.col("end_ns") - pl.col("start_ns")) / 1e9,
}
"""Of one call, in seconds; null where a time or count it needs is unknown, or estimated."""

_EMBEDS = pl.col("api").cast(pl.String).eq_missing("embeddings")
UNCOUNTED = {
    "input": pl.col("input_tokens").is_null(),
    "output": pl.col("output_tokens").is_null() & ~_EMBEDS,
}
"""Calls of whose tokens nobody has said how many there are, by side; an embedding has none to put out."""
NOT_REPLAYED = (pl.col("input_tokens").is_null() | pl.col("output_tokens").is_null()) & ~_EMBEDS
"""Calls that would be replayed if somebody had."""
ANSWERED = pl.col("status").is_in(["ok", "cancelled"])


def session_table(
    sessions: pl.DataFrame, calls: pl.DataFrame, tools: pl.DataFrame, where: Shares
) -> pl.DataFrame:
    """The table, in the order of `sessions`.

    Columns: session_id, name, start_ns, end_ns; calls, tools, estimated_calls, uncounted_input, uncounted_output (calls
    whose tokens are so); input_tokens, cached_tokens, output_tokens (null where no call says); ttft_s, tpot_s, e2e_s,
    each with _mean, _p50, _p95 (inverted_cdf); tokens of each class; llm_ns, tool_ns, overlap_ns, gap_ns (null unless
    `steps_ended`).
    """
    counts = calls.group_by("session_id").agg(calls=pl.len())
    answered = calls.filter(ANSWERED).with_columns(**LATENCIES).group_by("session_id").agg(_of_calls())
    per_tool = tools.group_by("session_id").agg(tools=pl.len())
    table = sessions.rename({"row_id": "session_id"})
    for part in (counts, answered, per_tool):
        table = table.join(part, on="session_id", how="left", maintain_order="left")
    return table.with_columns(
        pl.col("calls", "tools", "estimated_calls", "uncounted_input", "uncounted_output").fill_null(0),
        **{name: pl.when("steps_ended").then(pl.Series(values)) for name, values in where._asdict().items()},
    ).drop("steps_ended")


def _of_calls() -> list[pl.Expr]:
    tokens = [
        _known_sum(pl.col(name)).alias(name) for name in ("input_tokens", "cached_tokens", "output_tokens")
    ]
    scale = pl.col("input_tokens") / pl.col("prompt_bytes")
    classes = [_known_sum(pl.col(f"{name}_bytes") * scale).alias(f"{name}_tokens") for name in CLASSES]
    latencies = [
        expression.alias(f"{name}_{statistic}")
        for name in LATENCIES
        for statistic, expression in (
            ("mean", pl.col(name).mean()),
            ("p50", _percentile(name, 50)),
            ("p95", _percentile(name, 95)),
        )
    ]
    uncounted = [calls.sum().alias(f"uncounted_{side}") for side, calls in UNCOUNTED.items()]
    return [*tokens, _ESTIMATED.sum().alias("estimated_calls"), *uncounted, *classes, *latencies]


def _percentile(name: str, percent: int) -> pl.Expr:
    """The smallest value that at least so many percent do not exceed: numpy's inverted_cdf."""
    known = pl.col(name).drop_nulls().sort()
    rank = (known.len() * percent + 99) // 100
    return known.get(rank.cast(pl.Int64) - 1, null_on_oob=True)


def _known_sum(values: pl.Expr) -> pl.Expr:
    return pl.when(values.count() > 0).then(values.sum())
