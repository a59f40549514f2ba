"""A config.json becomes the model that the catalog knows; what it cannot be is said with a way out."""

import json

import pytest

from tracekit.analyzers.catalog import catalog
from tracekit.errors import ModelConfigInvalid

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
QWEN3_MOE = {
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "sliding_window": None,
    "use_sliding_window": False,
}
GEMMA2 = {
    "model_type": "gemma2",
    "hidden_size": 3584,
    "num_hidden_layers": 42,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 256,
    "intermediate_size": 14336,
    "sliding_window": 4096,
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
}
GEMMA3 = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 3840,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
        "intermediate_size": 15360,
        "sliding_window": 1024,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
    },
    "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152},
}
DEEPSEEK = {
    "model_type": "deepseek_v2",
    "hidden_size": 2048,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 102400,
    "max_position_embeddings": 163840,
}
GPT_OSS = {
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "intermediate_size": 2880,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "sliding_window": 128,
    "attention_bias": True,
    "vocab_size": 201088,
    "max_position_embeddings": 131072,
    "tie_word_embeddings": False,
    "quantization_config": {"quant_method": "mxfp4"},
}
NEMOTRON_H = {
    "model_type": "nemotron_h",
    "hidden_size": 4480,
    "num_hidden_layers": 56,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 15680,
    "hybrid_override_pattern": "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
    "mamba_num_heads": 128,
    "mamba_head_dim": 80,
    "ssm_state_size": 128,
    "n_groups": 8,
    "conv_kernel": 4,
    "mlp_hidden_act": "relu2",
    "vocab_size": 131072,
    "max_position_embeddings": 131072,
}
LLAMA4 = {
    "model_type": "llama4",
    "text_config": {
        "model_type": "llama4_text",
        "hidden_size": 5120,
        "num_hidden_layers": 48,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 8192,
        "intermediate_size_mlp": 16384,
        "interleave_moe_layer_step": 1,
        "num_local_experts": 16,
        "num_experts_per_tok": 1,
        "attention_chunk_size": 8192,
        "vocab_size": 202048,
        "max_position_embeddings": 10485760,
    },
    "vision_config": {
        "hidden_size": 1408,
        "image_size": 336,
        "intermediate_size": 5632,
        "num_hidden_layers": 34,
        "patch_size": 14,
        "projector_input_dim": 4096,
        "projector_output_dim": 4096,
        "vision_output_dim": 4096,
    },
}
QWEN3_NEXT = {
    "model_type": "qwen3_next",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "intermediate_size": 5120,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "decoder_sparse_step": 1,
    "full_attention_interval": 4,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
}
KNOWN = {
    "Llama-3.1-8B": LLAMA,
    "Qwen3-30B-A3B": QWEN3_MOE,
    "Gemma-2-9B": GEMMA2,
    "DeepSeek-V2-Lite": DEEPSEEK,
    "gpt-oss-20b": GPT_OSS,
    "Nemotron-Nano-9B-v2": NEMOTRON_H,
    "Llama-4-Scout": LLAMA4,
    "Qwen3-Next-80B-A3B": QWEN3_NEXT,
}
SAME = (
    "layers", "hidden_size", "heads", "kv_heads", "head_dim", "vocabulary", "tied_embeddings", "max_model_len",
    "attention_layers", "window_layers", "window_tokens", "latent_values", "state_bytes_per_sequence", "experts",
    "experts_per_token", "moe_layers", "expert_parameters", "precision", "kv_bytes_per_token",
)  # fmt: skip


def compressed(bits, kind):
    weights = {"num_bits": bits, "type": kind}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


@pytest.fixture
def folder(tmp_path):
    def holding(values, name="config.json"):
        (tmp_path / name).write_text(json.dumps(values))
        return str(tmp_path)

    return holding


@pytest.mark.parametrize("name", KNOWN)
def test_it_becomes_the_model_of_the_catalog(folder, name):
    read, known = catalog.model(folder(KNOWN[name])), catalog.model(name)
    assert {key: getattr(read, key) for key in SAME} == {key: getattr(known, key) for key in SAME}
    assert read.parameters == pytest.approx(known.parameters, rel=1e-4)
    assert "parameters computed" in read.source


def test_a_vision_tower_that_is_not_described_is_said_to_be_missing(folder):
    read, known = catalog.model(folder(GEMMA3)), catalog.model("Gemma-3-12B")
    assert read.source.endswith("without its encoders")
    assert read.parameters == known.parameters - known.encoder_parameters
    assert (read.window_layers, read.window_tokens) == (40, 1024)


def test_the_path_is_the_name_and_leads_back(folder):
    path = folder(LLAMA)
    assert catalog.model(path).name == path
    assert catalog.model(catalog.model(path + "@fp8").name).precision == "fp8"
    assert catalog.model(path + "/config.json").parameters == catalog.model(path).parameters


@pytest.mark.parametrize(
    ("quantization", "precision"),
    [
        ({"quant_method": "fp8", "fmt": "e4m3"}, "fp8"),
        ({"quant_method": "awq", "bits": 4}, "int4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4"),
        (compressed(8, "float"), "fp8"),
        (compressed(4, "int"), "int4"),
    ],
)  # fmt: skip
def test_quantization_gives_the_precision(folder, quantization, precision):
    assert catalog.model(folder(LLAMA | {"quantization_config": quantization})).precision == precision


@pytest.mark.parametrize(
    ("spared", "layers"),
    [
        ([], 0),
        (["lm_head"], 0),
        (["re:.*self_attn.*", "lm_head"], 32),
        (["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj", "model.layers.31.self_attn.q_proj"], 2),
    ],
)  # fmt: skip
def test_attention_that_is_spared_stays_at_sixteen_bits(folder, spared, layers):
    method = {"quant_method": "fbgemm_fp8", "modules_to_not_convert": spared}
    read = catalog.model(folder(LLAMA | {"quantization_config": method}))
    assert read.kept_parameters == layers * 2 * 4096 * (4096 + 1024)
    assert read.weight_bytes == catalog.model("Llama-3.1-8B@fp8").weight_bytes + read.kept_parameters


def test_mxfp4_is_of_experts_alone(folder):
    assert catalog.model(folder(GPT_OSS)).weight_bytes == catalog.model("gpt-oss-20b").weight_bytes


def test_modelopt_writes_a_file_beside_it(folder):
    folder({"quantization": {"quant_algo": "FP8"}}, "hf_quant_config.json")
    assert catalog.model(folder(LLAMA)).precision == "fp8"


def test_quantized_to_eight_bits_of_gptq(folder):
    with_bits = LLAMA | {"quantization_config": {"quant_method": "gptq", "bits": 8}}
    assert catalog.model(folder(with_bits)).precision == "int8"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (LLAMA | {"model_type": "mamba9"}, "model_type = 'mamba9', which is not known here; known are bloom, "),
        ({key: value for key, value in LLAMA.items() if key != "hidden_size"}, "has no 'hidden_size'"),
        ({key: value for key, value in LLAMA.items() if key != "intermediate_size"}, "has no 'intermediate_size'"),
        (LLAMA | {"num_hidden_layers": "32"}, "num_hidden_layers is '32'"),
        (LLAMA | {"quantization_config": {"quant_method": "hqq"}}, "quant_method = 'hqq'"),
        (LLAMA | {"layer_types": ["hyper_attention"]}, "layer_types = 'hyper_attention'"),
        (LLAMA | {"torch_dtype": "float8"}, "torch_dtype = 'float8'"),
        ([], "no JSON object"),
    ],
)  # fmt: skip
def test_what_it_cannot_be(folder, values, words):
    with pytest.raises(ModelConfigInvalid) as caught:
        catalog.model(folder(values))
    assert words in str(caught.value)


def test_a_file_that_is_missing_or_no_json(tmp_path):
    with pytest.raises(ModelConfigInvalid, match="cannot be used"):
        catalog.model(str(tmp_path / "none.json"))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelConfigInvalid, match="no JSON"):
        catalog.model(str(tmp_path))
