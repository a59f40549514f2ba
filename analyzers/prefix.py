"""Prefix reuse: what a cache that forgets nothing could have saved, beside what the server said it did.

Two prompts share a prefix as far as their chained hashes agree: exactly at message ends, in whole byte blocks
between them. An assistant message right after an earlier call's whole prompt is that call's own output, which an
engine has in its cache as well. Bytes become tokens by each call's own input_tokens / prompt_bytes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tracekit.assembly.lineage import GENERATED_ROLES
from tracekit.schema import Kind
from tracekit.trace import Trace

_COLUMNS = (
    "start_ns", "row_id", "model", "server_host", "server_port", "input_tokens", "cached_tokens",
    "prompt_bytes", "prefix_tokens", "block_bytes", "block_hashes",
    "part_hashes", "part_end_bytes", "part_roles",
)  # fmt: skip


_LEAST_TOLERANCE = 128
"""Tokens: the largest step in which a server is known to cache (OpenAI)."""
_TOLERANCE = 0.05
"""Of a prompt: bytes become tokens at one rate over the whole of it, which its parts do not keep to."""


@dataclass(frozen=True)
class PrefixAgreement:
    """How the shared prefixes that the trace's hashes show compare with the cached tokens that the server reported.

    Of `calls` with both, `agreeing` differ by no more than 128 tokens or 5 % of the prompt; in `fewer` the server
    had cached less (it evicts, has a least length, or forgot), in `more` it had cached more than any prompt or
    answer of this trace explains. `explained` is the share of its cached tokens that the hashes show to be shared,
    `found` the share of what they show that it had cached; None where there is nothing to have a share of.
    """

    calls: int
    agreeing: int
    fewer: int
    more: int
    explained: float | None
    found: float | None


@dataclass(frozen=True)
class PrefixReuse:
    """Shares of all input tokens; None where unknown.

    `shareable` was in an earlier call's prompt or answer (no limit to the cache); `server_cached` is what the
    server reported; `reporting_calls` of `calls` carry such a report; `agreement` sets the two side by side, None
    where no call has both.
    """

    shareable: float | None
    server_cached: float | None
    calls: int
    reporting_calls: int
    agreement: PrefixAgreement | None


class _Boundary(NamedTuple):
    """A place in a prompt: the hash of all before it, and its byte."""

    digest: int
    end_bytes: int


def prefix_reuse(trace: Trace) -> PrefixReuse:
    """The reuse over the whole trace, calls taken in order of start."""
    rows = pl.DataFrame(pl.from_arrow(trace.rows(Kind.LLM_CALL, _COLUMNS))).sort("start_ns", "row_id")
    known = rows.filter(pl.col("input_tokens") != 0)
    reports = known.drop_nulls("cached_tokens")
    shared = _shared_tokens(known)
    return PrefixReuse(
        shareable=_ratio(float(shared["shared_tokens"].sum()), float(shared["input_tokens"].sum())),
        server_cached=_ratio(float(reports["cached_tokens"].sum()), float(reports["input_tokens"].sum())),
        calls=len(rows),
        reporting_calls=len(reports),
        agreement=_agreement(shared.drop_nulls("cached_tokens")),
    )


def _agreement(rows: pl.DataFrame) -> PrefixAgreement | None:
    if rows.is_empty():
        return None
    cached, shared = rows["cached_tokens"].to_numpy(), rows["shared_tokens"].to_numpy()
    surplus = cached - shared
    tolerance = np.maximum(_LEAST_TOLERANCE, _TOLERANCE * rows["input_tokens"].to_numpy())
    both = float(np.minimum(cached, shared).sum())
    return PrefixAgreement(
        len(rows),
        agreeing=int(np.count_nonzero(np.abs(surplus) <= tolerance)),
        fewer=int(np.count_nonzero(surplus < -tolerance)),
        more=int(np.count_nonzero(surplus > tolerance)),
        explained=_ratio(both, float(cached.sum())),
        found=_ratio(both, float(shared.sum())),
    )


def _shared_tokens(rows: pl.DataFrame) -> pl.DataFrame:
    """`shared_tokens` of each call: as the source says how many are shared, else by hashes; no row without either."""
    hashed = rows.filter(
        pl.col("prefix_tokens").is_null()
        & (pl.col("part_hashes").list.len() > 0)
        & (pl.col("prompt_bytes") != 0)
    )
    found = _hashed_tokens(hashed.to_dicts())
    by_hashes = pl.DataFrame(
        {"row_id": list(found), "by_hashes": list(found.values())},
        schema={"row_id": rows.schema["row_id"], "by_hashes": pl.Float64},
    )
    return (
        rows.select("row_id", "input_tokens", "cached_tokens", "prefix_tokens")
        .join(by_hashes, on="row_id", how="left", maintain_order="left")
        .with_columns(shared_tokens=pl.coalesce(pl.col("prefix_tokens").cast(pl.Float64), "by_hashes"))
        .drop_nulls("shared_tokens")
    )


def _hashed_tokens(rows: list[dict[str, Any]]) -> dict[int, float]:
    caches: dict[object, tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
    shared_tokens = {}
    for row in rows:
        seen, whole_prompts = caches[row["model"], row["server_host"], row["server_port"]]
        parts = [_Boundary(*pair) for pair in zip(row["part_hashes"], row["part_end_bytes"], strict=True)]
        boundaries = [*parts, *_block_ends(row)]
        shared_bytes = max((place.end_bytes for place in boundaries if place.digest in seen), default=0)
        shared_bytes = max(shared_bytes, _answered_bytes(parts, row["part_roles"], whole_prompts))
        shared_tokens[row["row_id"]] = shared_bytes / row["prompt_bytes"] * row["input_tokens"]
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
