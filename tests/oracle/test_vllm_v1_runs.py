"""Memory by runs is memory block by block: the same steps, and the same queue of free blocks after each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.oracle import vllm_v1_runs
from tests.oracle.vllm_scheduler.drawing import draw
from tests.oracle.vllm_scheduler.workload import Limits, Step, Workload, read_logs, run
from tests.oracle.vllm_v1 import Memory, Replica
from tests.oracle.vllm_v1_runs import RunMemory

FILES = sorted((Path(__file__).parents[1] / "golden" / "vllm_v1").glob("*.jsonl.gz"))


def history(workload: Workload, memory: type[Memory] | None) -> Iterator[tuple[Step, list[int | None]]]:
    limits: Limits = workload.limits
    replica = Replica(limits, memory and memory(limits.num_gpu_blocks, limits.prefix_caching))
    for step in run(workload, replica):
        yield step._replace(queue=0), replica.memory.queue


def assert_same(workload: Workload, memory: type[Memory] = RunMemory) -> None:
    pairs = zip(history(workload, None), history(workload, memory), strict=True)
    for number, (blocks, runs) in enumerate(pairs):
        assert blocks == runs, f"seed {workload.seed}, step {number}"


def assert_all_same(workloads: list[Workload], memory: type[Memory]) -> None:
    for workload in workloads:
        assert_same(workload, memory)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_logged_workloads(file: Path) -> None:
    for log in read_logs(file):
        assert_same(log.workload)


@pytest.mark.parametrize("seed", range(1_000_000, 1_000_040))
def test_new_workloads(seed: int) -> None:
    assert_same(draw(seed))


PLANTED = {
    "the root alone is searched": ("for branch, end in reversed(path):  #", "for branch, end in path:  #"),
    "the shallow branch is given back first": ("in reversed(holding.path)", "in holding.path"),
    "others' holds are forgotten": ("self.free_run(branch, kept,", "self.free_run(branch, branch.start,"),
    "the youngest copy is the heir": ("copies.pop(0)", "copies.pop()"),
    "a copy is no block": ("self.segments.append(copy.segment)", "pass"),
    "a hit reaches past the leaving of a branch": (
        "min(segment.end, end, blocks)",
        "min(segment.end, blocks)",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = PLANTED[fault]
    source = inspect.getsource(vllm_v1_runs)
    assert source.count(right) == 1
    module = ModuleType("planted_runs")
    monkeypatch.setitem(sys.modules, "planted_runs", module)
    exec(source.replace(right, wrong), module.__dict__)
    workloads = [log.workload for file in FILES for log in read_logs(file)]
    with pytest.raises((AssertionError, IndexError, ValueError, KeyError)):
        assert_all_same(workloads, module.RunMemory)
