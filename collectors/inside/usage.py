"""Token counts as servers word them, brought under five names; nothing is estimated."""

from __future__ import annotations

from .plain import counted, real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def usage_of(usage: dict[str, Any] | None) -> dict[str, int | None] | None:
    """The server's own counts; `input` holds the cached tokens too, whoever counts them apart."""
    if not usage:
        return None
    input_details = _object(usage, "prompt_tokens_details", "input_tokens_details")
    output_details = _object(usage, "completion_tokens_details", "output_tokens_details")
    counts = {
        "input": _count(usage, "prompt_tokens", "input_tokens"),
        "cached": _count(input_details, "cached_tokens"),
        "cache_write": _count(input_details, "cache_write_tokens", "cache_creation_tokens"),
        "output": _count(usage, "completion_tokens", "output_tokens"),
        "reasoning": _count(output_details, "reasoning_tokens"),
    }
    if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
        counts = _with_separate_cache(counts, usage)
    if counts["cached"] is None:
        counts["cached"] = _count(usage, "prompt_cache_hit_tokens", "cached_tokens")
    return None if all(count is None for count in counts.values()) else counts


def _with_separate_cache(counts: dict[str, int | None], usage: dict[str, Any]) -> dict[str, int | None]:
    """Anthropic counts what it reads from and writes to its cache beside `input_tokens`, not in it."""
    read = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    total = counts["input"]
    if total is not None and "prompt_tokens" not in usage:
        total = counted(total + (read or 0) + (written or 0))
    return dict(counts, input=total, cached=read, cache_write=written)


def engine_times(timings: dict[str, Any] | None) -> dict[str, float | None]:
    """What llama.cpp reports about its own work on the request."""
    timings = timings or {}
    return {
        "engine_prefill_ms": real(timings.get("prompt_ms")),
        "engine_decode_ms": real(timings.get("predicted_ms")),
        "engine_cached_tokens": counted(timings.get("cache_n")),
    }


def _count(counts: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = counted(counts.get(name))
        if value is not None:
            return value
    return None


def _object(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = usage.get(name)
        if isinstance(value, dict):
            return value
    return {}
