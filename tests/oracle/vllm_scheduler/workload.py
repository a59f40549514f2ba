"""Workloads for a scheduler, and the log of what it did; plain JSON, one workload or one step a line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from itertools import chain
from pathlib import Path
from struct import pack
from typing import NamedTuple, Protocol
from zlib import crc32

BLOCK_TOKENS = 16
STOP_TOKEN = 1


@dataclass(frozen=True)
class Limits:
    num_gpu_blocks: int
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    prefix_caching: bool = True
    long_prefill_token_threshold: int = 0  # 0: none
    watermark: float = 0.0
    reserve_full_prompt: bool = True  # vLLM: scheduler_reserve_full_isl
    async_scheduling: bool = False


@dataclass(frozen=True)
class Call:
    """One request. Its prompt is the first `shared` tokens of an earlier call's text, then `new` ones."""

    arrival: int  # step; if it waits, steps after its parent's end
    parent: int  # -1: none
    waits: bool  # for its parent's end
    shared: int
    new: int
    output: int
    stops_at_limit: bool  # by max_tokens, which the scheduler knows; else by a stop token, which it does not
    repeats: bool  # its output follows from its prompt, so that equal prompts have equal outputs


@dataclass(frozen=True)
class Workload:
    seed: int
    limits: Limits
    calls: list[Call]

    def texts(self) -> list[list[int]]:
        """Return prompt + output of every call."""
        texts: list[list[int]] = []
        for number, call in enumerate(self.calls):
            fresh = 1000 * (number + 1) * 1000
            text = texts[call.parent][: call.shared] if call.parent >= 0 else []
            text += range(fresh, fresh + call.new)
            if call.repeats:
                fresh = text[-1] + 500_000
            else:
                fresh += call.new
            output = list(range(fresh, fresh + call.output))
            if not call.stops_at_limit:
                output[-1] = STOP_TOKEN
            texts.append(text + output)
        return texts


class Step(NamedTuple):
    """What a scheduler did in one step, in its order."""

    scheduled: list[tuple[int, int]]  # request, tokens
    admitted: list[tuple[int, int]]  # request, cached tokens
    preempted: list[int]
    finished: list[int]
    free: int  # blocks, at the end
    evicted: int  # blocks
    queue: int  # digest of the free queue, at the end


def crc_of_marks(marks: list[int]) -> int:
    """Return the digest of a free queue: 2 x block + (it is cached), from the next to the last."""
    return crc32(pack(f"<{len(marks)}I", *marks))


class Scheduler(Protocol):
    @property
    def is_done(self) -> bool: ...

    def add(self, number: int, call: Call, text: list[int]) -> None: ...

    def step(self) -> Step: ...


def run(workload: Workload, scheduler: Scheduler) -> Iterator[Step]:
    """Yield a record of every step; steps in which there is nothing to do are left out."""
    texts = workload.texts()
    due = {number: call.arrival for number, call in enumerate(workload.calls) if not call.waits}
    now = 0
    while due or not scheduler.is_done:
        if scheduler.is_done:
            now = max(now, min(due.values()))
        for number in sorted(number for number, arrival in due.items() if arrival <= now):
            del due[number]
            scheduler.add(number, workload.calls[number], texts[number])
        step = scheduler.step()
        yield step
        now += 1
        for number, call in enumerate(workload.calls):
            if call.waits and call.parent in step.finished:
                due[number] = now + call.arrival


# --- files ---


class Log(NamedTuple):
    version: str  # of the scheduler that was watched
    workload: Workload
    steps: list[Step]


def write_logs(path: Path, logs: Iterable[Log]) -> None:
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        for log in logs:
            head = {
                "vllm": log.version,
                "seed": log.workload.seed,
                "limits": asdict(log.workload.limits),
                "calls": [astuple(call) for call in log.workload.calls],
                "steps": len(log.steps),
            }
            for line in [head, *map(packed, log.steps)]:
                file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def read_logs(path: Path) -> Iterator[Log]:
    with gzip.open(path, "rt") as file:
        for line in file:
            head = json.loads(line)
            calls = [Call(*call) for call in head["calls"]]
            workload = Workload(head["seed"], Limits(**head["limits"]), calls)
            steps = [unpacked(json.loads(file.readline())) for _ in range(head["steps"])]
            yield Log(head["vllm"], workload, steps)


def packed(step: Step) -> list[object]:
    pairs = [list(chain.from_iterable(pairs)) for pairs in (step.scheduled, step.admitted)]
    return [*pairs, *step[2:]]


def unpacked(line: list) -> Step:
    pairs = [list(zip(flat[::2], flat[1::2], strict=True)) for flat in line[:2]]
    return Step(*pairs, *line[2:])
