"""The kernel does for every call what vLLM's own scheduler logged, where its workloads can be said to it.

One replica, steps of one second. What can be said: a call that arrives at a step or after its parent's end,
outputs that nobody else has, default limits (no threshold, no watermark, full reservation, synchronous), and
nothing cut at max_model_len.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.oracle.vllm_scheduler.drawing import draw
from tests.oracle.vllm_scheduler.workload import Log, Step, Workload, read_logs, run
from tests.oracle.vllm_v1 import Replica
from tests.oracle.workloads import FLAT, NEVER, Node, Story, fleet, workload_of
from tracekit.analyzers.kernels.layout import StepCost, StepKind
from tracekit.analyzers.kernels.replay import replay

FILES = sorted((Path(__file__).parent / "vllm_v1").glob("*.jsonl.gz"))
PER_TOKEN = StepCost(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def can_be_said(workload: Workload) -> bool:
    limits = workload.limits
    lengths = [len(text) for text in workload.texts()]
    return (
        not (limits.async_scheduling or limits.long_prefill_token_threshold or limits.watermark)
        and limits.reserve_full_prompt
        and max(lengths) <= limits.max_model_len
        and not any(call.repeats for call in workload.calls)
        and all(call.shared + call.new > 0 for call in workload.calls)
    )


def as_stories(workload: Workload) -> list[Story]:
    """One session of all calls, in their order: events of one instant come in the order of steps."""
    nodes = []
    for call in workload.calls:
        parents = (call.parent,) if call.waits else ()
        prefix = (0, call.parent, call.shared) if call.parent >= 0 and call.shared else None
        prompt = call.shared + call.new
        nodes.append(
            Node(StepKind.CALL, prompt, call.output, lag_s=call.arrival, parents=parents, prefix=prefix)
        )
    return [Story(0.0, nodes)]


def assert_kernel_does_the_same(workload: Workload, steps: list[Step]) -> None:
    limits = workload.limits
    outcome = replay(
        workload_of(as_stories(workload)),
        PER_TOKEN,
        FLAT,
        fleet(
            max_num_seqs=limits.max_num_seqs,
            max_num_batched_tokens=limits.max_num_batched_tokens,
            num_blocks=limits.num_gpu_blocks - 1,
            max_model_len=NEVER,
            enable_prefix_cache=int(limits.prefix_caching),
        ),
    )
    calls = range(len(workload.calls))
    preempted = [number for step in steps for number in step.preempted]
    cached: dict[int, int] = {}
    shares = np.zeros(len(calls))
    seen = np.zeros(len(calls), np.int64)
    for step in steps:
        whole = sum(tokens for _, tokens in step.scheduled)
        for number, tokens in step.scheduled:
            shares[number] += tokens / whole
            seen[number] += 1
        for number, tokens in step.admitted:
            cached.setdefault(number, tokens)
    assert outcome.engine_steps == len(steps)
    assert outcome.calls["preemptions"].tolist() == [preempted.count(number) for number in calls]
    assert outcome.calls["cached_tokens"].tolist() == [cached[number] for number in calls]
    assert outcome.evicted_blocks == sum(step.evicted for step in steps)
    # a step is shared by tokens: each call has had the tokens that vLLM gave it, step by step
    np.testing.assert_allclose(outcome.calls["busy_s"], shares, rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def logs() -> list[Log]:
    return [log for file in FILES for log in read_logs(file) if can_be_said(log.workload)]


def test_the_logged_workloads(logs: list[Log]) -> None:
    assert len(logs) >= 15
    assert any(cached for log in logs for step in log.steps for _, cached in step.admitted)
    for log in logs:
        assert_kernel_does_the_same(log.workload, log.steps)


def test_new_workloads() -> None:
    """The same workloads as are drawn for vLLM, against the replica that is held to its logs."""
    said = 0
    for seed in range(2_000_000, 2_000_120):
        workload = draw(seed)
        workload = Workload(
            workload.seed,
            type(workload.limits)(
                num_gpu_blocks=workload.limits.num_gpu_blocks + 2,
                max_num_seqs=workload.limits.max_num_seqs,
                max_num_batched_tokens=workload.limits.max_num_batched_tokens,
                max_model_len=NEVER,
                prefix_caching=workload.limits.prefix_caching,
            ),
            workload.calls,
        )
        largest = max(len(text) for text in workload.texts())
        if not can_be_said(workload) or largest > 16 * (workload.limits.num_gpu_blocks - 1):
            continue
        said += 1
        assert_kernel_does_the_same(workload, list(run(workload, Replica(workload.limits))))
    assert said >= 40
