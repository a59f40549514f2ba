"""Names match through aliases; the analytic tier behaves."""

import pytest

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.replica import Replica, kv_capacity_tokens
from tracekit.analyzers.hardware.step_cost import replica_cost
from tracekit.analyzers.scenario import Fleet
from tracekit.errors import ModelDoesNotFit, ScenarioInvalid, UnknownName


def test_aliases_lead_to_one_name():
    assert catalog.gpu("h100").name == catalog.gpu("NVIDIA H100 80GB HBM3").name == "H100-SXM-80GB"
    assert catalog.find_model("meta-llama/Llama-3.1-8B-Instruct").name == "Llama-3.1-8B"
    assert catalog.find_model("gpt-4o") is None
    for loosely in ("H100 PCIe", "nvidia-h100-pcie", "H100_PCIE_80GB"):
        assert catalog.gpu(loosely).name == "H100-PCIe-80GB"
    assert catalog.gpu("AMD MI300X").name == "MI300X"
    with pytest.raises(UnknownName, match="Did you mean A100-40"):
        catalog.gpu("A100-4")


def test_single_stream_decode_on_an_a100():
    """Llama-3.1-8B, 600 tokens of context, vLLM 0.6: 14.4 ms published (arXiv 2506.04301), not fitted."""
    cost = replica_cost(Fleet.of("A100-40", "Llama-3.1-8B", engine="vllm-0.6").pools[0].replica()).step
    tpot_s = cost.base_s + cost.decode_s + 600 * cost.decode_context_s
    assert tpot_s == pytest.approx(14.4e-3, rel=0.05)


@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Llama-3.1-70B"])
def test_more_parallelism_is_faster_and_holds_more(model):
    replicas = [Replica(catalog.gpu("H100"), catalog.model(model), catalog.engine(), tp) for tp in (4, 8)]
    steps = [replica_cost(replica).step.base_s for replica in replicas]
    assert steps == sorted(steps, reverse=True)
    held = [kv_capacity_tokens(replica) for replica in replicas]
    assert held == sorted(held)


def test_watts_stay_between_warm_idle_and_tdp():
    replica = Fleet.of("L40S", "Llama-3.1-8B", tp=2).pools[0].replica()
    curve = replica_cost(replica).power
    assert curve.idle_w == 2 * 101
    assert curve.floor_w + curve.span_w == 2 * 350


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


def test_an_unknown_name_among_many_says_where_they_are():
    names = [f"name-{number:02}" for number in range(60)]
    assert "`tracekit info --models` lists the 60" in str(UnknownName.among("model", "zzz", names))
    told = str(UnknownName.among("number in these documents", "zzz", names))
    assert told.endswith("60 are known: " + ", ".join(names[:40]) + ", ...")
