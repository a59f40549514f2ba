"""The definition of the vLLM V1 replica: scheduler, paged KV, prefix cache; slow, obvious, block by block.

It says what happens in a step, not how long the step takes. It was written from reading and watching vLLM
0.32's scheduler and is held to that scheduler's own logs, step for step (tests/golden/test_vllm_v1.py).
docs/background-scheduler.md says the same in prose.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS, Call, Limits, Step, crc_of_marks


def blocks_for(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)


@dataclass(eq=False)
class Block:
    number: int
    holders: int = 0
    content: int | None = None  # what is in it, once it is full and prefix caching is on


class BlockPool:
    """The KV memory: who holds which block, what the cache remembers, which block goes next."""

    def __init__(self, count: int, caching: bool) -> None:
        self.caching = caching
        self.free = [Block(number) for number in range(1, count)]  # block 0 is a placeholder nobody gets
        self.copies: dict[int, list[Block]] = {}  # by content; a hit takes the oldest copy
        self.contents: dict[tuple[int, tuple[int, ...]], int] = {}
        self.evicted = 0

    def content_of(self, before: int, tokens: list[int]) -> int:
        """Return the number of a full block's content: its tokens and everything before them."""
        return self.contents.setdefault((before, tuple(tokens)), len(self.contents) + 1)

    def find(self, content: int) -> Block | None:
        return self.copies[content][0] if self.copies.get(content) else None

    def hold(self, block: Block) -> None:
        if block.holders == 0:
            self.free.remove(block)
        block.holders += 1

    def take(self, count: int) -> list[Block]:
        """Return blocks from the front of the queue; what the cache remembered of them is forgotten."""
        taken, self.free = self.free[:count], self.free[count:]
        for block in taken:
            block.holders = 1
            if block.content is not None:
                self.copies[block.content].remove(block)
                block.content = None
                self.evicted += 1
        return taken

    def remember(self, block: Block, content: int) -> None:
        if self.caching:
            block.content = content
            self.copies.setdefault(content, []).append(block)

    def release(self, blocks: list[Block]) -> None:
        """Take back a call's blocks, given in their order in the call.

        The deepest goes first. Blocks with nothing to remember are used next, the others last.
        """
        empty, full = [], []
        for block in reversed(blocks):
            block.holders -= 1
            if block.holders == 0:
                (empty if block.content is None else full).append(block)
        self.free = empty + self.free + full

    @property
    def queue_digest(self) -> int:
        return crc_of_marks([2 * block.number + (block.content is not None) for block in self.free])


@dataclass(eq=False)
class Request:
    number: int
    text: list[int]  # prompt and output, as it will be in the end
    prompt: int
    most_tokens: int  # its length if it does not stop by itself
    known: int  # tokens the scheduler has seen
    computed: int = 0  # tokens whose KV is there, or will be after the steps under way
    unseen: int = 0  # tokens under way that the scheduler has not seen (asynchronous scheduling)
    blocks: list[Block] = field(default_factory=list)
    contents: list[int] = field(default_factory=list)  # of its full blocks
    remembered: int = 0  # blocks of its that the cache knows
    running: bool = False
    finished: bool = False


@dataclass(eq=False)
class Part:
    """What one request does in one step."""

    request: Request
    tokens: int
    emits: bool
    stale: bool = False  # its request was preempted while the step was under way


class Replica:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pool = BlockPool(limits.num_gpu_blocks, limits.prefix_caching)
        self.waiting: list[Request] = []
        self.running: list[Request] = []  # in order of admission
        self.under_way: list[list[Part]] = []  # steps scheduled and not yet seen, oldest first

    @property
    def is_done(self) -> bool:
        return not (self.waiting or self.running or self.under_way)

    def add(self, number: int, call: Call, text: list[int]) -> None:
        prompt = len(text) - call.output
        most = prompt + call.output if call.stops_at_limit else self.limits.max_model_len
        self.waiting.append(Request(number, text, prompt, most, known=prompt))

    def step(self) -> Step:
        """Schedule one step, then see the end of one: the same, or the one before if asynchronous."""
        step = Step([], [], [], [], 0, 0, 0)
        evicted = self.pool.evicted
        if self.waiting or self.running:
            self.under_way.append(self.schedule(step))
        if len(self.under_way) > self.limits.async_scheduling or not (self.waiting or self.running):
            self.see_end(self.under_way.pop(0), step)
        return step._replace(
            free=len(self.pool.free), evicted=self.pool.evicted - evicted, queue=self.pool.queue_digest
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
            is_ending = request.unseen and request.known + request.unseen >= request.most_tokens
            if tokens == 0 or is_ending:
                continue
            needed = blocks_for(request.computed + tokens) - len(request.blocks)
            while needed > len(self.pool.free) and request.running:
                self.preempt(step)
            if not request.running:
                break
            request.blocks += self.pool.take(needed)
            self.remember(request, request.computed + tokens)
            parts.append(Part(request, tokens, False))
            budget -= tokens
        return budget

    def preempt(self, step: Step) -> None:
        """Take the last one's blocks; it will compute everything again, first in the queue."""
        request = self.running.pop()
        self.give_back(request)
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
            request = self.waiting[0]
            hits = self.longest_hit(request)
            cached = BLOCK_TOKENS * len(hits)
            tokens = min(request.known - cached, longest, budget)
            free = len(self.pool.free) - sum(block.holders == 0 for block in hits)
            if self.running:
                free -= int(limits.watermark * limits.num_gpu_blocks)
            needed = blocks_for(cached + tokens) - len(hits)
            whole = blocks_for(request.known) - len(hits) if limits.reserve_full_prompt else needed
            if max(needed, whole) > free:
                break
            for block in hits:
                self.pool.hold(block)
            request.blocks = hits + self.pool.take(needed)
            request.remembered = len(hits)
            request.computed = cached
            self.remember(request, cached + tokens)
            self.waiting.pop(0)
            self.running.append(request)
            request.running = True
            parts.append(Part(request, tokens, False))
            step.admitted.append((request.number, cached))
            budget -= tokens

    # --- the prefix cache ---

    def contents_of(self, request: Request) -> list[int]:
        """Return the contents of the request's full blocks, as far as its tokens are known."""
        while BLOCK_TOKENS * (len(request.contents) + 1) <= request.known:
            start = BLOCK_TOKENS * len(request.contents)
            before = request.contents[-1] if request.contents else 0
            tokens = request.text[start : start + BLOCK_TOKENS]
            request.contents.append(self.pool.content_of(before, tokens))
        return request.contents

    def longest_hit(self, request: Request) -> list[Block]:
        """Return the cached blocks it starts with; at least one token is left to compute."""
        hits: list[Block] = []
        for content in self.contents_of(request)[: (request.known - 1) // BLOCK_TOKENS]:
            block = self.pool.find(content)
            if block is None:
                break
            hits.append(block)
        return hits

    def remember(self, request: Request, computed: int) -> None:
        """Let the cache know the request's blocks that are full of known tokens.

        This happens when the step is scheduled: a request admitted later in the same step finds them.
        """
        full = min(computed, request.known) // BLOCK_TOKENS
        for index in range(request.remembered, full):
            self.pool.remember(request.blocks[index], self.contents_of(request)[index])
        request.remembered = max(request.remembered, full)

    def give_back(self, request: Request) -> None:
        self.pool.release(request.blocks)
        request.blocks = []
        request.remembered = 0

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
            if request.known == min(len(request.text), self.limits.max_model_len):
                request.finished = True
                self.give_back(request)
                step.finished.append(request.number)
        self.running = [request for request in self.running if not request.finished]
        self.waiting = [request for request in self.waiting if not request.finished]
