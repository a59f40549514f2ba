"""The published measurements that the shipped constants are fitted to, as operating points.

ML.ENERGY v3 (arXiv 2505.06371, 2601.22076; H100, vLLM 0.11.1), ML.ENERGY v2 (2024; A100 and H100, vLLM 0.5) and
LLM-Inference-Bench (arXiv 2411.00136; A100 and H100). The files are not part of the project.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tracekit.analyzers.hardware.operating_point import OperatingPoint, points_of
from tracekit.errors import RowsInvalid

TEXT_TASKS = ("lm-arena-chat", "gpqa", "sourcegraph-fim")
VISION_TASKS = ("image-chat", "video-chat")
V2_PROMPT_TOKENS = "150"  # assumed; the rows do not say


class FitRows(NamedTuple):
    """Points by source."""

    v3: list[OperatingPoint]  # text tasks
    v2: list[OperatingPoint]  # text models
    bench: list[OperatingPoint]  # LLM-Inference-Bench, all engines
    vision: list[OperatingPoint]  # v3's other tasks, whose prompts' lengths are assumed: in no fit


def read_fit_rows(folder: Path) -> FitRows:
    """The rows in `folder`. Raises RowsInvalid where it has none."""
    try:
        return _read(folder)
    except (OSError, KeyError, ValueError) as error:
        raise RowsInvalid.no_fit_rows(folder, f"{type(error).__name__}: {error}") from error


def _read(folder: Path) -> FitRows:
    return FitRows(
        _medians(_v3(folder / "mlenergy_v3_h100.csv", TEXT_TASKS)),
        [replace(point, itl_is_mean=True) for point in points_of(_v2(folder / "mlenergy_v2_llm.csv")).points],
        [
            replace(point, itl_is_mean=True)
            for point in points_of(_bench(folder / "llm_inference_bench_power.csv")).points
        ],
        _medians(_v3(folder / "mlenergy_v3_h100.csv", VISION_TASKS)),
    )


def fit_folder() -> Path:
    """Where the rows are looked for: $TRACEKIT_SHARED/data/fit, else shared/data/fit beside the project."""
    shared = os.environ.get("TRACEKIT_SHARED")
    return (Path(shared) if shared else Path(__file__).resolve().parents[3] / "shared") / "data" / "fit"


def _medians(rows: Iterator[Mapping[str, str | None]]) -> list[OperatingPoint]:
    return [replace(point, itl_is_mean=False) for point in points_of(rows).points]


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _v3(path: Path, tasks: tuple[str, ...]) -> Iterator[dict[str, str | None]]:
    for row in _rows(path):
        if row["task"] in tasks:
            yield {
                "gpu": "H100-SXM-80GB",
                "model": row["model_id"],
                "precision": row["weight_precision"],
                "num_gpus": row["num_gpus"],
                "tp": row["tensor_parallel"],
                "batch": row["avg_batch_size"],
                "input_len": row["task"],
                "output_len": row["avg_output_len"],
                "itl_ms": row["median_itl_ms"],
                "output_tok_s": row["output_throughput_tokens_per_sec"],
                "power_per_gpu_w": row["power_per_gpu_w"],
                "j_per_output_token": row["energy_per_token_joules"],
                "engine": "vllm-0.11",
            }


def _v2(path: Path) -> Iterator[dict[str, str | None]]:
    for row in _rows(path):
        if row["task"].startswith("llm_"):
            yield {
                "gpu": row["gpu"],
                "model": row["model"],
                "precision": None,
                "num_gpus": str(int(row["tp"]) * int(row["pp"])),
                "tp": row["tp"],
                "batch": row["avg_batch"],
                "input_len": V2_PROMPT_TOKENS,
                "output_len": row["avg_output_tokens"],
                "itl_ms": str(1e3 * float(row["avg_tpot_s"])),
                "output_tok_s": row["output_tok_s"],
                "power_per_gpu_w": row["power_per_gpu_w_derived"],
                "j_per_output_token": row["j_per_output_token_derived"],
                "engine": "vllm-2024",
            }


def _bench(path: Path) -> Iterator[dict[str, str | None]]:
    for row in _rows(path):
        seconds, tokens = float(row["latency_s"]), float(row["batch_size"]) * float(row["output_len"])
        yield {
            "gpu": "A100-SXM-40GB" if "A100" in row["hardware"] else "H100-SXM-80GB",
            "model": row["model"],
            "precision": None,
            "num_gpus": row["num_gpus"],
            "tp": row["num_gpus"],
            "batch": row["batch_size"],
            "input_len": row["input_len"],
            "output_len": row["output_len"],
            "itl_ms": str(1e3 * seconds / float(row["output_len"])),
            "output_tok_s": str(tokens / seconds),
            "power_per_gpu_w": row["avg_power_w"],
            "j_per_output_token": str(float(row["avg_power_w"]) * seconds / tokens),
            "engine": row["framework"].lower(),
        }
