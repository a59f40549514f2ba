"""Tokens of calls whose server counted none: by bytes, at the rate of the same model's counted calls.

Every count of this kind is marked (`usage_source` estimated), and how far such an estimate is off is measured on
the counted calls themselves, each estimated from the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from tracekit.assembly.call import Call
from tracekit.provenance import Estimate
from tracekit.schema import Status, UsageSource

SIDES = ("input", "output")
CALL_BYTES = len('{"name":"","arguments":}')
"""What most templates have a model write around a tool call's name and arguments."""
_ANSWERED = (Status.OK, Status.CANCELLED)


class _Counted(NamedTuple):
    """A call's bytes, and the tokens that the server counted for them."""

    size_bytes: int
    tokens: int


def estimate_tokens(calls: Sequence[Call]) -> list[Estimate]:
    """Gives calls without usage their `estimate`, where there is a basis; what was estimated, and how well."""
    bases: dict[tuple[str, str | None, str | None], list[_Counted]] = defaultdict(list)
    wanting: dict[tuple[str, str | None, str | None], list[tuple[Call, int]]] = defaultdict(list)
    for call in calls:
        for side in SIDES:
            size_bytes = _size(call, side) if call.status in _ANSWERED else None
            if not size_bytes:
                continue
            key = (side, model_of(call), call.last.request.get("api"))
            counted = call.server_usage.get(side)
            if isinstance(counted, int):
                bases[key].append(_Counted(size_bytes, counted))
            elif not call.server_usage:
                wanting[key].append((call, size_bytes))
    return [
        _estimate(key, bases[key], wanted) for key, wanted in wanting.items() if rate(bases[key]) is not None
    ]


def model_of(call: Call) -> str | None:
    """The model that was asked, else the one that answered."""
    model = call.last.request.get("model") or call.last.response.get("model")
    return model if isinstance(model, str) else None


def rate(basis: Iterable[_Counted]) -> float | None:
    """Tokens per byte, sums over sums; None without counted calls."""
    rows = list(basis)
    size_bytes, tokens = sum(row.size_bytes for row in rows), sum(row.tokens for row in rows)
    return tokens / size_bytes if size_bytes and tokens else None


def errors(basis: Sequence[_Counted]) -> list[float]:
    """Of each counted call, how far the others' rate is off, as a share of its own count."""
    size_bytes, tokens = sum(row.size_bytes for row in basis), sum(row.tokens for row in basis)
    found = []
    for row in basis:
        if row.tokens and size_bytes > row.size_bytes:
            others = (tokens - row.tokens) / (size_bytes - row.size_bytes)
            found.append(abs(others * row.size_bytes - row.tokens) / row.tokens)
    return found


def _estimate(
    key: tuple[str, str | None, str | None], basis: list[_Counted], wanting: list[tuple[Call, int]]
) -> Estimate:
    side, model, api = key
    tokens_per_byte = rate(basis) or 0.0
    for call, size_bytes in wanting:
        call.estimate[side] = max(1, round(tokens_per_byte * size_bytes))
    off = errors(basis)
    return Estimate(
        side, model, api, tokens_per_byte, len(basis), len(wanting), median(off) if off else None,
        max(off, default=None),
    )  # fmt: skip


def _size(call: Call, side: str) -> int | None:
    """Bytes that the tokens of this side were; None where bytes do not tell."""
    if side == "output":
        size = call.last.response.get("output_bytes")
        if isinstance(size, int):  # arguments are counted in it, what models write around them is not
            size += sum(CALL_BYTES + len((name or "").encode()) for _id, name in call.produced_tools)
    else:
        request = call.last.request
        if (
            request.get("media_count")
            or request.get("previous_response_id")
            or request.get("conversation_id")
        ):
            return None  # pictures have no bytes that tokens go by, and the server holds the rest of a prompt
        size = request.get("prompt_bytes")
    return size if isinstance(size, int) else None


def source_of(call: Call) -> str:
    """The call's `usage_source`."""
    if call.server_usage:
        return str(call.last.response.get("usage_source") or UsageSource.SERVER.value)
    return UsageSource.ESTIMATED.value if call.estimate else UsageSource.MISSING.value
