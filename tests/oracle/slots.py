"""A replica with slots, as llama.cpp's server has them: each holds one call, then the text of that call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.oracle import vllm_v1
from tests.oracle.session import Call, Session
from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS, Step
from tracekit.analyzers.kernels.layout import FleetLimits, Role

NEVER = -1


@dataclass(eq=False)
class Slot:
    number: int
    text: list[int] = field(default_factory=list)  # whose KV is there
    left: int = NEVER  # when the last call left it, in the order of leaving
    request: vllm_v1.Request | None = None


class SlotEngine:
    """What a replica does in a step; it says the same things of itself as tests/oracle/engine.py."""

    evicted = 0  # blocks: there are none

    def __init__(self, limits: FleetLimits, on_admission: Callable[[Call], None]) -> None:
        self.limits = limits
        self.on_admission = on_admission
        self.now_s = 0.0
        self.slots = [Slot(number) for number in range(limits.max_num_seqs)]
        self.calls: dict[vllm_v1.Request, Call] = {}
        self.waiting: list[vllm_v1.Request] = []
        self.running: list[vllm_v1.Request] = []  # in order of admission
        self.with_kv: set[vllm_v1.Request] = set()  # waiting, with their prompt's KV here
        self.leavings = 0

    @property
    def held_tokens(self) -> int:
        """Return the tokens of calls that run, in whole blocks as everywhere."""
        return sum(BLOCK_TOKENS * vllm_v1.blocks_for(request.computed) for request in self.running)

    def enqueue(self, call: Call) -> None:
        emitted = int(self.limits.role == Role.DECODE)
        final = call.prompt + (1 if self.limits.role == Role.PREFILL else call.output)
        request = vllm_v1.Request(call.step.number, [], final, final, known=call.prompt + emitted)
        self.calls[request] = call
        if emitted:
            self.with_kv.add(request)
        self.waiting.append(request)

    def expire(self, now_s: float) -> None:
        """Nothing is kept for a while."""

    def unpin(self, session: Session) -> None:
        """Nothing is kept for one session."""

    # --- slots ---

    def prompt_tokens_found(self, call: Call) -> int:
        """Return what it would not have to compute if it were admitted now."""
        return self.reused(call, self.slot_for(call)) if self.free_slots else 0

    @property
    def free_slots(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.request is None]

    def in_common(self, call: Call, slot: Slot) -> int:
        if not self.limits.enable_prefix_cache:
            return 0
        same = 0
        while same < min(call.prompt, len(slot.text)) and slot.text[same] == call.text[same]:
            same += 1
        return same

    def reused(self, call: Call, slot: Slot) -> int:
        return min(self.in_common(call, slot), call.prompt - 1)

    def slot_for(self, call: Call) -> Slot:
        likest = max(self.free_slots, key=lambda slot: (self.in_common(call, slot), -slot.number))
        if 10 * self.in_common(call, likest) > call.prompt:
            return likest
        return min(self.free_slots, key=lambda slot: (slot.left, slot.number))

    # --- steps ---

    def schedule(self, step: Step) -> list[vllm_v1.Part]:
        """Give every decode a token, and what is left to prompts, then to calls that wait for a slot."""
        parts = [vllm_v1.Part(request, 1, True) for request in self.running if self.decodes(request)]
        budget = self.limits.max_num_batched_tokens - len(parts)
        prompts = [request for request in self.running if not self.decodes(request)]
        while budget > 0 and (prompts or (self.waiting and self.free_slots)):
            request = prompts.pop(0) if prompts else self.admit_first(step)
            tokens = min(request.known - request.computed, budget)
            budget -= tokens
            parts.append(vllm_v1.Part(request, tokens, tokens == request.known - request.computed))
        for part in parts:
            part.request.computed += part.tokens
        return parts

    def decodes(self, request: vllm_v1.Request) -> bool:
        return request.computed >= self.calls[request].prompt

    def admit_first(self, step: Step) -> vllm_v1.Request:
        request = self.waiting.pop(0)
        call = self.calls[request]
        slot = self.slot_for(call)
        cached = self.reused(call, slot)
        request.computed = call.prompt if request in self.with_kv else cached
        self.with_kv.discard(request)
        slot.request = request
        self.running.append(request)
        step.admitted.append((request.number, cached))
        self.on_admission(call)
        return request

    def see_end(self, parts: list[vllm_v1.Part], step: Step) -> None:
        for part in parts:
            if not part.emits:
                continue
            part.request.known += 1
            if part.request.known == part.request.final:
                self.leave(part.request)
                step.finished.append(part.request.number)

    def leave(self, request: vllm_v1.Request) -> None:
        slot = next(slot for slot in self.slots if slot.request is request)
        slot.request, slot.text = None, self.calls[request].text[: request.final - 1]
        slot.left = self.leavings
        self.leavings += 1
        self.running.remove(request)
