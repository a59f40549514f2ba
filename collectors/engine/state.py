"""What a page of metrics says of the engine behind it, whatever engine and version wrote it.

Names are of vLLM 0.5 to 0.32, SGLang 0.4 to 0.5, llama.cpp's server and TGI 2 and 3. vLLM counted what it looked up in
its prefix cache in blocks at first (`gpu_prefix_cache_queries`; the help text says so), in tokens later. SGLang's
`num_retracted_reqs` is of its last step only, so preemptions are its `num_retracted_requests_total`. llama.cpp counts
prompts without the tokens that it found in its cache; they are added, and where it does not tell them a prompt's tokens
stay unknown. TGI tells tokens when requests end, and nothing of its KV memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tracekit.collectors.engine.exposition import Exposition, Series, read_exposition

_SAME_WORK = ("tp_rank", "pp_rank", "moe_ep_rank", "pid")
"""Labels of processes that tell of the same requests; their largest value counts, others add up."""
_MODEL_LABELS = ("model_name", "model", "model_id")
_RANK_LABELS = ("engine", "dp_rank")
_PREFIX_COLUMNS = ("prefix_query_tokens_total", "prefix_hit_tokens_total")


class _Engine(NamedTuple):
    """An engine's metrics by column, best first; counters are known with and without `_total`."""

    name: str
    prefix: str
    gauges: Mapping[str, tuple[str, ...]]
    counters: Mapping[str, tuple[str, ...]]


_ENGINES = (
    _Engine(
        "vllm",
        "vllm_",
        {
            "running_requests": ("vllm_num_requests_running",),
            "waiting_requests": ("vllm_num_requests_waiting",),
            "kv_fraction": ("vllm_kv_cache_usage_perc", "vllm_gpu_cache_usage_perc"),
        },
        {
            "prefix_query_tokens_total": ("vllm_prefix_cache_queries", "vllm_gpu_prefix_cache_queries"),
            "prefix_hit_tokens_total": ("vllm_prefix_cache_hits", "vllm_gpu_prefix_cache_hits"),
            "preemptions_total": ("vllm_num_preemptions",),
            "prompt_tokens_total": ("vllm_prompt_tokens",),
            "generation_tokens_total": ("vllm_generation_tokens",),
        },
    ),
    _Engine(
        "sglang",
        "sglang_",
        {
            "running_requests": ("sglang_num_running_reqs",),
            "waiting_requests": ("sglang_num_queue_reqs",),
            "kv_fraction": ("sglang_token_usage",),
        },
        {
            "prefix_query_tokens_total": ("sglang_prompt_tokens",),
            "prefix_hit_tokens_total": ("sglang_cached_tokens",),
            "preemptions_total": ("sglang_num_retracted_requests",),
            "prompt_tokens_total": ("sglang_prompt_tokens",),
            "generation_tokens_total": ("sglang_generation_tokens",),
        },
    ),
    _Engine(
        "llama.cpp",
        "llamacpp_",
        {
            "running_requests": ("llamacpp_requests_processing",),
            "waiting_requests": ("llamacpp_requests_deferred",),
            "kv_fraction": ("llamacpp_kv_cache_usage_ratio",),
        },
        {
            "prompt_tokens_total": ("llamacpp_prompt_tokens",),
            "prefix_hit_tokens_total": ("llamacpp_prompt_tokens_cached",),
            "generation_tokens_total": ("llamacpp_tokens_predicted",),
        },
    ),
    _Engine(
        "tgi",
        "tgi_",
        {
            "running_requests": ("tgi_batch_current_size",),
            "waiting_requests": ("tgi_queue_size",),
        },
        {
            "prompt_tokens_total": ("tgi_request_input_length_sum",),
            "generation_tokens_total": ("tgi_request_generated_tokens_sum",),
        },
    ),
)
_PREFIXES = tuple(engine.prefix for engine in _ENGINES)
Identity = tuple[str | None, int | None]
"""Model served, and which of the data-parallel engines behind the endpoint."""
State = dict[str, Any]


def engine_states(page: str) -> list[State]:
    """One state for each model and data-parallel engine: the keys of an `engine` record, unknown ones absent.

    Empty where no metric of a known engine is on the page.
    """
    exposition = read_exposition(page, _PREFIXES)
    states = []
    for engine in _ENGINES:
        groups: dict[Identity, list[Series]] = {}
        for series in exposition.series:
            if series.name.startswith(engine.prefix):
                groups.setdefault(_identity(series.labels), []).append(series)
        for (model, rank), group in groups.items():
            values = _values(engine, group, exposition)
            if values:
                states.append({"engine": engine.name, "model": model, "engine_rank": rank, **values})
    return states


def _identity(labels: Mapping[str, str]) -> Identity:
    model = next((labels[name] for name in _MODEL_LABELS if labels.get(name)), None)
    rank = next((labels[name] for name in _RANK_LABELS if labels.get(name, "").isdecimal()), None)
    return model, None if rank is None else int(rank)


def _values(engine: _Engine, group: list[Series], exposition: Exposition) -> dict[str, float | int]:
    by_name: dict[str, list[Series]] = {}
    for series in group:
        by_name.setdefault(series.name, []).append(series)
    values: dict[str, float | int] = {}
    for column, names in engine.gauges.items():
        found = _first(by_name, names)
        if found is not None:
            values[column] = _largest(found) if column == "kv_fraction" else round(_total(found))
    for column, names in engine.counters.items():
        found = _first(by_name, tuple(form for name in names for form in (name + "_total", name)))
        if found is not None:
            size = _unit_tokens(found[0].name, exposition) if column in _PREFIX_COLUMNS else 1.0
            if size is not None:
                values[column] = size * _total(found)
    return _with_cached(values) if engine.name == "llama.cpp" else values


def _first(by_name: Mapping[str, list[Series]], names: tuple[str, ...]) -> list[Series] | None:
    return next((by_name[name] for name in names if name in by_name), None)


def _total(found: list[Series]) -> float:
    """The sum, over what differs in more than the process that tells it."""
    largest: dict[tuple[tuple[str, str], ...], float] = {}
    for series in found:
        work = tuple(sorted(item for item in series.labels.items() if item[0] not in _SAME_WORK))
        largest[work] = max(largest.get(work, series.value), series.value)
    return sum(largest.values())


def _largest(found: list[Series]) -> float:
    return max(series.value for series in found)


def _unit_tokens(name: str, exposition: Exposition) -> float | None:
    """Tokens in what a prefix counter counts; None for blocks of unknown size."""
    if "block" not in exposition.help.get(name, ""):
        return 1.0
    sizes = [
        series.labels.get("block_size", "")
        for series in exposition.series
        if series.name == "vllm_cache_config_info"
    ]
    return next((float(size) for size in sizes if size.isdecimal()), None)


def _with_cached(values: dict[str, float | int]) -> dict[str, float | int]:
    computed, cached = values.pop("prompt_tokens_total", None), values.get("prefix_hit_tokens_total")
    if computed is not None and cached is not None:
        values["prompt_tokens_total"] = values["prefix_query_tokens_total"] = computed + cached
    return values
