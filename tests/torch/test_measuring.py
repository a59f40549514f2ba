"""`tracekit calibrate MODEL --device cpu`, as a user types it, on a model of some thousand parameters."""

import json
import os
import signal
import time
import tomllib
from pathlib import Path

import pytest
import torch

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
        _out, err = process.communicate(timeout=110)
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


GROUP = (*SMALL, "--tp", "2", "--gpu", "H100")


def ranks_of(pid):
    """Processes that a process started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in children.read_text().split()]


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_processes_measure_a_replica_of_two_gpus(folder):
    out, _err = run("calibrate", "config.json", *GROUP, "--json", cwd=folder)
    [found] = json.loads(out)["calibrations"]
    assert (found["gpu"], found["tp"], found["step"]["batch"]) == ("H100-SXM-80GB", 2, [1.0, 2.0, 4.0])
    written = tomllib.loads((folder / "out.toml").read_text())
    [calibration], measured = written["calibration"], written["measured"]
    assert (calibration["tp"], measured["tp"], measured["collectives"]) == (2, "2", "gloo")
    assert "blocks on 2 x " in calibration["source"]
    assert "(tensor parallel by gloo, plain launches)" in calibration["source"]
    assert {reading["phase"] for reading in measured["readings"]} == {"head", "decode", "prefill"}
    assert all(reading["seconds"] > 0 for reading in measured["readings"])
    # another run finds everything done; one GPU's readings are others
    run("calibrate", "config.json", *GROUP, cwd=folder)
    assert tomllib.loads((folder / "out.toml").read_text())["measured"]["readings"] == measured["readings"]
    _out, err = run("calibrate", "config.json", *SMALL, cwd=folder, code=2)
    assert "tp is 2 there and 1 here" in err


@pytest.mark.parametrize("what", ["Ctrl-C", "a rank dies"])
def test_a_group_that_is_ended_keeps_what_is_done_and_leaves_no_process(folder, what):
    words = ("calibrate", "config.json", *SMALL[:2], "--max-chunk", "64", "-o", "out.toml", "--tp", "2")
    journal = folder / "out.toml.readings.jsonl"
    with start(*words, cwd=folder) as process:
        end = time.monotonic() + 100
        while not journal.exists() or len(journal.read_text().splitlines()) < 4:
            assert time.monotonic() < end
            time.sleep(0.05)
        ranks = ranks_of(process.pid)
        assert len(ranks) == 2
        if what == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        else:
            os.kill(ranks[1], signal.SIGKILL)
        _out, err = process.communicate(timeout=110)
    assert process.returncode == (130 if what == "Ctrl-C" else 1), err
    assert "Traceback" not in err
    assert "the same command goes on" in err
    assert ("rank 1 of 2 was killed by signal 9" in err) == (what != "Ctrl-C")
    assert not any(map(is_there, ranks))
    done = tomllib.loads((folder / "out.toml").read_text())["measured"]["readings"]
    assert sum("seconds" in reading for reading in done) >= 3
    run(*words, "--budget", "1s", cwd=folder)
    assert tomllib.loads((folder / "out.toml").read_text())["measured"]["readings"][: len(done)] == done


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there are GPUs enough")
@pytest.mark.parametrize("more", [(), ("--device", "cuda:0")])
def test_fewer_gpus_than_asked_for(folder, more):
    _out, err = run("calibrate", "config.json", "--tp", "2", *more, cwd=folder, code=2)
    assert "--tp 2 needs 2 GPUs, cuda:0 to cuda:1, and PyTorch sees" in err
