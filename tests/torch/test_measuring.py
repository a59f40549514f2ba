"""`tracekit calibrate MODEL --device cpu`, as a user types it, on a model of some thousand parameters."""

import json
import signal
import time
import tomllib

import pytest

from tests.cli.command_line import run, start

TINY = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 160,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256,
    "max_position_embeddings": 4096, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
SMALL = ("--device", "cpu", "--max-batch", "4", "--max-context", "64", "--max-chunk", "32", "-o", "out.toml")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    return tmp_path


def test_a_measurement_becomes_a_calibration_that_replays_take(folder):
    out, err = run("calibrate", "config.json", *SMALL, "--gpu", "H100", "--json", cwd=folder)
    [found] = json.loads(out)["calibrations"]
    assert (found["gpu"], found["tier"], found["tp"]) == ("H100-SXM-80GB", "calibrated", 1)
    assert found["step"]["batch"] == [1.0, 2.0, 4.0]
    assert found["power"] is None
    assert found["prompt"]["ratio"]
    assert "no watts were measured" in err
    written = tomllib.loads((folder / "out.toml").read_text())
    assert written["calibration"][0]["prompt"]["chunk_tokens"] == [32.0] * len(found["prompt"]["ratio"])
    measured = written["measured"]
    assert (measured["dtype"], measured["steps_from"]) == ("bf16", "plain")
    assert {reading["phase"] for reading in measured["readings"]} == {"head", "decode", "prefill"}
    assert all(reading["seconds"] > 0 and reading["spread"] >= 0 for reading in measured["readings"])
    readings = (folder / "out.toml.readings.jsonl").read_text().splitlines()
    assert len(readings) == 1 + len(measured["readings"])
    # nothing is left to measure, so the same command writes the same readings again
    run("calibrate", "config.json", *SMALL, "--gpu", "H100", cwd=folder)
    assert tomllib.loads((folder / "out.toml").read_text())["measured"]["readings"] == measured["readings"]


def test_a_device_that_is_no_gpu_of_the_catalog(folder):
    _out, err = run("calibrate", "config.json", *SMALL, cwd=folder)
    assert "is no GPU of the catalog" in err
    written = tomllib.loads((folder / "out.toml").read_text())
    assert written["calibration"] == []
    assert written["measured"]["readings"]


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(folder):
    words = ("calibrate", "config.json", *SMALL[:2], "--max-chunk", "64", "-o", "out.toml", "--gpu", "H100")
    journal = folder / "out.toml.readings.jsonl"
    with start(*words, cwd=folder) as process:
        end = time.monotonic() + 100
        while not journal.exists() or len(journal.read_text().splitlines()) < 4:
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command goes on" in err
    done = tomllib.loads((folder / "out.toml").read_text())["measured"]["readings"]
    assert len(done) >= 3
    run(*words[:-2], "--budget", "1s", "--gpu", "H100", cwd=folder)
    assert tomllib.loads((folder / "out.toml").read_text())["measured"]["readings"][: len(done)] == done


def test_an_output_of_something_else_is_not_overwritten(folder):
    (folder / "out.toml").write_text("mine")
    _out, err = run("calibrate", "config.json", *SMALL, cwd=folder, code=2)
    assert "exists already" in err
    assert (folder / "out.toml").read_text() == "mine"


def test_tensor_parallelism_is_refused(folder):
    _out, err = run("calibrate", "config.json", *SMALL, "--tp", "2", cwd=folder, code=2)
    assert "--tp 2 is not measured yet" in err
