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
    rows = trace.rows(Kind.LLM_CALL, _COLUMNS).to_pylist()
    rows.sort(key=lambda row: (row["start_ns"], row["row_id"]))
    known = [row for row in rows if row["input_tokens"]]
    reports = [row for row in known if row["cached_tokens"] is not None]
    shared = _shared_tokens(known)
    return PrefixReuse(
        shareable=_ratio(
            sum(shared.values()), sum(row["input_tokens"] for row in known if row["row_id"] in shared)
        ),
        server_cached=_ratio(
            sum(row["cached_tokens"] for row in reports), sum(row["input_tokens"] for row in reports)
        ),
        calls=len(rows),
        reporting_calls=len(reports),
        agreement=_agreement([row for row in reports if row["row_id"] in shared], shared),
    )


def _agreement(rows: list[dict[str, Any]], shared: dict[int, float]) -> PrefixAgreement | None:
    if not rows:
        return None
    agreeing = fewer = more = 0
    for row in rows:
        surplus = row["cached_tokens"] - shared[row["row_id"]]
        tolerance = max(_LEAST_TOLERANCE, _TOLERANCE * row["input_tokens"])
        agreeing += abs(surplus) <= tolerance
        fewer += surplus < -tolerance
        more += surplus > tolerance
    both = sum(min(row["cached_tokens"], shared[row["row_id"]]) for row in rows)
    return PrefixAgreement(
        len(rows), agreeing, fewer, more,
        explained=_ratio(both, sum(row["cached_tokens"] for row in rows)),
        found=_ratio(both, sum(shared[row["row_id"]] for row in rows)),
    )  # fmt: skip


def _shared_tokens(rows: list[dict[str, Any]]) -> dict[int, float]:
    """By row_id: by tokens where the source says how many are shared, else by hashes; not in it without either."""
    told = {row["row_id"]: float(row["prefix_tokens"]) for row in rows if row["prefix_tokens"] is not None}
    hashed = [
        row for row in rows if row["prefix_tokens"] is None and row["part_hashes"] and row["prompt_bytes"]
    ]
    return told | _hashed_tokens(hashed)


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
