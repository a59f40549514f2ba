"""Every server's wording of token counts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.collectors.inside.identity import Hashing
from tracekit.collectors.inside.response import Reading
from tracekit.collectors.inside.usage import timed_usage, usage_of

NAMES = ("input", "cached", "cache_write", "output", "reasoning")
# who words it so, the usage, and (input, cached, cache_write, output, reasoning)
WORDINGS: dict[str, tuple[dict[str, Any], tuple[int | None, ...]]] = {
    "openai chat": (
        {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133,
         "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 7, "accepted_prediction_tokens": 0}},
        (111, 64, None, 22, 7),
    ),
    "openai responses": (
        {"input_tokens": 111, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 22,
         "output_tokens_details": {"reasoning_tokens": 7}, "total_tokens": 133},
        (111, 64, None, 22, 7),
    ),
    "openai embeddings": ({"prompt_tokens": 5, "total_tokens": 5}, (5, None, None, None, None)),
    "anthropic": (
        {"input_tokens": 40, "cache_creation_input_tokens": 11, "cache_read_input_tokens": 60, "output_tokens": 22,
         "cache_creation": {"ephemeral_5m_input_tokens": 11, "ephemeral_1h_input_tokens": 0}},
        (111, 60, 11, 22, None),
    ),
    "anthropic by how long it is kept": (
        {"input_tokens": 40, "output_tokens": 22, "cache_read_input_tokens": 60,
         "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 6}},
        (111, 60, 11, 22, None),
    ),
    "deepseek": (
        {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133, "prompt_cache_hit_tokens": 64,
         "prompt_cache_miss_tokens": 47, "completion_tokens_details": {"reasoning_tokens": 7}},
        (111, 64, None, 22, 7),
    ),
    "mistral": (
        {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133, "prompt_tokens_details": None,
         "num_cached_tokens": 64},
        (111, 64, None, 22, None),
    ),
    "gemini by openai's names": (
        {"prompt_tokens": 111, "completion_tokens": 15, "total_tokens": 133}, (111, None, None, 22, 7),
    ),
    "xai": (
        {"prompt_tokens": 111, "completion_tokens": 15, "total_tokens": 133,
         "prompt_tokens_details": {"cached_tokens": 64, "text_tokens": 111},
         "completion_tokens_details": {"reasoning_tokens": 7}},
        (111, 64, None, 22, 7),
    ),
    "vllm": (
        {"prompt_tokens": 111, "total_tokens": 133, "completion_tokens": 22, "prompt_tokens_details": None},
        (111, None, None, 22, None),
    ),
    "sglang": (
        {"prompt_tokens": 111, "total_tokens": 133, "completion_tokens": 22, "reasoning_tokens": 7,
         "prompt_tokens_details": {"cached_tokens": 64}},
        (111, 64, None, 22, 7),
    ),
    "openrouter": (
        {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133, "cost": 0.001, "is_byok": False,
         "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 11, "audio_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 7}},
        (111, 64, 11, 22, 7),
    ),
    "litellm": (
        {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133, "cache_creation_input_tokens": 11,
         "cache_read_input_tokens": 60, "prompt_tokens_details": {"cached_tokens": 60}},
        (111, 60, 11, 22, None),
    ),
    "bedrock converse": (
        {"inputTokens": 40, "outputTokens": 22, "totalTokens": 133, "cacheReadInputTokens": 60,
         "cacheWriteInputTokens": 11},
        (111, 60, 11, 22, None),
    ),
    "moonshot": (
        {"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133, "cached_tokens": 64},
        (111, 64, None, 22, None),
    ),
    "gemini's own names": (
        {"promptTokenCount": 111, "candidatesTokenCount": 15, "thoughtsTokenCount": 7, "totalTokenCount": 133,
         "cachedContentTokenCount": 64},
        (111, 64, None, 22, 7),
    ),
    "ollama": ({"prompt_eval_count": 111, "eval_count": 22}, (111, None, None, 22, None)),
    "floats and strings": (
        {"prompt_tokens": 111.0, "completion_tokens": "22", "prompt_tokens_details": {"cached_tokens": "64"}},
        (111, 64, None, 22, None),
    ),
    "no numbers": (
        {"prompt_tokens": -1, "completion_tokens": 22, "prompt_tokens_details": {"cached_tokens": None},
         "completion_tokens_details": {"reasoning_tokens": 1.5}, "cached_tokens": True, "total_tokens": "many"},
        (None, None, None, 22, None),
    ),
    "no objects": (
        {"prompt_tokens": 111, "prompt_tokens_details": [], "completion_tokens_details": "x", "cache_creation": 3},
        (111, None, None, None, None),
    ),
    "too large": ({"prompt_tokens": 1 << 80, "completion_tokens": 22}, (None, None, None, 22, None)),
}  # fmt: skip


@pytest.mark.parametrize("who", WORDINGS)
def test_wordings(who: str) -> None:
    usage, counts = WORDINGS[who]
    assert usage_of(usage) == dict(zip(NAMES, counts, strict=True))


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"x": 1},
        {"prompt_tokens": None},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    ],
)
def test_usage_that_says_nothing(usage: Any) -> None:
    assert usage_of(usage) is None


@given(
    st.dictionaries(
        st.sampled_from(sorted({key for usage, _ in WORDINGS.values() for key in usage})),
        st.none()
        | st.integers()
        | st.floats()
        | st.text()
        | st.booleans()
        | st.dictionaries(st.text(), st.integers()),
    )
)
def test_no_usage_makes_reading_fail(usage: dict[str, Any]) -> None:
    counts = usage_of(usage)
    assert counts is None or all(count is None or 0 <= count < 1 << 63 for count in counts.values())


def test_llama_cpp_counts_in_its_timings() -> None:
    timings = {"cache_n": 64, "prompt_n": 47, "predicted_n": 22, "prompt_ms": 1.0}
    assert timed_usage(timings) == dict(zip(NAMES, (111, 64, None, 22, None), strict=True))
    assert (
        timed_usage({"prompt_n": 47, "predicted_n": 22}) is None
    )  # an older one does not count what it had cached


def read(api: str, *stream: dict[str, Any]) -> Any:
    chunks = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in stream]
    reading = Reading(api, chunks, [1] * len(chunks), "", "text/event-stream")
    return json.loads(reading.text(Hashing(b"k")))["usage"]


USAGE = WORDINGS["openai chat"][0]
COUNTS = dict(zip(NAMES, WORDINGS["openai chat"][1], strict=True))


@pytest.mark.parametrize(
    "events",
    [
        [{"choices": [], "usage": USAGE}],
        [{"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE}, {"choices": [], "usage": {}}],
        [
            {"choices": [{"delta": {}}], "usage": None},
            {"choices": [], "usage": USAGE},
            {"choices": [], "usage": None},
        ],
        [{"choices": [{"delta": {}, "finish_reason": "stop"}], "x_groq": {"id": "r", "usage": USAGE}}],
        [{"choices": [{"delta": {}, "finish_reason": "stop", "usage": USAGE}]}],
    ],
)
def test_where_streams_have_it(events: list[dict[str, Any]]) -> None:
    assert read("chat", *events) == COUNTS


def test_anthropic_counts_at_both_ends_of_a_stream() -> None:
    start = {
        "input_tokens": 40,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 11,
        "output_tokens": 1,
    }
    events = [
        {"type": "message_start", "message": {"usage": start}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 22, "cache_read_input_tokens": None}},
    ]  # fmt: skip
    assert read("messages", *events) == dict(zip(NAMES, (111, 60, 11, 22, None), strict=True))
