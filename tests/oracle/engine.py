"""A vLLM V1 replica that may also be static, compute prompts only, or be sent the KV of prompts."""

from __future__ import annotations

from tests.oracle import vllm_v1
from tests.oracle.session import Call
from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS, Limits, Step
from tests.oracle.vllm_scheduler.workload import Call as Given
from tracekit.analyzers.kernels.layout import Batching, FleetLimits, Role


class Engine(vllm_v1.Replica):
    def __init__(self, limits: FleetLimits, blocks: int) -> None:
        super().__init__(engine_limits(limits, blocks))
        self.is_static = limits.batching == Batching.STATIC
        self.role = limits.role
        self.with_kv: set[vllm_v1.Request] = (
            set()
        )  # waiting, with their prompt's KV here and not yet in blocks

    def enqueue(self, call: Call) -> None:
        if self.role == Role.DECODE:
            request = self.request(call, emitted=1)
            self.with_kv.add(request)
        else:
            request = self.request(call)
            if self.role == Role.PREFILL:
                request.final = call.prompt + 1
        self.waiting.append(request)

    def request(self, call: Call, emitted: int = 0) -> vllm_v1.Request:
        given = Given(0, -1, False, 0, call.prompt + emitted, call.output - emitted, True, False)
        return self.read(call.step.number, given, call.text)

    def prompt_blocks_found(self, call: Call) -> int:
        return self.memory.hit(self.request(call), (call.prompt - 1) // BLOCK_TOKENS)[0]

    def admit(self, parts: list[vllm_v1.Part], budget: int, longest: int, step: Step) -> None:
        if not (self.is_static and self.running):
            super().admit(parts, budget, longest, step)

    def admit_first(self, parts: list[vllm_v1.Part], most: int, step: Step) -> int:
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


def engine_limits(limits: FleetLimits, blocks: int) -> Limits:
    return Limits(
        num_gpu_blocks=1 + blocks,  # one is a placeholder
        max_num_seqs=limits.max_num_seqs,
        max_num_batched_tokens=limits.max_num_batched_tokens,
        max_model_len=limits.max_model_len,
        prefix_caching=bool(limits.enable_prefix_cache),
    )
