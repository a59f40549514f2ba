"""A point of the grid, and what was measured there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self

from tracekit.measuring.shape import ModelShape


class Point(NamedTuple):
    """What one repetition runs.

    phase : decode (`batch` sequences, one token each, at `context`), prefill (a chunk of `chunk` tokens after
        `context` others), or head (embedding, last norm and output matrix for `batch` tokens).
    kind : of block; empty for the head.
    """

    phase: str
    kind: str
    batch: int
    context: int
    chunk: int

    @property
    def tokens(self) -> int:
        """That pass through a block."""
        return self.chunk if self.phase == "prefill" else self.batch

    @property
    def words(self) -> str:
        """For a progress bar."""
        if self.phase == "prefill":
            return f"prefill {self.chunk} after {self.context}"
        return f"{self.phase} {self.batch}" + (f" at {self.context}" if self.phase == "decode" else "")


class Work(NamedTuple):
    """Of one repetition of one block, or of the head."""

    flops: float
    moved_bytes: float
    held_bytes: float  # beside the weights


def work_of(point: Point, shape: ModelShape) -> Work:
    """What the point asks of one device."""
    value = shape.value_bytes
    used: float = shape.token_parameters
    if point.phase == "head":
        matrix = shape.vocabulary * shape.hidden
        logits = point.batch * shape.vocabulary * (1 if shape.tp == 1 else 1 + shape.tp)
        return Work(2.0 * point.batch * matrix, value * matrix, value * logits)
    kind, tokens = shape.kind(point.kind), point.tokens
    context = min(point.context, kind.window) if kind.window else point.context
    seen = context + 0.5 * point.chunk
    read = shape.block_bytes(kind)
    if kind.has_experts:
        here = len(shape.own_experts)
        used += shape.experts_per_token * shape.expert_parameters * here / shape.experts
        untouched = (1.0 - shape.experts_per_token / shape.experts) ** tokens
        read -= int(value * untouched * here * shape.expert_parameters)
    sequences = point.batch if point.phase == "decode" else 1
    kept = sequences * (context + point.chunk + 1) * shape.kv_token_bytes
    widest = shape.feed_forward + shape.experts_per_token * shape.expert_width * kind.has_experts
    activations = value * tokens * (4 * shape.hidden + 4 * widest + 3 * shape.heads * shape.head_dim)
    mask = 2.0 * point.chunk * (context + point.chunk)
    flops = 2.0 * tokens * used + 4.0 * tokens * seen * shape.heads * shape.head_dim
    return Work(flops, read + kept, kept + activations + mask)


@dataclass(frozen=True)
class Reading:
    """One point under one way of launching its kernels (`graph`, or `plain` calls); None where nothing was measured.

    seconds : of one block, or of the head: the median of `repetitions`; of several GPUs, the slowest's
    spread : between the quartiles, as a share of the median
    counter_w, instant_w : of all GPUs together while they repeat the point without a pause, by energy counters and by
        the median of instant samples
    clock_mhz : of the multiprocessors meanwhile, the mean of one GPU
    reason : why there is no time, or no watts
    """

    phase: str
    kind: str
    batch: int
    context: int
    chunk: int
    launch: str
    blocks: int
    seconds: float | None = None
    spread: float | None = None
    repetitions: int = 0
    counter_w: float | None = None
    instant_w: float | None = None
    clock_mhz: float | None = None
    reason: str | None = None

    @property
    def point(self) -> Point:
        return Point(self.phase, self.kind, self.batch, self.context, self.chunk)

    @property
    def watts(self) -> float | None:
        """By the counter, else by instant samples."""
        return self.instant_w if self.counter_w is None else self.counter_w

    def to_json(self) -> dict[str, Any]:
        """A flat record."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Raises TypeError for a record that lacks something."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in record.items() if name in names})
