"""Token counts as servers word them, brought under five names; nothing is estimated."""

from __future__ import annotations

from .plain import counted, digits, real

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_INPUT = ("prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount", "prompt_eval_count")
_OUTPUT = ("completion_tokens", "output_tokens", "outputTokens", "candidatesTokenCount", "eval_count")
_LARGEST = 2**63 - 1
_TOTAL = ("total_tokens", "totalTokenCount")
_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "num_cached_tokens", "cachedContentTokenCount")
_CACHE_WRITE = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
_REASONING = ("reasoning_tokens", "thinking_tokens", "thoughtsTokenCount")
# Anthropic's, Bedrock's and LiteLLM's names of what was read from and written to a cache
_READ_APART = ("cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITTEN_APART = ("cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount")
_INPUT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details")
_DETAILED = frozenset((*_INPUT_DETAILS, *_OUTPUT_DETAILS, *_CACHED, *_REASONING))
_APART = frozenset((*_READ_APART, *_WRITTEN_APART, "cache_creation"))


def usage_of(usage: dict[str, Any] | None) -> dict[str, int | None] | None:
    """The server's own counts; `input` holds the cached tokens too, whoever counts them apart.

    `output` holds the reasoning, also of servers that count it in the total alone. None if nothing is said, or
    nothing but zeros.
    """
    if not usage:
        return None
    counts: dict[str, int | None] = {
        "input": _count(usage, _INPUT),
        "cached": None,
        "cache_write": None,
        "output": _count(usage, _OUTPUT),
        "reasoning": None,
    }
    is_detailed = not _DETAILED.isdisjoint(usage)
    if is_detailed:
        input_details = _object(usage, _INPUT_DETAILS)
        counts["cached"] = _count(input_details, _CACHED)
        counts["cache_write"] = _count(input_details, _CACHE_WRITE)
        counts["reasoning"] = _count(_object(usage, _OUTPUT_DETAILS), _REASONING)
        if counts["reasoning"] is None:
            counts["reasoning"] = _count(usage, _REASONING)
    if not _APART.isdisjoint(usage):
        counts = _with_separate_cache(counts, usage)
    if is_detailed and counts["cached"] is None:
        counts["cached"] = _count(usage, _CACHED)
    given, output, total = counts["input"], counts["output"], _count(usage, _TOTAL)
    if total is not None and given is not None and output is not None and total > given + output:
        counts = _with_uncounted_reasoning(counts, output, total - given - output)
    return counts if any(counts.values()) else None


def _with_separate_cache(counts: dict[str, int | None], usage: dict[str, Any]) -> dict[str, int | None]:
    """Anthropic counts what it reads from and writes to its cache beside `input_tokens`, not in it."""
    read = _count(usage, _READ_APART)
    written = _count(usage, _WRITTEN_APART)
    if written is None:  # told by how long it is kept
        creation = _object(usage, ("cache_creation",))
        kept = [_count(creation, (name,)) for name in creation]
        known = [count for count in kept if count is not None]
        written = counted(sum(known)) if known else None
    total = counts["input"]
    if total is not None and not any(name in usage for name in ("prompt_tokens", "promptTokenCount")):
        total = counted(total + (read or 0) + (written or 0))
    return dict(
        counts,
        input=total,
        cached=counts["cached"] if read is None else read,
        cache_write=counts["cache_write"] if written is None else written,
    )


def _with_uncounted_reasoning(
    counts: dict[str, int | None], output: int, uncounted: int
) -> dict[str, int | None]:
    """Of xAI and Gemini, who leave reasoning out of the output and count it in the total."""
    if counts["reasoning"] not in (None, uncounted):
        return counts
    return dict(counts, output=counted(output + uncounted), reasoning=uncounted)


def timed_usage(timings: dict[str, Any] | None) -> dict[str, int | None] | None:
    """What llama.cpp counted, from the timings that it sends with every answer; None without its cache's part."""
    timings = timings or {}
    cached, computed = counted(timings.get("cache_n")), counted(timings.get("prompt_n"))
    output = counted(timings.get("predicted_n"))
    if cached is None or computed is None or output is None:
        return None
    counts: dict[str, int | None] = {
        "input": counted(cached + computed),
        "cached": cached,
        "cache_write": None,
        "output": output,
        "reasoning": None,
    }
    return counts


def engine_times(timings: dict[str, Any] | None) -> dict[str, float | None]:
    """What llama.cpp reports about its own work on the request."""
    timings = timings or {}
    return {
        "engine_prefill_ms": real(timings.get("prompt_ms")),
        "engine_decode_ms": real(timings.get("predicted_ms")),
        "engine_cached_tokens": counted(timings.get("cache_n")),
    }


def _count(counts: dict[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        given = counts.get(name)
        if given is None:
            continue
        if type(given) is int and 0 <= given <= _LARGEST:
            return given
        value = digits(given, 64) if isinstance(given, str) else counted(given)
        if value is not None:
            return value
    return None


def _object(usage: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    for name in names:
        value = usage.get(name)
        if isinstance(value, dict):
            return value
    return {}
