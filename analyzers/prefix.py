"""Prefix reuse: what a cache that forgets nothing could have saved, beside what the server said it did.

Two prompts share a prefix as far as their chained hashes agree: exactly at message ends, in whole byte
blocks between them. Bytes become tokens by each call's own input_tokens / prompt_bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.schema import Kind
from tracekit.trace import Trace


@dataclass(frozen=True)
class PrefixReuse:
    """Shares of all input tokens; None where unknown.

    `shareable` was in an earlier call's prompt (upper bound, no cache limit); `server_cached` is what the
    server reported; `reporting_calls` of `calls` carry such a report.
    """

    shareable: float | None
    server_cached: float | None
    calls: int
    reporting_calls: int


def prefix_reuse(trace: Trace) -> PrefixReuse:
    """The reuse over the whole trace, calls taken in order of start."""
    columns = [
        "start_ns", "row_id", "input_tokens", "cached_tokens", "prompt_bytes",
        "block_bytes", "block_hashes", "part_hashes", "part_end_bytes",
    ]  # fmt: skip
    rows = trace.rows(Kind.LLM_CALL, columns).to_pylist()
    rows.sort(key=lambda row: (row["start_ns"], row["row_id"]))
    known = [row for row in rows if row["input_tokens"]]
    reports = [row for row in known if row["cached_tokens"] is not None]
    return PrefixReuse(
        shareable=_shareable(known),
        server_cached=_ratio(sum(row["cached_tokens"] for row in reports), sum(row["input_tokens"] for row in reports)),
        calls=len(rows),
        reporting_calls=len(reports),
    )


def _shareable(rows: list[dict[str, object]]) -> float | None:
    hashed = [row for row in rows if row["part_hashes"] and row["prompt_bytes"]]
    seen: set[int] = set()
    shared_tokens = 0.0
    for row in hashed:
        ends = _boundaries(row)
        shared_bytes = max((end for value, end in ends if value in seen), default=0)
        shared_tokens += shared_bytes / row["prompt_bytes"] * row["input_tokens"]  # type: ignore[operator]
        seen.update(value for value, _end in ends)
    return _ratio(shared_tokens, sum(row["input_tokens"] for row in hashed))  # type: ignore[misc]


def _boundaries(row: dict[str, object]) -> list[tuple[int, int]]:
    """(hash of the prompt up to there, byte) for message ends and whole blocks."""
    block_bytes: int = row["block_bytes"] or 0  # type: ignore[assignment]
    blocks: list[int] = row["block_hashes"] or []  # type: ignore[assignment]
    parts = list(zip(row["part_hashes"], row["part_end_bytes"], strict=True))  # type: ignore[call-overload]
    return parts + [(value, (index + 1) * block_bytes) for index, value in enumerate(blocks)]


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
