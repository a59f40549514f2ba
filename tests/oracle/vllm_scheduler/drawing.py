"""Random workloads, small enough to follow by hand and tight enough that memory is what they fight for."""

from __future__ import annotations

from random import Random

from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS, Call, Limits, Workload


def draw(seed: int) -> Workload:
    """Return a workload with shared prefixes; every call fits into the memory by itself."""
    random = Random(seed)
    calls: list[Call] = []
    lengths: list[int] = []
    turn_tokens = random.choice([20, 60, 200])
    output_tokens = random.choice([8, 25, 60])
    repeats = random.random() < 0.3
    limit_share = random.choice([1.0, 0.5])
    hurry = random.choice([1, 3, 10])  # mean steps between sessions
    arrival = 0
    for _ in range(random.randint(4, 12)):
        arrival += int(random.expovariate(1 / hurry))
        last = -1
        for turn in range(random.randint(1, 5)):
            new = 1 + int(random.expovariate(1 / turn_tokens))
            output = 1 + int(random.expovariate(1 / output_tokens))
            parent, waits, shared = last, turn > 0, lengths[last] if turn else 0
            if calls and (turn == 0 or random.random() < 0.2):  # a prompt that starts as any other one
                parent, waits = random.randrange(len(calls)), False
                shared = random.randint(0, lengths[parent])
                if random.random() < 0.4:  # the same prompt, or some of it in whole blocks
                    shared = lengths[parent] - calls[parent].output
                    if random.random() < 0.7:
                        shared -= shared % BLOCK_TOKENS
                    new = 0 if shared else new
            delay = int(random.expovariate(0.2)) if waits else arrival
            at_limit = random.random() < limit_share
            calls.append(Call(delay, parent, waits, shared, new, output, at_limit, repeats))
            lengths.append(shared + new + output)
            last = len(calls) - 1
    return Workload(seed, draw_limits(random, lengths, calls), calls)


def draw_limits(random: Random, lengths: list[int], calls: list[Call]) -> Limits:
    prompts = [length - call.output for length, call in zip(lengths, calls, strict=True)]
    max_model_len = max(lengths) + random.randint(0, 40)
    if random.random() < 0.2:  # some are cut short
        max_model_len = max(*(prompt + 2 for prompt in prompts), max_model_len * 3 // 4)
    largest = -(-max_model_len // BLOCK_TOKENS)
    max_num_seqs = random.choice([2, 4, 8, 16])
    prompt_chunk = random.choice([16, 40, 64, 200, 512])
    return Limits(
        num_gpu_blocks=1 + largest + random.randint(0, largest * 3 // 4 + 4),
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max(max_num_seqs, prompt_chunk),
        max_model_len=max_model_len,
        prefix_caching=random.random() < 0.85,
        long_prefill_token_threshold=random.choice([0, 0, 0, 0, 8, 30]),
        watermark=random.choice([0.0, 0.0, 0.0, 0.05, 0.2]),
        reserve_full_prompt=random.random() < 0.85,
        async_scheduling=random.random() < 0.4,
    )
