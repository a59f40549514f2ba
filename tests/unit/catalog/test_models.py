"""Every model's sizes add up to what its publisher states; spellings lead to one model; sizes follow from it."""

import re

import pytest

from tests.unit.catalog.parameter_count import count, published
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.tables import table
from tracekit.errors import UnknownName

DATE = re.compile(r"20\d\d(-\d\d){0,2}")
ROWS = table("models")
EACH = pytest.mark.parametrize("name", ROWS)


@EACH
def test_parameters_are_those_of_the_matrices(name):
    assert count(ROWS[name]) == pytest.approx(ROWS[name]["parameters"], rel=5e-4)


@EACH
def test_parameters_are_those_published(name):
    """Within 1 %, or within the rounding of the published number where that is coarser."""
    total, rounding = published(ROWS[name]["published"])
    assert count(ROWS[name]) == pytest.approx(total, abs=max(0.01 * total, rounding))


@EACH
def test_layers_are_those_of_the_matrices(name):
    """A layer has a mixer and a feed-forward, or, in Nemotron-H, one of the two; a searched Llama leaves some out."""
    row = ROWS[name]
    matrices, layers = row["matrices"], row["layers"]
    mixers = row.get("attention_layers", layers) + matrices.get("recurrence", [0])[0]
    forwards = sum(count for count, *_ in matrices.get("feed_forward", ())) + row.get("moe_layers", 0)
    if name == "Llama-3.3-Nemotron-Super-49B":
        assert (mixers, forwards) == (49, 80)
    elif matrices.get("recurrence") and "gated_attention" not in matrices:
        assert mixers + forwards == layers
    else:
        assert (mixers, forwards) == (layers, layers)


@pytest.mark.parametrize("name", [name for name in ROWS if "published_active" in ROWS[name]])
def test_active_parameters_are_those_published(name):
    """Publishers count embeddings or do not, so the published number lies between both counts."""
    model = catalog.model(name)
    active, rounding = published(ROWS[name]["published_active"])
    most = model.active_parameters - model.encoder_parameters
    least = most - 2 * model.embedding_parameters
    assert least - max(0.03 * active, rounding) <= active <= most + max(0.03 * active, rounding)


@EACH
def test_each_model_has_a_source_a_date_and_plausible_sizes(name):
    model = catalog.model(name)
    assert DATE.fullmatch(model.date)
    assert "config.json" in model.source
    assert 1e8 < model.parameters < 2e12
    assert model.heads % model.kv_heads == 0
    assert 64 <= model.head_dim <= 256
    assert 0 < model.attention_layers <= model.layers
    assert model.window_layers <= model.attention_layers
    assert (model.window_layers > 0) == (model.window_tokens > 0)
    assert model.experts_per_token <= model.experts
    assert 0 < model.active_parameters <= model.parameters
    assert 0 < model.always_streamed_bytes <= model.weight_bytes
    assert model.max_model_len >= 2048
    assert model.state_bytes_per_sequence < 1e9


def test_at_least_sixty_models():
    assert len(ROWS) >= 60


def test_spellings_lead_to_one_model():
    words = [
        word.lower()
        for name, row in ROWS.items()
        for word in (name, *row["aliases"], *row.get("precisions", ()))
    ]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("nvidia/Llama-3.1-405B-Instruct-FP8", "Llama-3.1-405B@fp8"),
        ("meta-llama/llama-3.1-405b-instruct-fp8", "meta-llama/Llama-3.1-405B-Instruct-FP8"),
        ("qwen/qwen3-32b-awq", "Qwen3-32B@int4"),
        ("Qwen/Qwen3-Coder-30B-A3B-Instruct", "Qwen3-30B-A3B-2507"),
        ("Llama-3.1-8B@fp8", "Llama-3.1-8B@fp8"),
        ("Llama-3.1-8B@BF16", "Llama-3.1-8B"),
        ("gpt-oss-20b@mxfp4", "gpt-oss-20b"),
    ],
)
def test_published_checkpoints_lead_to_a_precision(spelling, name):
    assert catalog.model(spelling).name == name
    assert catalog.find_model(spelling) == catalog.model(name)


def test_unknown_names_and_precisions_say_what_is_near():
    with pytest.raises(UnknownName, match="Did you mean Qwen3-Coder-480B-A35B"):
        catalog.model("Qwen3-Coder-480")
    with pytest.raises(UnknownName, match=r"Unknown precision 'fp9'\. Did you mean fp8"):
        catalog.model("Llama-3.1-8B@fp9")
    assert catalog.find_model("gpt-4o") is None
    assert catalog.find_model(None) is None


def test_a_dense_model_reads_all_but_its_input_embedding():
    model = catalog.model("Llama-3.1-8B")
    embedding = 128256 * 4096
    assert model.active_parameters == model.parameters == 8030261248
    assert model.streamed_parameters == model.multiplied_parameters == model.parameters - embedding
    assert model.always_streamed_bytes == 2 * model.streamed_parameters
    assert model.weight_bytes == 2 * model.parameters
    assert model.dtype_bytes == 2
    assert model.kv_bytes_per_token == 2 * 32 * 8 * 128 * 2


def test_embeddings_stay_at_sixteen_bits():
    model = catalog.model("Llama-3.1-8B")
    embeddings = 2 * 128256 * 4096
    assert model.at("fp8").weight_bytes == model.parameters + embeddings
    assert model.at("fp8").kv_bytes_per_token == model.kv_bytes_per_token
    assert model.at("int4").weight_bytes == pytest.approx(5.74e9, rel=0.02)
    assert model.at("fp8").at("bf16").weight_bytes == model.weight_bytes


@pytest.mark.parametrize(
    ("name", "checkpoint_gb"),
    [("gpt-oss-20b", 13.8), ("gpt-oss-120b", 65.2), ("DeepSeek-V3", 673), ("Qwen/Qwen3-32B-FP8", 34.3)],
)
def test_weights_take_the_bytes_of_the_published_files(name, checkpoint_gb):
    assert catalog.model(name).weight_bytes / 1e9 == pytest.approx(checkpoint_gb, rel=0.01)


def test_a_checkpoint_that_keeps_parts_at_sixteen_bits():
    """Meta's own keeps attention, and the first and last layer (arXiv 2407.21783, 6.2)."""
    whole, own = catalog.model("Llama-3.1-405B@fp8"), catalog.model("meta-llama/Llama-3.1-405B-Instruct-FP8")
    attention = 126 * 2 * 16384 * (16384 + 8 * 128)
    assert own.kept_parameters == attention + 2 * 3 * 16384 * 53248
    assert own.weight_bytes == whole.weight_bytes + own.kept_parameters
    assert own.at("int4").kept_parameters == 0


def test_dense_models_can_be_of_every_precision():
    model = catalog.model("Llama-3.1-8B")
    sizes = [model.at(precision).weight_bytes for precision in ("bf16", "fp8", "nvfp4", "mxfp4", "int4")]
    assert sizes == sorted(sizes, reverse=True)


def test_experts_latents_windows_and_states():
    moe = catalog.model("Mixtral-8x7B")
    unused = 32 * 6 * 3 * 4096 * 14336
    assert moe.active_parameters == moe.parameters - unused
    assert moe.always_streamed_bytes == 2 * (moe.streamed_parameters - 32 * 8 * 3 * 4096 * 14336)
    assert moe.expert_bytes == 2 * 3 * 4096 * 14336
    latent = catalog.model("DeepSeek-V3")
    assert latent.kv_bytes_per_token == 61 * (512 + 64) * 2
    windowed = catalog.model("Gemma-2-9B")
    per_layer = 2 * 8 * 256 * 2
    assert windowed.kv_bytes(4096) == windowed.kv_bytes_per_token * 4096
    assert windowed.kv_bytes(8192) == per_layer * 21 * (8192 + 4096)
    hybrid = catalog.model("Nemotron-Nano-9B-v2")
    assert hybrid.attention_layers == 4
    assert hybrid.kv_bytes_per_token == 4 * 2 * 8 * 128 * 2
    assert hybrid.state_bytes_per_sequence == 27 * (128 * 80 * 128 * 4 + (128 * 80 + 2 * 8 * 128) * 3 * 2)
