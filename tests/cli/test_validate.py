"""`tracekit validate` as a user types it."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.hardware.made_rows import made_rows, write_rows
from tracekit.analyzers.hardware.validation import QUANTITIES, TIERS

GROUP_KEYS = {"gpu", "kind", "tier", "n", "in_fit", "not_better_than", *QUANTITIES}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """30 rows of which all are 10 % too slow for the model, and one whose GPU nobody knows; no published rows."""
    monkeypatch.setenv("TRACEKIT_SHARED", str(tmp_path / "nothing"))
    made = made_rows(slower=1.1)
    return write_rows(tmp_path / "rows.csv", [*made, made[0] | {"gpu": "H10000"}])


def test_json_has_the_documented_keys(rows):
    out, _err = run("validate", rows, "--json", cwd=rows.parent)
    document = json.loads(out)
    assert document["schema_version"] == 1
    assert (document["rows"], document["judged"]) == (31, 30)
    (skipped,) = document["skipped"]
    assert skipped["row"] == 31
    assert "Did you mean H100" in skipped["why"]
    assert {group["tier"] for group in document["groups"]} == set(TIERS)
    for group in document["groups"]:
        assert set(group) == GROUP_KEYS
        for name in QUANTITIES:
            assert group[name] is None or set(group[name]) == {"n", "mape", "median_ape", "bias"}
    (analytic,) = [group for group in document["groups"] if group["tier"] == "analytic"]
    assert (analytic["gpu"], analytic["kind"], analytic["n"]) == ("H100-SXM-80GB", "dense", 30)
    assert analytic["itl_ms"]["bias"] == pytest.approx(1 / 1.1 - 1)
    assert analytic["in_fit"] is None


def test_the_table_says_what_was_skipped_and_what_nobody_can_tell(rows):
    out, _err = run("validate", rows, cwd=rows.parent)
    assert "9.1 / 9.1 (-9.1)" in out
    assert "row 31: Unknown GPU 'H10000'" in out
    assert "in fit ?" in out


def test_bars_decide_the_exit_code(rows):
    run("validate", rows, "--fail-if", "itl_ms>10%", cwd=rows.parent)
    _out, err = run("validate", rows, "--fail-if", "dense.itl_ms>0.05", cwd=rows.parent, code=1)
    assert "past the bar: dense.itl_ms>0.05: 9.1% on 30 dense row(s) of H100-SXM-80GB" in err
    _out, err = run("validate", rows, "--fail-if", "watts>0.05", cwd=rows.parent, code=2)
    assert "'watts' is not known" in err


@pytest.mark.parametrize(("name", "begins"), [("errors.png", b"\x89PNG"), ("errors.svg", b"<?xml")])
def test_a_plot(rows, name, begins):
    run("validate", rows, "-o", name, cwd=rows.parent)
    path = rows.parent / name
    assert path.read_bytes().startswith(begins)
    _out, err = run("validate", rows, "-o", name, cwd=rows.parent, code=2)
    assert "exists already" in err
    run("validate", rows, "-o", name, "--force", cwd=rows.parent)
    assert not list(rows.parent.glob(".*partial*"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rows.csv", "-o", "plot.doc"), "does not end in .png"),
        (("missing.csv",), "cannot be read"),
        (("rows.csv", "--fit"), "takes no ROWS"),
        ((), "Put mlenergy_v3_h100.csv"),
        (("--fit",), "Put mlenergy_v3_h100.csv"),
        (("-o", "plot.png"), "A plot needs ROWS"),
        (("--fail-if", "itl_ms>1"), "the only bar is 'missed'"),
    ],
)
def test_what_cannot_be_done(rows, words, says):
    _out, err = run("validate", *words, cwd=rows.parent, code=2)
    assert says in err


V3_HEAD = (
    "task,model_id,weight_precision,num_gpus,tensor_parallel,avg_batch_size,avg_output_len,median_itl_ms,"
    "output_throughput_tokens_per_sec,power_per_gpu_w,energy_per_token_joules"
)
V2_HEAD = (
    "task,model,gpu,tp,pp,avg_batch,avg_tpot_s,output_tok_s,avg_output_tokens,j_per_output_token_derived,"
    "power_per_gpu_w_derived"
)
BENCH_HEAD = "hardware,num_gpus,framework,model,input_len,output_len,batch_size,latency_s,avg_power_w"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Files in the form of the published ones, made by the model itself."""
    folder = tmp_path / "data" / "fit"
    folder.mkdir(parents=True)
    v3 = [
        f"lm-arena-chat,{row['model']},bfloat16,4,4,{row['batch']},400,{row['itl_ms']},{row['output_tok_s']},"
        f"{row['power_per_gpu_w']},{row['j_per_output_token']}"
        for row in made_rows(batches=(8, 16, 32, 64, 128)) + made_rows(names=("Qwen3-30B-A3B",))
    ]
    v2, bench = [], []
    for gpu in ("A100-40", "H100"):
        for row in made_rows(gpu=gpu, names=("Llama-3.1-8B", "Qwen3-8B")):
            rate, batch = float(row["output_tok_s"]), float(row["batch"])
            v2.append(
                f"llm_text,{row['model']},{gpu},4,1,{row['batch']},{batch / rate},{rate},400,"
                f"{row['j_per_output_token']},{row['power_per_gpu_w']}"
            )
            bench.append(
                f"Nvidia {gpu} GPU,4,vLLM,{row['model']},500,400,{row['batch']},{400 * batch / rate},"
                f"{row['power_per_gpu_w']}"
            )
    for name, head, lines in (
        ("mlenergy_v3_h100.csv", V3_HEAD, v3),
        ("mlenergy_v2_llm.csv", V2_HEAD, v2),
        ("llm_inference_bench_power.csv", BENCH_HEAD, bench),
    ):
        (folder / name).write_text("\n".join([head, *lines]) + "\n")
    monkeypatch.setenv("TRACEKIT_SHARED", str(tmp_path))
    return tmp_path


def test_the_table_that_is_held_to(published):
    out, _err = run("validate", "--json", cwd=published)
    lines = json.loads(out)["lines"]
    assert {line["fit"] for line in lines} == {
        "without the point's architecture",
        "without the point's model",
        "to H100 rows alone",
        "without the point's architecture, then calibrated without its batch",
    }
    dense = next(line for line in lines if line["quantity"] == "itl_s" and line["rows"].endswith("dense"))
    assert dense["asked"] == {"mape": 0.08, "median_ape": 0.06}
    assert dense["error"]["n"] == 25
    assert dense["reached"] is True  # the rows are the model's own
    assert dense["baselines"]["constant"]["mape"] > dense["error"]["mape"]
    out, _err = run("validate", cwd=published)
    assert "Fitted: to H100 rows alone" in out
    assert "bars reached" in out


def test_missed_bars_fail_only_where_asked(published):
    path = published / "data" / "fit" / "mlenergy_v3_h100.csv"
    head, *lines = path.read_text().splitlines()
    slow = [line.split(",") for line in lines]
    for index, words in enumerate(slow):
        words[7] = str(float(words[7]) * (1 + index % 3))
    path.write_text("\n".join([head, *(",".join(words) for words in slow)]) + "\n")
    out, _err = run("validate", cwd=published)
    assert "MISSED" in out
    _out, err = run("validate", "--fail-if", "missed", cwd=published, code=1)
    assert "past the bar: itl_s, H100 v3, dense" in err


def test_fitted_constants_are_toml_that_a_profile_could_have(published):
    import tomllib

    out, err = run("validate", "--fit", cwd=published)
    profile = tomllib.loads(out)["vllm-0.11"]
    assert 0.5 < profile["step"]["weight_efficiency"] < 1
    assert 0.1 < profile["power"]["floor_share"] < 0.4
    assert "is shipped as" in err
