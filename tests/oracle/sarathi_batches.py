"""What the vLLM V1 replica would put in each step of a Sarathi log, given when the steps started."""

from __future__ import annotations

from collections.abc import Iterator

from tests.oracle.vllm_scheduler.workload import Call, Limits
from tests.oracle.vllm_v1 import Replica, Request
from tracekit.analyzers.batch_log import BatchLog
from tracekit.analyzers.kernels.layout import Floats, Ints

PLENTY = 10**9
CLOCK_S = 1e-9
"""A log's start may lie this much before the arrival it is: microseconds in floats."""

Batch = list[tuple[int, int]]  # request, tokens


class AmpleMemory:
    """KV memory that is never short and remembers nothing; only the number of blocks held counts."""

    def __init__(self) -> None:
        self.evicted = 0
        self.free = PLENTY
        self.queue: list[int | None] = []
        self.queue_digest = 0
        self.blocks: dict[Request, int] = {}

    def held(self, request: Request) -> int:
        return self.blocks[request]

    def hit(self, request: Request, most: int) -> tuple[int, int]:
        return 0, 0

    def hold(self, request: Request, blocks: int) -> None:
        self.blocks[request] = blocks

    def take(self, request: Request, blocks: int) -> None:
        self.blocks[request] += blocks

    def remember(self, request: Request, full: int) -> None:
        pass

    def release(self, request: Request) -> None:
        self.blocks.pop(request, None)


def vllm_batches(
    arrival_s: Floats, prompt_tokens: Ints, output_tokens: Ints, start_s: Floats, budget: int, cap: int
) -> Iterator[Batch]:
    """Yield what the replica schedules at each of the starts, knowing the requests that came before it."""
    limits = Limits(PLENTY, cap, budget, PLENTY, prefix_caching=False)
    replica = Replica(limits, AmpleMemory())
    number = 0
    for start in start_s:
        while number < arrival_s.size and arrival_s[number] <= start + CLOCK_S:
            prompt, output = int(prompt_tokens[number]), int(output_tokens[number])
            call = Call(0, -1, False, 0, prompt, output, stops_at_limit=True, repeats=False)
            replica.add(number, call, [0] * (prompt + output))
            number += 1
        yield [] if replica.is_done else replica.step().scheduled


def logged_batches(log: BatchLog) -> list[Batch]:
    batches: list[Batch] = [[] for _ in log.start_s]
    for step, call, tokens in zip(log.step.tolist(), log.call.tolist(), log.tokens.tolist(), strict=True):
        batches[step].append((call, tokens))
    return batches


def identical_batches(
    arrival_s: Floats, prompt_tokens: Ints, output_tokens: Ints, log: BatchLog, budget: int, cap: int
) -> int:
    """Return in how many steps the replica gives the logged requests the logged tokens, in that order."""
    ours = vllm_batches(arrival_s, prompt_tokens, output_tokens, log.start_s, budget, cap)
    return sum(mine == theirs for mine, theirs in zip(ours, logged_batches(log), strict=True))
