"""Prefix reuse: what a cache that forgets nothing could have saved, beside what the server said it did.

Two prompts share a prefix as far as their chained hashes agree: exactly at message ends, in whole byte blocks
between them. An assistant message right after an earlier call's whole prompt is that call's own output, which an
engine has in its cache as well. Bytes become tokens by each call's own input_tokens / prompt_bytes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from tracekit.assembly.lineage import GENERATED_ROLES
from tracekit.schema import Kind
from tracekit.trace import Trace

_COLUMNS = (
    "start_ns", "row_id", "model", "server_host", "server_port", "input_tokens", "cached_tokens",
    "prompt_bytes", "prefix_tokens", "block_bytes", "block_hashes",
    "part_hashes", "part_end_bytes", "part_roles",
)  # fmt: skip


@dataclass(frozen=True)
class PrefixReuse:
    """Shares of all input tokens; None where unknown.

    `shareable` was in an earlier call's prompt or answer (no limit to the cache); `server_cached` is what the
    server reported; `reporting_calls` of `calls` carry such a report.
    """

    shareable: float | None
    server_cached: float | None
    calls: int
    reporting_calls: int


class _Boundary(NamedTuple):
    """A place in a prompt: the hash of all before it, and its byte."""

    digest: int
    end_bytes: int


def prefix_reuse(trace: Trace) -> PrefixReuse:
    """The reuse over the whole trace, calls taken in order of start."""
    rows = trace.rows(Kind.LLM_CALL, _COLUMNS).to_pylist()
    rows.sort(key=lambda row: (row["start_ns"], row["row_id"]))
    known = [row for row in rows if row["input_tokens"]]
    reports = [row for row in known if row["cached_tokens"] is not None]
    return PrefixReuse(
        shareable=_shareable(known),
        server_cached=_ratio(
            sum(row["cached_tokens"] for row in reports), sum(row["input_tokens"] for row in reports)
        ),
        calls=len(rows),
        reporting_calls=len(reports),
    )


def _shareable(rows: list[dict[str, Any]]) -> float | None:
    """By tokens where the source says how many are shared, else by hashes; None if no call has either."""
    told = [row for row in rows if row["prefix_tokens"] is not None]
    hashed = [
        row for row in rows if row["prefix_tokens"] is None and row["part_hashes"] and row["prompt_bytes"]
    ]
    shared_tokens = sum(row["prefix_tokens"] for row in told) + _hashed_tokens(hashed)
    return _ratio(shared_tokens, sum(row["input_tokens"] for row in (*told, *hashed)))


def _hashed_tokens(rows: list[dict[str, Any]]) -> float:
    caches: dict[object, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    shared_tokens = 0.0
    for row in rows:
        seen, whole_prompts = caches[row["model"], row["server_host"], row["server_port"]]
        parts = [_Boundary(*pair) for pair in zip(row["part_hashes"], row["part_end_bytes"], strict=True)]
        boundaries = [*parts, *_block_ends(row)]
        shared_bytes = max((place.end_bytes for place in boundaries if place.digest in seen), default=0)
        shared_bytes = max(shared_bytes, _answered_bytes(parts, row["part_roles"], whole_prompts))
        shared_tokens += shared_bytes / row["prompt_bytes"] * row["input_tokens"]
        seen.update(place.digest for place in boundaries)
        whole_prompts.add(parts[-1].digest)
    return shared_tokens


def _block_ends(row: dict[str, Any]) -> list[_Boundary]:
    return [
        _Boundary(digest, (index + 1) * row["block_bytes"])
        for index, digest in enumerate(row["block_hashes"] or ())
    ]


def _answered_bytes(parts: list[_Boundary], roles: list[str], whole_prompts: set[int]) -> int:
    """Up to the end of the last assistant message that follows an earlier call's whole prompt."""
    ends = [
        after.end_bytes
        for before, after, role in zip(parts, parts[1:], roles[1:], strict=False)
        if role in GENERATED_ROLES and before.digest in whole_prompts
    ]
    return max(ends, default=0)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
