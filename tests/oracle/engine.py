"""A vLLM V1 replica that may also be static, keep KV for a session, compute prompts only, or be sent their KV."""

from __future__ import annotations

from collections.abc import Callable

from tests.oracle import vllm_v1
from tests.oracle.retention import KeptMemory, Pin
from tests.oracle.session import Call, Session, Tier
from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS, Limits, Step
from tests.oracle.vllm_scheduler.workload import Call as Given
from tracekit.analyzers.kernels.layout import Batching, FleetLimits, Retention, Role


class Engine(vllm_v1.Replica):
    memory: KeptMemory

    def __init__(
        self, limits: FleetLimits, blocks: int, tier: Tier, on_admission: Callable[[Call], None]
    ) -> None:
        caches, evicts = bool(limits.enable_prefix_cache), limits.retention == Retention.EVICT
        super().__init__(engine_limits(limits, blocks), KeptMemory(1 + blocks, caches, evicts))
        self.blocks = blocks
        self.is_static = limits.batching == Batching.STATIC
        self.role = limits.role
        self.tier = tier
        self.retention, self.retention_s = limits.retention, limits.retention_s
        self.now_s = 0.0
        self.on_admission = on_admission
        self.calls: dict[vllm_v1.Request, Call] = {}
        self.with_kv: set[vllm_v1.Request] = (
            set()
        )  # waiting, with their prompt's KV here and not yet in blocks

    @property
    def held_tokens(self) -> int:
        return BLOCK_TOKENS * (self.blocks - self.memory.free)

    @property
    def evicted(self) -> int:
        return self.memory.evicted

    def enqueue(self, call: Call) -> None:
        if self.role == Role.DECODE:
            request = self.request(call, emitted=1)
            self.with_kv.add(request)
        else:
            request = self.request(call)
            if self.role == Role.PREFILL:
                request.final = call.prompt + 1
        self.calls[request] = call
        self.waiting.append(request)

    def request(self, call: Call, emitted: int = 0) -> vllm_v1.Request:
        given = Given(0, -1, False, 0, call.prompt + emitted, call.output - emitted, True, False)
        return self.read(call.step.number, given, call.text)

    def prompt_tokens_found(self, call: Call) -> int:
        return BLOCK_TOKENS * self.memory.hit(self.request(call), (call.prompt - 1) // BLOCK_TOKENS)[0]

    # --- admission ---

    def admit(self, parts: list[vllm_v1.Part], budget: int, longest: int, step: Step) -> None:
        if not (self.is_static and self.running):
            super().admit(parts, budget, longest, step)

    def admit_first(self, parts: list[vllm_v1.Part], most: int, step: Step) -> int:
        call = self.calls[self.waiting[0]]
        tokens = self.try_first(parts, most, step)
        while not (tokens or self.running):
            self.memory.unpin(self.memory.pins[0])
            tokens = self.try_first(parts, most, step)
        if tokens:
            self.on_admission(call)
        return tokens

    def try_first(self, parts: list[vllm_v1.Part], most: int, step: Step) -> int:
        request = self.waiting[0]
        if request not in self.with_kv:
            return super().admit_first(parts, most, step)
        prompt = request.known - 1
        found, queued = self.memory.hit(request, (prompt - 1) // BLOCK_TOKENS)
        needed = vllm_v1.blocks_for(prompt + 1) - found
        if needed > self.memory.free - queued:
            return 0
        self.memory.hold(request, found)
        self.memory.take(request, needed)
        request.computed = prompt
        self.remember(request, prompt + 1)
        self.with_kv.remove(request)
        self.start_first(parts, 1, step, BLOCK_TOKENS * found)
        return 1

    # --- what is kept ---

    def preempt(self, step: Step) -> None:
        """Let go of what is kept before anybody who runs."""
        if self.memory.pins:
            self.memory.unpin(self.memory.pins[0])
        else:
            super().preempt(step)

    def leave(self, request: vllm_v1.Request) -> None:
        call = self.calls[request]
        keeps = self.retention in (Retention.KEEP, Retention.TTL) and self.role != Role.PREFILL
        if keeps and call.step.session.has_later_call(self.tier):
            until_s = self.now_s + self.retention_s
            self.memory.pin(request, call, until_s if self.retention == Retention.TTL else float("inf"))
        super().leave(request)

    def unpin(self, session: Session) -> None:
        """Keep nothing more for the session."""
        self.unpin_all([pin for pin in self.memory.pins if pin.session is session])

    def expire(self, now_s: float) -> None:
        self.unpin_all([pin for pin in self.memory.pins if pin.until_s <= now_s])

    def unpin_all(self, pins: list[Pin]) -> None:
        for pin in pins:
            self.memory.unpin(pin)


def engine_limits(limits: FleetLimits, blocks: int) -> Limits:
    return Limits(
        num_gpu_blocks=1 + blocks,  # one is a placeholder
        max_num_seqs=limits.max_num_seqs,
        max_num_batched_tokens=limits.max_num_batched_tokens,
        max_model_len=limits.max_model_len,
        prefix_caching=bool(limits.enable_prefix_cache),
    )
