"""Catalog values carry source and date; names match through aliases; the analytic tier behaves."""

import re

import pytest

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware import Replica, kv_capacity_tokens, power_curve, step_cost
from tracekit.analyzers.scenario import Fleet
from tracekit.errors import ModelDoesNotFit, ScenarioInvalid, UnknownName

DATE = re.compile(r"20\d\d(-\d\d)?")


@pytest.mark.parametrize("name", catalog.names("gpus"))
def test_gpu_values_have_source_date_and_a_plausible_range(name):
    gpu = catalog.gpu(name)
    assert all(DATE.search(source) for source in gpu.sources.values())
    assert len(gpu.sources) == 6
    assert 8 <= gpu.memory_gb <= 300
    assert 100 <= gpu.bandwidth_gb_s <= 20_000
    assert 20 <= gpu.warm_idle_w < gpu.tdp_w <= 2000
    price = gpu.usd_per_hour
    assert 0 < price.low <= price.typical <= price.high
    assert DATE.fullmatch(price.date)


@pytest.mark.parametrize("name", catalog.names("models"))
def test_model_sizes_add_up(name):
    model = catalog.model(name)
    attention = model.hidden_size * model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    embeddings = model.vocabulary * model.hidden_size * (1 if model.tied_embeddings else 2)
    feed_forward = model.parameters - embeddings - model.layers * attention
    assert 0.5 < feed_forward / model.parameters < 0.9
    assert DATE.search(model.source)


def test_aliases_lead_to_one_name():
    assert catalog.gpu("h100").name == catalog.gpu("NVIDIA H100 80GB HBM3").name == "H100-SXM-80GB"
    assert catalog.find_model("meta-llama/Llama-3.1-8B-Instruct").name == "Llama-3.1-8B"
    assert catalog.find_model("gpt-4o") is None
    with pytest.raises(UnknownName, match="Did you mean A100-40"):
        catalog.gpu("A100-4")


def test_single_stream_decode_on_an_a100():
    """Llama-3.1-8B, 600 tokens of context: 14.4 ms published (arXiv 2506.04301); this tier says 13.7 (-5 %)."""
    cost = step_cost(Fleet.of("A100-40", "Llama-3.1-8B").pools[0].replica())
    tpot_s = cost.base_s + cost.decode_s + 600 * cost.decode_context_s
    assert tpot_s == pytest.approx(13.66e-3, rel=0.002)


@pytest.mark.parametrize("model", catalog.names("models"))
def test_more_parallelism_is_faster_and_holds_more(model):
    replicas = [Replica(catalog.gpu("H100"), catalog.model(model), catalog.engine(), tp) for tp in (4, 8)]
    steps = [step_cost(replica).base_s for replica in replicas]
    assert steps == sorted(steps, reverse=True)
    held = [kv_capacity_tokens(replica) for replica in replicas]
    assert held == sorted(held)


def test_watts_stay_between_warm_idle_and_tdp():
    replica = Fleet.of("L40S", "Llama-3.1-8B", tp=2).pools[0].replica()
    curve = power_curve(replica)
    assert curve.idle_w == 2 * 101
    assert curve.idle_w + curve.span_w * curve.cap < 2 * 350


def test_a_model_that_does_not_fit_names_the_size_that_does():
    with pytest.raises(ModelDoesNotFit, match=r"need 142.4 GB a GPU, 70.5 GB are usable. Use --tp 4"):
        Fleet.of("H100", "Llama-3.1-70B").limits()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpu = 'H100'", "has no table"),
        ("[fleet]\ngpu = 'H100'", "has no 'model'"),
        ("[fleet]\ngpu = 'H100'\nmodel = 'Llama-3.1-8B'\nreplica = 2", "Did you mean replicas"),
        ("[fleet]\ngpu = 'H100'\nmodel = 'Llama-3.1-8B'\nreplicas = 0", "at least 1"),
        ("[fleet]\ngpu = 'H100'\nmodel = 'Llama-3.1-8B'\nreplicas = 1.5", "at least 1"),
        ("[fleet", "cannot be used"),
    ],
)
def test_fleet_files_that_cannot_be_used(tmp_path, text, words):
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    with pytest.raises((ScenarioInvalid, UnknownName), match=words):
        Fleet.from_toml(path)
