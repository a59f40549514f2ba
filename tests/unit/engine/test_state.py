"""Pages of metrics, told as the same columns whatever engine and version wrote them."""

import pytest

from tests.unit.engine import pages
from tracekit.collectors.engine.exposition import read_exposition
from tracekit.collectors.engine.state import engine_states
from tracekit.schema import Kind, columns_of

LLAMA = {"engine": "vllm", "model": "meta-llama/Llama-3.1-8B-Instruct", "engine_rank": 0}


@pytest.mark.parametrize(
    ("page", "states"),
    [
        (
            pages.VLLM_V1,
            [
                LLAMA
                | {
                    "running_requests": 3, "waiting_requests": 2, "kv_fraction": 0.125,
                    "prefix_query_tokens_total": 5531, "prefix_hit_tokens_total": 2944, "preemptions_total": 1,
                    "prompt_tokens_total": 5531, "generation_tokens_total": 812,
                }
            ],
        ),
        (
            pages.VLLM_V1.replace("_queries_total{", "_queries{").replace("preemptions_total", "preemptions"),
            [
                LLAMA
                | {
                    "running_requests": 3, "waiting_requests": 2, "kv_fraction": 0.125,
                    "prefix_query_tokens_total": 5531, "prefix_hit_tokens_total": 2944, "preemptions_total": 1,
                    "prompt_tokens_total": 5531, "generation_tokens_total": 812,
                }
            ],
        ),
        (
            pages.VLLM_0_8,
            [
                {
                    "engine": "vllm", "model": "m", "engine_rank": None, "running_requests": 1,
                    "waiting_requests": 0, "kv_fraction": 0.5, "preemptions_total": 0,
                    "prefix_query_tokens_total": 1600, "prefix_hit_tokens_total": 640,
                }
            ],
        ),
        (
            pages.VLLM_V0,
            [
                {
                    "engine": "vllm", "model": "m", "engine_rank": None, "running_requests": 2,
                    "waiting_requests": 0, "kv_fraction": 0.25, "preemptions_total": 4,
                    "prompt_tokens_total": 10, "generation_tokens_total": 20,
                }
            ],
        ),
        (
            pages.VLLM_TWO_ENGINES,
            [
                {"engine": "vllm", "model": "m", "engine_rank": 0, "running_requests": 1, "kv_fraction": 0.1},
                {"engine": "vllm", "model": "m", "engine_rank": 1, "running_requests": 4, "kv_fraction": 0.3},
            ],
        ),
        (pages.RAY_VLLM, [{"engine": "vllm", "model": "m", "engine_rank": 0, "running_requests": 3}]),
        (
            pages.SGLANG,
            [
                {
                    "engine": "sglang", "model": "qwen", "engine_rank": None, "running_requests": 3,
                    "waiting_requests": 1, "kv_fraction": 0.28, "prefix_query_tokens_total": 4096,
                    "prefix_hit_tokens_total": 3168, "preemptions_total": 48, "prompt_tokens_total": 4096,
                    "generation_tokens_total": 700,
                }
            ],
        ),
        (
            pages.LLAMA_CPP,
            [
                {
                    "engine": "llama.cpp", "model": None, "engine_rank": None, "running_requests": 2,
                    "waiting_requests": 1, "prefix_hit_tokens_total": 180, "generation_tokens_total": 16,
                    "prompt_tokens_total": 362, "prefix_query_tokens_total": 362,
                }
            ],
        ),
        (
            pages.LLAMA_CPP_2024,
            [
                {
                    "engine": "llama.cpp", "model": None, "engine_rank": None, "running_requests": 2,
                    "waiting_requests": 1, "kv_fraction": 0.63, "generation_tokens_total": 5000,
                }
            ],
        ),
        (
            pages.TGI,
            [
                {
                    "engine": "tgi", "model": None, "engine_rank": None, "running_requests": 4,
                    "waiting_requests": 7, "prompt_tokens_total": 12000, "generation_tokens_total": 8123,
                }
            ],
        ),
    ],
    ids=["vllm", "vllm-no-total", "vllm-0.8", "vllm-v0", "vllm-dp", "ray", "sglang", "llama.cpp", "llama-2024", "tgi"],
)  # fmt: skip
def test_engines_and_versions(page, states):
    assert engine_states(page) == states
    columns = {column.name for column in columns_of(Kind.ENGINE_SAMPLE)}
    assert {name for state in states for name in state} <= columns


def test_several_models_are_several_states():
    page = pages.VLLM_V0 + pages.VLLM_V0.replace('"m"', '"other"') + pages.TGI
    assert [(state["engine"], state["model"]) for state in engine_states(page)] == [
        ("vllm", "m"), ("vllm", "other"), ("tgi", None),
    ]  # fmt: skip


def test_blocks_of_unknown_size_are_unknown():
    page = "\n".join(line for line in pages.VLLM_0_8.splitlines() if "cache_config" not in line)
    [state] = engine_states(page)
    assert "prefix_query_tokens_total" not in state
    assert state["preemptions_total"] == 0


@pytest.mark.parametrize(
    "page",
    [
        "", "<html>vllm:num_requests_running</html>", "vllm:num_requests_running", "\x00\xff" * 100,
        'vllm:num_requests_running{model_name="m"} many', "vllm:num_requests_running NaN",
        'vllm:num_requests_running{model_name="m} 1', '{"vllm:num_requests_running": 1}',
        "go_goroutines 12\nprocess_cpu_seconds_total 3", 'vllm:num_requests_running{model_name="m"} +Inf',
    ],
)  # fmt: skip
def test_pages_without_metrics_of_an_engine(page):
    assert engine_states(page) == []


def test_labels_may_hold_anything():
    line = (
        r'vllm:num_requests_running{model_name="a}b\"c\\d,e=\"f\"",engine="0"} 2 1395066363000 # {id="x"} 1'
    )
    [state] = engine_states(line)
    assert state == {
        "engine": "vllm", "model": r'a}b"c\d,e="f"', "engine_rank": 0, "running_requests": 2,
    }  # fmt: skip


def test_only_what_is_asked_for_is_kept():
    found = read_exposition(pages.VLLM_V1, ("vllm_",))
    names = {series.name for series in found.series}
    assert "python_gc_objects_collected_total" not in names
    assert "vllm_time_to_first_token_seconds_bucket" not in names
    assert "vllm_num_requests_running" in names
