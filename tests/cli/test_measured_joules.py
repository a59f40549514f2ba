"""`tracekit analyze` of traces with power, as a user runs it."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted

HERE = {"host": "box", "server_host": "127.0.0.1", "server_port": 8000, "model": "nobody/knows-me"}
START_MS = 1_000_000


@pytest.fixture
def trace(tmp_path):
    """Two calls of one session with a tool between; GPU 0 counts 100 W, GPU 1 says that it cannot."""
    calls = [
        call_row(10, START_MS, START_MS + 1000, first_token_ns=(START_MS + 200) * 10**6, **HERE),
        call_row(11, START_MS + 2000, START_MS + 3000, **HERE),
    ]
    power = [
        {"row_id": 100 + place, "start_ns": (START_MS + 100 * place) * 10**6, "host": "box", "gpu_index": 0,
         "gpu_name": "NVIDIA L40S", "energy_counter_j": 50 + 10.0 * place, "power_w": 90.0, "power_source": "instant"}
        for place in range(31)
    ] + [
        {"row_id": 200 + place, "start_ns": (START_MS + 100 * place) * 10**6, "host": "box", "gpu_index": 1,
         "gpu_name": "NVIDIA L40S", "reason": "NVML_ERROR_NOT_SUPPORTED"}
        for place in range(31)
    ]  # fmt: skip
    sessions = [session_row(0, START_MS, START_MS + 3000, name="task")]
    tools = [tool_row(20, START_MS + 1000, START_MS + 2000)]
    return write_crafted(tmp_path / "t.parquet", calls, tools, sessions, power)


def analyzed(trace, *words):
    out, _err = run(
        "analyze", trace, "--json", "--model", "Llama-3.1-8B", "--gpu", "L40S", *words, cwd=trace.parent
    )
    return json.loads(out)


def test_joules_by_phase_session_and_call(trace):
    document = analyzed(trace, "--serves", "http://localhost:8000/v1=box:0")
    recorded = document["recorded"]
    assert recorded["energy_j"]["by_phase"] == {
        "prefill": pytest.approx(20), "decode": pytest.approx(80), "mixed": 0.0, "unphased": pytest.approx(100),
        "idle": pytest.approx(100), "outside": 0.0, "not_serving": None,
    }  # fmt: skip
    assert recorded["energy_j"]["by_cause"]["tool_wait"] == pytest.approx(100)
    assert recorded["energy_j"]["total"] is None  # the other GPU's are not known
    assert recorded["energy_j"]["source"] == "measured (counter)"
    session = recorded["per_session"][0]["energy_j"]
    assert (session["direct"], session["idle"]["tool_wait"]) == (pytest.approx(300), pytest.approx(100))
    assert [call["energy_j"] for call in recorded["per_call"]] == [pytest.approx(100)] * 2
    assert all(call["bound_j"] > 0 and call["split"] == "equal" for call in recorded["per_call"])
    assert recorded["per_tool"] == [{"tool_id": 20, "idle_j": pytest.approx(100)}]
    first, second = recorded["power"]
    assert (first["counter_j"], first["integral_j"]) == (pytest.approx(300), pytest.approx(270))
    assert first["disagrees"]
    assert first["difference"] == pytest.approx(-0.1)
    assert (second["energy_j"], second["gaps"][0]["reason"]) == (None, "NVML_ERROR_NOT_SUPPORTED")
    assert second["gaps"][0]["energy_j"] is None
    notes = " ".join(document["assumptions"])
    assert "GPU box:1 is not serving" in notes
    assert "GPU box:1: nothing was measured (NVML_ERROR_NOT_SUPPORTED); its joules are unknown" in notes
    assert "--serves" in notes


def test_a_model_that_the_catalog_lacks_is_compared_with_nothing_and_that_is_said(trace):
    document = analyzed(trace)
    assert document["measured_against_modelled"] is None
    assert any("nobody/knows-me" in note for note in document["assumptions"])


def test_measured_against_modelled_on_the_recorded_gpu(trace, tmp_path):
    calls = [
        call_row(10, START_MS, START_MS + 1000, first_token_ns=(START_MS + 200) * 10**6, **HERE)
        | {"model": "meta-llama/Llama-3.1-8B-Instruct"}
    ]
    power = [
        {"row_id": 100 + place, "start_ns": (START_MS + 100 * place) * 10**6, "host": "box", "gpu_index": 0,
         "gpu_name": "NVIDIA L40S", "energy_counter_j": 50 + 20.0 * place}
        for place in range(11)
    ]  # fmt: skip
    sessions = [session_row(0, START_MS, START_MS + 1000)]
    path = write_crafted(tmp_path / "known.parquet", calls, (), sessions, power)
    out, _err = run("analyze", path, "--json", cwd=tmp_path)
    document = json.loads(out)
    assert document["replays"][0]["fleet"]["gpu"] == "L40S"
    assert document["replays"][0]["assumed"] == []
    comparison = document["measured_against_modelled"]
    assert comparison["fleet"]["model"] == "Llama-3.1-8B"
    phases = comparison["phases"]
    assert phases["decode"]["measured_j"] == pytest.approx(160)
    assert phases["decode"]["measured_w"] == pytest.approx(200)
    modelled = document["replays"][0]["energy_j"]["by_phase"]
    assert phases["decode"]["modelled_j"] == pytest.approx(modelled["decode"])
    assert phases["decode"]["difference"] == pytest.approx(modelled["decode"] / 160 - 1)
    assert phases["total"]["measured_j"] == pytest.approx(200)
    assert document["recorded"]["cost_usd"]["total"] > 0
    out, _err = run("analyze", path, cwd=tmp_path)
    assert "Measured against modelled (Llama-3.1-8B on 1 x L40S" in out
    assert "Where measured joules go (measured (counter))" in out


def test_reports_hold_what_the_terminal_says(trace):
    words = (
        "--serves",
        "http://localhost:8000/v1=box:0",
        "--model",
        "Llama-3.1-8B",
        "--gpu",
        "L40S",
        "-o",
        "-",
    )
    out, _err = run("analyze", trace, "--format", "md", *words, cwd=trace.parent)
    assert "Where measured joules go" in out
    assert "calls that were not streamed" in out
    assert "idle: tools running" in out


def test_without_power_nothing_is_said_of_it(tmp_path):
    path = write_crafted(tmp_path / "t.parquet", [call_row(10, 0, 1000, **HERE)])
    document = analyzed(path)
    assert document["recorded"]["energy_j"] == {"total": None, "source": None, "scope": "gpu"}
    assert "measured_against_modelled" not in document
    assert not {"per_call", "gpu_s", "cost_usd"} & document["recorded"].keys()
    _out, err = run("analyze", path, "--serves", "http://localhost:8000=box:0", cwd=tmp_path, code=2)
    assert "no samples of GPU 0" in err
