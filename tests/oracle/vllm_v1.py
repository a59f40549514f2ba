"""The definition of the vLLM V1 replica: scheduler, paged KV, prefix cache; slow, obvious, block by block.

It says what happens in a step, not how long the step takes. It was written from reading and watching vLLM
0.32's scheduler and is held to that scheduler's own logs, step for step (tests/golden/test_vllm_v1.py).
docs/background-scheduler.md says the same in prose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS, Call, Limits, Step, crc_of_marks


def blocks_for(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)


@dataclass(eq=False)
class Request:
    number: int
    contents: list[int]  # what is in each full block of its text: equal if all tokens up to there are
    final: int  # tokens of prompt and output
    most: int  # tokens at which the scheduler knows that it ends
    known: int  # tokens the scheduler has seen
    computed: int = 0  # tokens whose KV is there, or will be after the steps under way
    unseen: int = 0  # tokens under way that the scheduler has not seen (asynchronous scheduling)
    running: bool = False
    finished: bool = False


class Memory(Protocol):
    """The KV memory: who holds which block, what the cache remembers, which block goes next."""

    evicted: int  # blocks so far

    @property
    def free(self) -> int:
        """Return how many blocks nobody holds, cached ones included."""

    @property
    def queue(self) -> list[int | None]:
        """Return the contents of the free blocks, from the next to be used to the last."""

    @property
    def queue_digest(self) -> int:
        """Return a digest of the queue, block numbers included; 0 if there are none."""

    def held(self, request: Request) -> int:
        """Return how many blocks the request has."""

    def hit(self, request: Request, most: int) -> tuple[int, int]:
        """Return how many blocks, `most` at the most, it would find, and how many of them are in the queue."""

    def hold(self, request: Request, blocks: int) -> None:
        """Give it its first blocks, which it found."""

    def take(self, request: Request, blocks: int) -> None:
        """Give it more blocks, from the front of the queue."""

    def remember(self, request: Request, full: int) -> None:
        """Let the cache know its first blocks, which are full."""

    def release(self, request: Request) -> None:
        """Take back all its blocks."""


# --- memory, block by block ---


@dataclass(eq=False)
class Block:
    number: int
    holders: int = 0
    content: int | None = None  # what is in it, once it is full and prefix caching is on


class BlockMemory:
    def __init__(self, blocks: int, caching: bool) -> None:
        self.caching = caching
        self.blocks = [Block(number) for number in range(1, blocks)]  # block 0 is a placeholder nobody gets
        self.copies: dict[int, list[Block]] = {}  # by content; a hit takes the oldest copy
        self.tables: dict[Request, list[Block]] = {}
        self.remembered: dict[Request, int] = {}
        self.evicted = 0

    @property
    def free(self) -> int:
        return len(self.blocks)

    @property
    def queue(self) -> list[int | None]:
        return [block.content for block in self.blocks]

    @property
    def queue_digest(self) -> int:
        return crc_of_marks([2 * block.number + (block.content is not None) for block in self.blocks])

    def held(self, request: Request) -> int:
        return len(self.tables[request])

    def found(self, request: Request, most: int) -> list[Block]:
        blocks: list[Block] = []
        for content in request.contents[:most]:
            if not self.copies.get(content):
                break
            blocks.append(self.copies[content][0])
        return blocks

    def hit(self, request: Request, most: int) -> tuple[int, int]:
        found = self.found(request, most)
        return len(found), sum(block.holders == 0 for block in found)

    def hold(self, request: Request, blocks: int) -> None:
        self.tables[request] = self.found(request, blocks)
        self.remembered[request] = blocks
        for block in self.tables[request]:
            if block.holders == 0:
                self.blocks.remove(block)
            block.holders += 1

    def take(self, request: Request, blocks: int) -> None:
        for block in self.blocks[:blocks]:
            block.holders = 1
            self.forget(block)
            self.tables[request].append(block)
        del self.blocks[:blocks]

    def forget(self, block: Block) -> None:
        if block.content is not None:
            self.copies[block.content].remove(block)
            block.content = None
            self.evicted += 1

    def remember(self, request: Request, full: int) -> None:
        if self.caching:
            for index in range(self.remembered[request], full):
                block = self.tables[request][index]
                block.content = request.contents[index]
                self.copies.setdefault(block.content, []).append(block)
                self.remembered[request] = index + 1

    def release(self, request: Request) -> None:
        """The deepest goes first. Blocks with nothing to remember are used next, the others last."""
        empty, full = [], []
        for block in reversed(self.tables.pop(request, [])):
            block.holders -= 1
            if block.holders == 0:
                (empty if block.content is None else full).append(block)
        self.blocks = empty + self.blocks + full


# --- the scheduler ---


@dataclass(eq=False)
class Part:
    """What one request does in one step."""

    request: Request
    tokens: int
    emits: bool
    stale: bool = False  # its request was preempted while the step was under way


class Replica:
    def __init__(self, limits: Limits, memory: Memory | None = None) -> None:
        self.limits = limits
        self.memory = memory or BlockMemory(limits.num_gpu_blocks, limits.prefix_caching)
        self.contents: dict[tuple[int, tuple[int, ...]], int] = {}
        self.waiting: list[Request] = []
        self.running: list[Request] = []  # in order of admission
        self.under_way: list[list[Part]] = []  # steps scheduled and not yet seen, oldest first

    @property
    def is_done(self) -> bool:
        return not (self.waiting or self.running or self.under_way)

    def read(self, number: int, call: Call, text: list[int]) -> Request:
        contents: list[int] = []
        for start in range(0, len(text) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
            key = (contents[-1] if contents else 0, tuple(text[start : start + BLOCK_TOKENS]))
            contents.append(self.contents.setdefault(key, len(self.contents) + 1))
        longest = self.limits.max_model_len
        most = len(text) if call.stops_at_limit else longest
        final = min(len(text), longest)
        return Request(number, contents, final, most, known=len(text) - call.output)

    def add(self, number: int, call: Call, text: list[int]) -> None:
        self.waiting.append(self.read(number, call, text))

    def step(self) -> Step:
        """Schedule one step, then see the end of one: the same, or the one before if asynchronous."""
        step = Step([], [], [], [], 0, 0, 0)
        evicted = self.memory.evicted
        if self.waiting or self.running:
            self.under_way.append(self.schedule(step))
        if len(self.under_way) > self.limits.async_scheduling or not (self.waiting or self.running):
            self.see_end(self.under_way.pop(0), step)
        return step._replace(
            free=self.memory.free, evicted=self.memory.evicted - evicted, queue=self.memory.queue_digest
        )

    # --- scheduling ---

    def schedule(self, step: Step) -> list[Part]:
        parts: list[Part] = []
        budget = self.limits.max_num_batched_tokens
        longest = self.limits.long_prefill_token_threshold
        if not longest or len(self.running) + len(self.waiting) == 1:
            longest = budget
        budget = self.schedule_running(parts, budget, longest, step)
        if not step.preempted:
            self.admit(parts, budget, longest, step)
        for part in parts:
            part.request.computed += part.tokens
            part.emits = part.request.computed == part.request.known + part.request.unseen
            if self.limits.async_scheduling and part.emits:
                part.request.unseen += 1
            step.scheduled.append((part.request.number, part.tokens))
        return parts

    def schedule_running(self, parts: list[Part], budget: int, longest: int, step: Step) -> int:
        """Give every running request its tokens, in order of admission; return what is left to give."""
        index = 0
        while index < len(self.running) and budget > 0:
            request = self.running[index]
            index += 1
            tokens = min(
                request.known + request.unseen - request.computed,
                longest,
                budget,
                self.limits.max_model_len - request.computed - 1,
            )
            is_ending = request.unseen and request.known + request.unseen >= request.most
            if tokens == 0 or is_ending:
                continue
            needed = blocks_for(request.computed + tokens) - self.memory.held(request)
            while needed > self.memory.free and request.running:
                self.preempt(step)
            if not request.running:
                break
            self.memory.take(request, needed)
            self.remember(request, request.computed + tokens)
            parts.append(Part(request, tokens, False))
            budget -= tokens
        return budget

    def preempt(self, step: Step) -> None:
        """Take the last one's blocks; it will compute everything again, first in the queue."""
        request = self.running.pop()
        self.memory.release(request)
        request.running = False
        request.computed = request.unseen = 0
        for part in (part for parts in self.under_way for part in parts):
            if part.request is request:
                part.stale = True
        self.waiting.insert(0, request)
        step.preempted.append(request.number)

    def admit(self, parts: list[Part], budget: int, longest: int, step: Step) -> None:
        limits = self.limits
        while self.waiting and budget > 0 and len(self.running) < limits.max_num_seqs:
            tokens = self.admit_first(parts, min(longest, budget), step)
            if not tokens:
                break
            budget -= tokens

    def admit_first(self, parts: list[Part], most: int, step: Step) -> int:
        """Admit the first that waits if it fits; return the tokens it gets, 0 if it does not fit."""
        limits = self.limits
        request = self.waiting[0]
        found, queued = self.memory.hit(request, (request.known - 1) // BLOCK_TOKENS)
        cached = BLOCK_TOKENS * found
        tokens = min(request.known - cached, most)
        free = self.memory.free - queued
        if self.running:
            free -= int(limits.watermark * limits.num_gpu_blocks)
        needed = blocks_for(cached + tokens) - found
        whole = blocks_for(request.known) - found if limits.reserve_full_prompt else needed
        if max(needed, whole) > free:
            return 0
        self.memory.hold(request, found)
        self.memory.take(request, needed)
        request.computed = cached
        self.remember(request, cached + tokens)
        self.start_first(parts, tokens, step, cached)
        return tokens

    def start_first(self, parts: list[Part], tokens: int, step: Step, cached: int) -> None:
        request = self.waiting.pop(0)
        self.running.append(request)
        request.running = True
        parts.append(Part(request, tokens, False))
        step.admitted.append((request.number, cached))

    def remember(self, request: Request, computed: int) -> None:
        """Let the cache know the request's blocks that are full of known tokens.

        This happens when the step is scheduled: a request admitted later in the same step finds them.
        """
        self.memory.remember(request, min(computed, request.known) // BLOCK_TOKENS)

    # --- the end of a step ---

    def see_end(self, parts: list[Part], step: Step) -> None:
        for part in parts:
            request = part.request
            if request.finished or not part.emits:
                continue
            request.known += 1
            if not part.stale and self.limits.async_scheduling:
                request.unseen -= 1
                self.remember(request, request.computed - request.unseen)
            if request.known == request.final:
                request.finished = True
                self.leave(request)
                step.finished.append(request.number)
        self.running = [request for request in self.running if not request.finished]
        self.waiting = [request for request in self.waiting if not request.finished]

    def leave(self, request: Request) -> None:
        self.memory.release(request)
