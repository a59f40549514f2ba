"""The kernel's memory on sessions of many calls whose prompts keep part of the texts before, block for block vLLM's."""

from __future__ import annotations

from random import Random

import pytest

from tests.golden.test_kernel_is_vllm import assert_kernel_does_the_same
from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS, Call, Limits, Workload, run
from tests.oracle.vllm_v1 import Replica
from tests.oracle.vllm_v1_runs import RunMemory


def long_sessions(seed: int) -> Workload:
    """Sessions in step with each other; a prompt ends anywhere in a text before, in its output too.

    Some calls come while the call whose output they begin with still runs, some fork from an earlier one.
    """
    random = Random(seed)
    calls: list[Call] = []
    lengths: list[int] = []
    sessions = random.choice([1, 2, 3])
    last = [-1] * sessions
    earlier: list[list[int]] = [[] for _ in range(sessions)]
    patience = random.choice([0.5, 0.9])
    for turn in range(random.choice([12, 25, 40])):
        for session in range(sessions):
            parent, shared, waits = last[session], 0, False
            if turn > 0:
                if random.random() < 0.15:
                    parent = random.choice(earlier[session])
                end = lengths[parent]
                shared = random.randint(max(0, end - 60), end)
                if random.random() < 0.3:
                    shared -= shared % BLOCK_TOKENS
                waits = random.random() < patience
            new = random.choice([0, 5, 16, 30]) if shared else 20
            output = 1 + int(random.expovariate(1 / random.choice([10, 50])))
            arrival = random.randint(0, 4) if waits else turn * random.choice([20, 30]) + session
            calls.append(Call(arrival, parent, waits, shared, new, output, True, repeats=False))
            lengths.append(shared + new + output)
            last[session] = len(calls) - 1
            earlier[session].append(last[session])
    largest = -(-max(lengths) // BLOCK_TOKENS)
    limits = Limits(
        num_gpu_blocks=1 + largest + random.randint(0, sessions * largest // 2),
        max_num_seqs=random.choice([2, 4, 16]),
        max_num_batched_tokens=random.choice([32, 100, 512]),
        max_model_len=max(lengths),
    )
    return Workload(seed, limits, calls)


@pytest.mark.parametrize("seed", range(40))
def test_the_kernel_does_what_vllm_does(seed: int) -> None:
    workload = long_sessions(seed)
    blocks = list(run(workload, Replica(workload.limits)))
    assert_kernel_does_the_same(workload, blocks)
    limits = workload.limits
    runs = run(workload, Replica(limits, RunMemory(limits.num_gpu_blocks, limits.prefix_caching)))
    assert [step._replace(queue=0) for step in blocks] == list(runs)


def test_memory_is_what_the_sessions_fight_for() -> None:
    logs = [list(run(workload, Replica(workload.limits))) for workload in map(long_sessions, range(40))]
    steps = [step for log in logs for step in log]
    assert sum(step.evicted > 0 for step in steps) > 1_000
    assert sum(len(step.preempted) for step in steps) > 20
    assert sum(cached > 0 for step in steps for _, cached in step.admitted) > 500
