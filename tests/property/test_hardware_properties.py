"""What physics says of steps and watts, whatever the model, GPU and batch."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.load import Steps, load_of
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_terms import step_terms
from tracekit.analyzers.hardware.watts import step_watts

DENSE = ("Llama-3.1-8B", "Llama-3.1-70B", "Qwen3-14B", "Gemma-3-27B", "Phi-4")
MOE = ("Mixtral-8x7B", "Qwen3-30B-A3B", "DeepSeek-V3", "gpt-oss-120b", "Llama-4-Scout")
GPUS = ("A100-40", "L40S", "H100", "B200", "MI300X")
NOISE = 1e-12


def draw_replica(names):
    return st.builds(
        Replica,
        st.sampled_from(GPUS).map(catalog.gpu),
        st.sampled_from(names).map(catalog.model),
        st.sampled_from(("vllm-0.11", "vllm-0.6")).map(catalog.engine),
        st.sampled_from((1, 2, 4, 8)),
    )


REPLICAS = draw_replica(DENSE + MOE)
BATCHES = st.floats(1, 1024)
CONTEXTS = st.floats(1, 100_000)
PROMPTS = st.floats(0, 4000)


def terms_of(replica, batch, context, prompt_tokens=0.0):
    contents = (batch, context, context, prompt_tokens, prompt_tokens / 1000)
    load = load_of([replica], Steps(*(np.array([float(value)]) for value in contents)))
    return load, step_terms(load, replica.engine.step)


def step_s(*what):
    return float(terms_of(*what)[1].step[0])


def rises(less, more):
    return more >= less * (1 - NOISE)


@given(REPLICAS, BATCHES, st.floats(1, 4), CONTEXTS, PROMPTS)
def test_more_sequences_take_longer(replica, batch, factor, context, prompts):
    assert rises(step_s(replica, batch, context, prompts), step_s(replica, batch * factor, context, prompts))


@given(REPLICAS, BATCHES, st.floats(1, 4), CONTEXTS)
def test_but_less_than_in_proportion(replica, batch, factor, context):
    """Weights and host terms are shared: a token never costs more time in a larger batch."""
    assert rises(step_s(replica, batch * factor, context) / factor, step_s(replica, batch, context))


@given(REPLICAS, BATCHES, CONTEXTS, st.floats(1, 4), PROMPTS)
def test_longer_contexts_take_longer(replica, batch, context, factor, prompts):
    assert rises(step_s(replica, batch, context, prompts), step_s(replica, batch, context * factor, prompts))


@given(REPLICAS, BATCHES, CONTEXTS, PROMPTS, st.floats(1, 4))
def test_more_prompt_tokens_take_longer(replica, batch, context, prompts, factor):
    assert rises(step_s(replica, batch, context, prompts), step_s(replica, batch, context, prompts * factor))


@given(REPLICAS, BATCHES, CONTEXTS, PROMPTS, st.floats(1, 4), st.booleans())
def test_a_gpu_that_reads_or_computes_faster_is_no_slower(replica, batch, context, prompts, factor, reads):
    name = "bandwidth_gb_s" if reads else "bf16_dense_tflops"
    better = replace(replica, gpu=replace(replica.gpu, **{name: getattr(replica.gpu, name) * factor}))
    assert rises(step_s(better, batch, context, prompts), step_s(replica, batch, context, prompts))


@given(draw_replica(DENSE), BATCHES, CONTEXTS, PROMPTS)
def test_more_gpus_take_off_all_but_network_and_host(replica, batch, context, prompts):
    """All-reduces can eat it up again, so the whole step may be slower on a slow link."""
    terms = [terms_of(replace(replica, tp=tp), batch, context, prompts)[1] for tp in (1, 2, 4, 8)]
    shared = [float((each.step - each.network)[0]) for each in terms]
    assert all(rises(fewer, more) for more, fewer in pairwise(shared))


@given(draw_replica(MOE), st.floats(16, 1024))
def test_more_gpus_read_fewer_experts_each(replica, batch):
    """From 16 sequences on; with fewer, the busiest GPU's surplus is overstated (docs/background-hardware.md)."""
    read = [float(terms_of(replace(replica, tp=tp), batch, 100.0)[1].experts[0]) for tp in (1, 2, 4, 8)]
    assert all(rises(fewer, more) for more, fewer in pairwise(read))


@given(REPLICAS, BATCHES, CONTEXTS, PROMPTS)
def test_watts_lie_between_floor_and_limit(replica, batch, context, prompts):
    load, terms = terms_of(replica, batch, context, prompts)
    power = replica.engine.power
    watts = float(step_watts(load, terms, power)[0])
    assert power.floor_share * replica.gpu.tdp_w <= watts <= replica.gpu.tdp_w * (1 + NOISE)


@given(REPLICAS, BATCHES, CONTEXTS, st.floats(1, 10))
def test_the_same_work_in_more_time_draws_fewer_watts(replica, batch, context, factor):
    load, terms = terms_of(replica, batch, context)
    quick, slow = (
        step_watts(load, terms, replica.engine.power, terms.step * times) for times in (1.0, factor)
    )
    assert rises(float(slow[0]), float(quick[0]))
