"""The vLLM V1 replica does in every step what vLLM's own scheduler did in it (tests/oracle/vllm_scheduler)."""

from __future__ import annotations

import inspect
import sys
from itertools import zip_longest
from pathlib import Path
from types import ModuleType

import pytest

from tests.oracle import vllm_v1
from tests.oracle.vllm_scheduler.workload import Log, read_logs, run
from tests.oracle.vllm_v1 import Replica

FILES = sorted((Path(__file__).parent / "vllm_v1").glob("*.jsonl.gz"))


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    return [log for file in FILES for log in read_logs(file)]


def first_difference(log: Log, replica: type[Replica]) -> str | None:
    steps = run(log.workload, replica(log.workload.limits))
    for number, (step, logged) in enumerate(zip_longest(steps, log.steps)):
        if step != logged:
            return f"seed {log.workload.seed}, step {number}:\nreplica {step}\nvLLM    {logged}"
    return None


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_step_is_vllms(file: Path) -> None:
    for log in read_logs(file):
        assert first_difference(log, Replica) is None


def test_the_logs_are_worth_replaying(logs: list[Log]) -> None:
    assert len(logs) == len({log.workload.seed for log in logs}) == 200
    assert {log.version for log in logs} == {"0.32.0"}
    for log in logs:
        assert any(step.preempted for step in log.steps)
        assert any(call.shared for call in log.workload.calls)
        if log.workload.limits.prefix_caching:
            assert any(cached for step in log.steps for _, cached in step.admitted)
            assert any(step.evicted for step in log.steps)
    limits = [log.workload.limits for log in logs]
    for name in ("prefix_caching", "reserve_full_prompt", "async_scheduling"):
        assert {getattr(each, name) for each in limits} == {True, False}
    for name in ("watermark", "long_prefill_token_threshold"):
        assert min(getattr(each, name) for each in limits) == 0 < max(getattr(each, name) for each in limits)


def test_tokens_are_conserved(logs: list[Log]) -> None:
    """What was admitted from the cache and computed, less what preemption lost, is p + o - 1 a call."""
    for log in logs:
        limits = log.workload.limits
        texts = log.workload.texts()
        kv = dict.fromkeys(range(len(texts)), 0)
        ends = dict.fromkeys(kv, 0)
        for step in log.steps:
            for number in step.preempted:
                kv[number] = 0
            for number, tokens in step.admitted + step.scheduled:
                kv[number] += tokens
            for number in step.finished:
                ends[number] += 1
                over = kv[number] - (min(len(texts[number]), limits.max_model_len) - 1)
                assert over in ([0, 1] if limits.async_scheduling else [0]) or number in step.preempted
        assert set(ends.values()) == {1}
        assert log.steps[-1].free == limits.num_gpu_blocks - 1


PLANTED = {
    "a prompt may be cached whole": (
        "(request.known - 1) // BLOCK_TOKENS)",
        "request.known // BLOCK_TOKENS)",
    ),
    "a block is full one token early": (
        "min(computed, request.known) //",
        "min(computed + 1, request.known) //",
    ),
    "a call ends one token late": ("request.known == request.final", "request.known == 1 + request.final"),
    "one sequence too many": ("< limits.max_num_seqs", "<= limits.max_num_seqs"),
    "the shallowest block is evicted first": ("in reversed(self.tables", "in (self.tables"),
    "blocks without content are used last": ("empty + self.blocks + full", "self.blocks + empty + full"),
    "found blocks still count as free": ("self.memory.free - queued", "self.memory.free"),
    "the first running one is preempted": ("self.running.pop()", "self.running.pop(0)"),
    "the preempted goes to the tail": ("self.waiting.insert(0, request)", "self.waiting.append(request)"),
    "admission goes on after a preemption": ("if not step.preempted:", "if True:"),
    "one block must stay free": ("while needed > self", "while needed >= self"),
    "the youngest copy is hit": ("self.copies[content][0]", "self.copies[content][-1]"),
    "the watermark holds for an idle replica too": ("if self.running:\n", "if True:\n"),
    "an ending request is scheduled once more": ("if tokens == 0 or is_ending", "if tokens == 0"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_caught(fault: str, logs: list[Log], monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = PLANTED[fault]
    source = inspect.getsource(vllm_v1)
    assert source.count(right) == 1
    module = ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)
    exec(source.replace(right, wrong), module.__dict__)

    def is_caught(log: Log) -> bool:
        try:
            return first_difference(log, module.Replica) is not None
        except (IndexError, ValueError, AttributeError):  # it lost count
            return True

    assert any(map(is_caught, logs))
