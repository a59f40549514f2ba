"""What a replay's steps take and draw is what `tracekit validate` judges."""

import numpy as np
import pytest

from tests.oracle.workloads import Story, call, fleet, workload_of
from tracekit.analyzers.hardware.load import Steps, load_of
from tracekit.analyzers.hardware.step_cost import replica_cost
from tracekit.analyzers.hardware.step_terms import step_terms
from tracekit.analyzers.hardware.watts import step_watts
from tracekit.analyzers.kernels.layout import Pool, State
from tracekit.analyzers.kernels.replay import replay_pools
from tracekit.analyzers.scenario import Fleet

SEQUENCES = 64
PROMPT = 900


@pytest.mark.parametrize(
    ("gpu", "model", "tp", "engine"),
    [
        ("H100", "Llama-3.1-8B", 1, "vllm-0.11"),
        ("L40S", "Llama-3.1-8B", 2, "vllm-0.6"),
        ("B200", "meta-llama/Llama-3.1-405B-Instruct-FP8", 8, "vllm-0.11"),
        ("H100", "Qwen3-30B-A3B", 2, "vllm-0.11"),
        ("H200", "DeepSeek-V3", 8, "vllm-0.11"),
        ("H100", "Nemotron-Nano-9B-v2", 1, "vllm-0.11"),
    ],
)
def test_a_decode_step_of_the_kernel_is_one_of_the_model(gpu: str, model: str, tp: int, engine: str) -> None:
    """64 prompts of one step, then one decode step of all; between nodes of the table the two may differ."""
    replica = Fleet.of(gpu, model, tp=tp, engine=engine).pools[0].replica()
    cost = replica_cost(replica)
    limits = fleet(max_num_seqs=SEQUENCES, max_num_batched_tokens=SEQUENCES * PROMPT, num_blocks=10_000)
    told = [Story(0.0, [call(PROMPT, 2)]) for _ in range(SEQUENCES)]
    outcome = replay_pools(workload_of(told), [Pool(cost.step, cost.power, limits, table=cost.table)])
    (decode,) = outcome.segments[outcome.segments["state"] == State.DECODE]
    context, running = np.array([PROMPT + 1.0]), np.array([float(SEQUENCES)])
    load = load_of([replica], Steps(running, context, context, np.zeros(1), np.zeros(1)))
    terms = step_terms(load, replica.engine.step)
    seconds = decode["end_s"] - decode["start_s"]
    assert seconds == pytest.approx(terms.decode[0], rel=1e-9)
    watts = tp * step_watts(load, terms, replica.engine.power)[0]
    assert decode["energy_j"] / seconds == pytest.approx(watts, rel=1e-9)
