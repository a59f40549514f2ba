"""Measured operating points of serving engines: what ran, on what, and what a meter and a clock said."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.engine import Engine
from tracekit.analyzers.catalog.gpu import Gpu
from tracekit.analyzers.catalog.model import Model
from tracekit.analyzers.hardware.load import Load, Steps, load_of
from tracekit.analyzers.hardware.replica import Replica, capacity_tokens
from tracekit.errors import CatalogInvalid, RowsInvalid, UnknownName

COLUMNS = (
    "gpu",
    "model",
    "precision",
    "num_gpus",
    "tp",
    "batch",
    "input_len",
    "output_len",
    "itl_ms",
    "output_tok_s",
    "power_per_gpu_w",
    "j_per_output_token",
)
VLLM_VERSION = re.compile(r"vllm[-_ =]*v?(?P<major>\d+)\.(?P<minor>\d+)", re.IGNORECASE)
FIRST_V1 = (0, 8)
"""vLLM's version since which its V1 engine is the default."""
UNKNOWN = ("", "na", "n/a", "nan", "none", "null", "-")

PRECISIONS = {"bfloat16": "bf16", "float16": "bf16", "fp16": "bf16", "float8": "fp8", "half": "bf16"}

TASK_PROMPT_TOKENS = {
    "lm-arena-chat": 356,
    "gpqa": 259,
    "sourcegraph-fim": 1033,
    "image-chat": 1000,
    "video-chat": 3000,
}
"""Prompt lengths of ML.ENERGY's tasks, which it does not publish: the text ones are fitted with the step constants
(what mean steps take beyond median ones is prompts), images and video are assumed."""
DEFAULT_PROMPT_TOKENS = 512
DEFAULT_OUTPUT_TOKENS = 512
DERIVED_TOLERANCE = 1e-3
"""A latency this close to sequences / rate was computed from it, so it is a mean over all steps."""


@dataclass(frozen=True)
class OperatingPoint:
    """One row: `batch` sequences at once on `replica`; what was not measured is None.

    `output_tok_s` is of the replica. `itl_is_mean`: over all steps (where it equals batch / rate, it was computed from
    it); else a median, which steps without prompts set.
    """

    row: int
    replica: Replica
    num_gpus: int
    engine: str
    batch: float
    input_tokens: float
    output_tokens: float
    task: str | None  # where the row names a task instead of a prompt length
    itl_s: float | None
    output_tok_s: float | None
    power_w: float | None
    j_per_token: float | None
    itl_is_mean: bool = False

    @property
    def kind(self) -> str:
        return self.replica.model.kind

    @property
    def architecture(self) -> tuple[int, ...]:
        """The same for models that differ in their weights only."""
        model = self.replica.model
        return (model.layers, model.hidden_size, model.heads, model.kv_heads, model.experts, model.vocabulary)

    @property
    def series(self) -> tuple[str | int | float, ...]:
        """What points have in common that differ in batch only."""
        length = self.task or f"{self.input_tokens:g}"
        replica = self.replica
        return (replica.gpu.name, replica.model.name, replica.tp, self.num_gpus, self.engine, length)


@dataclass(frozen=True)
class SkippedRow:
    """A row that cannot be judged, and why."""

    row: int
    why: str


class OperatingPoints(NamedTuple):
    """Points, and rows that are none."""

    points: list[OperatingPoint]
    skipped: list[SkippedRow]


def read_points(path: Path) -> OperatingPoints:
    """The rows of a CSV with the columns COLUMNS and optionally `engine`.

    Raises RowsInvalid if the file cannot be read or lacks columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise RowsInvalid.lacks(path, missing)
            return points_of(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RowsInvalid.unreadable(path, str(error)) from error


def points_of(rows: Iterable[Mapping[str, str | None]]) -> OperatingPoints:
    """Points of rows; those with names or numbers that are not known are skipped with the reason."""
    points, skipped = [], []
    for number, row in enumerate(rows, start=1):
        try:
            points.append(_point(number, row))
        except (UnknownName, CatalogInvalid, ValueError) as error:
            skipped.append(SkippedRow(number, str(error)))
    return OperatingPoints(points, skipped)


def _point(number: int, row: Mapping[str, str | None]) -> OperatingPoint:
    model = catalog.model(_text(row, "model"))
    precision = (row.get("precision") or "").strip().lower()
    if precision:
        model = model.at(PRECISIONS.get(precision, precision))
    engine = (row.get("engine") or "").strip()
    num_gpus, tp = _whole(row, "num_gpus"), _whole(row, "tp")
    if tp > num_gpus:
        raise ValueError(f"tp is {tp} on {num_gpus} GPU(s)")
    replica = _replica(catalog.gpu(_text(row, "gpu")), model, _engine(engine), num_gpus, tp)
    copies = num_gpus / replica.tp
    input_tokens, task = _prompt(row)
    point = OperatingPoint(
        row=number,
        replica=replica,
        num_gpus=num_gpus,
        engine=engine,
        batch=_needed(row, "batch") / copies,
        input_tokens=input_tokens,
        output_tokens=_number(row, "output_len") or DEFAULT_OUTPUT_TOKENS,
        task=task,
        itl_s=_scaled(_number(row, "itl_ms"), 1e-3),
        output_tok_s=_scaled(_number(row, "output_tok_s"), 1 / copies),
        power_w=_number(row, "power_per_gpu_w"),
        j_per_token=_number(row, "j_per_output_token"),
        itl_is_mean=_is_derived(row),
    )
    if capacity_tokens(replica) <= 0:
        raise ValueError(f"{model.name} does not fit {num_gpus} x {replica.gpu.name}")
    return point


def _replica(gpu: Gpu, model: Model, engine: Engine, num_gpus: int, tp: int) -> Replica:
    """One copy: on all GPUs where experts are spread over them, or where fewer do not hold it (pipelines)."""
    small = Replica(gpu, model, engine, tp)
    if model.experts or num_gpus % tp or capacity_tokens(small) <= 0:
        return Replica(gpu, model, engine, num_gpus)
    return small


def _is_derived(row: Mapping[str, str | None]) -> bool:
    itl_ms, rate = _number(row, "itl_ms"), _number(row, "output_tok_s")
    if itl_ms is None or rate is None:
        return False
    return abs(itl_ms * 1e-3 * rate / _needed(row, "batch") - 1.0) < DERIVED_TOLERANCE


def _engine(name: str) -> Engine:
    """The engine's profile: of vLLM that which is nearest in version; the default where there is none."""
    version = VLLM_VERSION.match(name)
    if version is not None:
        is_old = (int(version["major"]), int(version["minor"])) < FIRST_V1
        return catalog.engine("vllm-0.6" if is_old else "vllm-0.11")
    try:
        return catalog.engine(name) if name else catalog.engine()
    except UnknownName:
        return catalog.engine()


def _text(row: Mapping[str, str | None], name: str) -> str:
    value = (row.get(name) or "").strip()
    if not value:
        raise ValueError(f"{name} is empty")
    return value


def _prompt(row: Mapping[str, str | None]) -> tuple[float, str | None]:
    """Prompt tokens, and the task where the row names one."""
    text = (row.get("input_len") or "").strip()
    try:
        return float(text), None
    except ValueError:
        return TASK_PROMPT_TOKENS.get(text, DEFAULT_PROMPT_TOKENS), text


def _number(row: Mapping[str, str | None], name: str) -> float | None:
    text = (row.get(name) or "").strip()
    if text.lower() in UNKNOWN:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError(f"{name} is '{text}': it has to be a number") from error
    if not np.isfinite(value) or value <= 0:
        raise ValueError(f"{name} is {text}: it has to be above 0 and finite")
    return value


def _needed(row: Mapping[str, str | None], name: str) -> float:
    value = _number(row, name)
    if value is None:
        raise ValueError(f"{name} is empty")
    return value


def _whole(row: Mapping[str, str | None], name: str) -> int:
    value = _needed(row, name)
    if value != int(value):
        raise ValueError(f"{name} is {value:g}: it has to be a whole number")
    return int(value)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def concurrent(point: OperatingPoint) -> float:
    """Sequences that run at once: no more than fit the KV memory; the others wait their turn."""
    context = point.input_tokens + 0.5 * point.output_tokens
    return min(point.batch, max(1.0, capacity_tokens(point.replica) / context))


def mean_steps(points: list[OperatingPoint], prompt_tokens: Mapping[str, float] | None = None) -> Steps:
    """A mean step of each point; `prompt_tokens` by task overrides what rows without a number are given."""
    given = prompt_tokens or {}
    prompts = np.array([given.get(point.task or "", point.input_tokens) for point in points])
    outputs = np.array([point.output_tokens for point in points])
    running = np.array([concurrent(point) for point in points])
    begun = running / outputs  # per step
    return Steps(running, prompts, prompts + outputs, begun * prompts, begun)


def load_of_points(points: list[OperatingPoint], prompt_tokens: Mapping[str, float] | None = None) -> Load:
    """What a mean step of each point asks of its replica: arrays (n,)."""
    return load_of([point.replica for point in points], mean_steps(points, prompt_tokens))
