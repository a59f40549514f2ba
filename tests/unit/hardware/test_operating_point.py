"""Rows become operating points, or are skipped with the reason."""

import pytest

from tests.unit.hardware.made_rows import made_rows, write_rows
from tracekit.analyzers.hardware.operating_point import (
    DEFAULT_OUTPUT_TOKENS,
    DEFAULT_PROMPT_TOKENS,
    TASK_PROMPT_TOKENS,
    concurrent,
    points_of,
    read_points,
)
from tracekit.errors import RowsInvalid

ROW = made_rows(names=("Llama-3.1-8B",), batches=(8,), tps=(1,))[0]


def point_of(**changed):
    points, skipped = points_of([ROW | changed])
    assert not skipped
    return points[0]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"gpu": "H10"}, "Unknown GPU 'H10'. Did you mean H100"),
        ({"model": "Lama-3.1-8B"}, "Did you mean Llama-3.1-8B"),
        ({"model": ""}, "model is empty"),
        ({"precision": "fp7"}, "Unknown precision 'fp7'"),
        ({"batch": "0"}, "batch is 0: it has to be above 0"),
        ({"num_gpus": "1.5"}, "num_gpus is 1.5: it has to be a whole number"),
        ({"tp": "2"}, "tp is 2 on 1 GPU(s)"),
        ({"batch": "1e999"}, "it has to be above 0 and finite"),
        ({"batch": ""}, "batch is empty"),
        ({"itl_ms": "-3"}, "itl_ms is -3"),
        ({"itl_ms": "fast"}, "itl_ms is 'fast': it has to be a number"),
        ({"model": "Llama-3.1-405B"}, "does not fit 1 x H100"),
    ],
)
def test_a_row_that_cannot_be_judged_is_skipped_with_its_reason(changed, why):
    points, skipped = points_of([ROW, ROW | changed])
    assert [point.row for point in points] == [1]
    assert [row.row for row in skipped] == [2]
    assert why in skipped[0].why


def test_what_was_not_measured_is_none():
    point = point_of(itl_ms="", power_per_gpu_w="")
    assert point.itl_s is None
    assert point.power_w is None
    assert point.j_per_token is not None


def test_prompt_lengths_by_number_task_or_default():
    assert point_of(input_len="77").input_tokens == 77
    assert point_of(input_len="gpqa").input_tokens == TASK_PROMPT_TOKENS["gpqa"]
    assert point_of(input_len="something else").input_tokens == DEFAULT_PROMPT_TOKENS
    assert point_of(input_len="").input_tokens == DEFAULT_PROMPT_TOKENS
    assert point_of(output_len="").output_tokens == DEFAULT_OUTPUT_TOKENS


def test_engines_that_are_not_known_get_the_default_profile():
    assert point_of(engine="").replica.engine.name == "vllm-0.11"
    assert point_of(engine="something-9").replica.engine.name == "vllm-0.11"
    assert point_of(engine="vllm-0.6.6").replica.engine.name == "vllm-0.6"


def test_a_latency_that_was_computed_from_the_rate_is_a_mean():
    rate = float(ROW["output_tok_s"])
    assert point_of(itl_ms=repr(8e3 / rate)).itl_is_mean
    assert not point_of(itl_ms=repr(7.9e3 / rate)).itl_is_mean


def test_data_parallel_copies_share_the_batch():
    point = point_of(num_gpus="4", batch="32")
    assert (point.replica.tp, point.batch) == (1, 8)


def test_no_more_run_at_once_than_fit():
    point = point_of(batch="100000")
    assert 1 < concurrent(point) < 2000


def test_files_that_are_no_rows(tmp_path):
    path = write_rows(tmp_path / "rows.csv", [ROW])
    assert len(read_points(path).points) == 1
    path.write_text("gpu,model\nH100,Llama-3.1-8B\n")
    with pytest.raises(RowsInvalid, match="no column precision, num_gpus"):
        read_points(path)
    with pytest.raises(RowsInvalid, match="cannot be read"):
        read_points(tmp_path / "missing.csv")


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("vLLM 0.6.6.post1", "vllm-0.6"),
        ("vllm==0.7.3", "vllm-0.6"),
        ("vllm-v0.8.0", "vllm-0.11"),
        ("vLLM 0.22", "vllm-0.11"),
        ("vllm", "vllm-0.11"),
        ("TensorRT-LLM", "tensorrt-llm"),
        ("another", "vllm-0.11"),
    ],
)
def test_engines_are_taken_by_their_version(name: str, profile: str) -> None:
    assert point_of(engine=name).replica.engine.name == profile


@pytest.mark.parametrize("text", ["", " ", "nan", "NA", "None", "-"])
def test_what_was_not_measured_is_unknown(text: str) -> None:
    assert point_of(power_per_gpu_w=text).power_w is None
