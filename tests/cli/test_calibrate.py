"""`tracekit calibrate` as a user types it, and a replay by what it wrote."""

import json
import tomllib

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, session_row
from tests.unit.hardware.made_rows import made_rows, write_rows
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import table_of, write_trace

CALLS = 8
TOKENS = 101


@pytest.fixture
def rows(tmp_path):
    """Rows that are 1.3 times slower than the model says."""
    made = made_rows(names=("Llama-3.1-8B",), tps=(1,), slower=1.3)
    odd = made[0] | {"engine": "vllm-99"}
    return write_rows(tmp_path / "rows.csv", [*made, odd, odd | {"gpu": "H10000"}])


@pytest.fixture
def trace(tmp_path):
    """Two sessions of four calls that emit one token each 20 ms, side by side, at 300 W; then four alone at 10 ms."""
    calls = []
    for lane in range(2):
        for number in range(4):
            start = 3000 * number
            calls.append(
                call_row(10 + len(calls), start, start + 2100, session=lane, **_tokens(start + 100, 20))
            )
    for number in range(4):
        start = 20_000 + 2000 * number
        calls.append(call_row(10 + len(calls), start, start + 1100, session=0, **_tokens(start + 100, 10)))
    power = [
        {"row_id": 100 + index, "start_ns": index * 10**8, "host": "a", "gpu_index": 0, "power_w": watts}
        for index, watts in enumerate([300.0] * 150 + [200.0] * 150)
    ]
    tables = {
        Kind.SESSION: table_of(Kind.SESSION, [session_row(0, 0, 30_000), session_row(1, 0, 30_000)]),
        Kind.LLM_CALL: table_of(Kind.LLM_CALL, calls),
        Kind.POWER_SAMPLE: table_of(Kind.POWER_SAMPLE, power),
    }
    path = tmp_path / "run.parquet"
    write_trace(path, tables, Provenance(1, "0", [], 0), force=True)
    return path


def _tokens(first_ms, each_ms):
    last_ms = first_ms + each_ms * (TOKENS - 1)
    return {
        "first_token_ns": int(first_ms * 1e6),
        "last_token_ns": int(last_ms * 1e6),
        "input_tokens": 1000,
        "output_tokens": TOKENS,
    }


def test_rows_become_a_file_with_provenance(rows):
    out, err = run("calibrate", rows, "-o", "mine.toml", cwd=rows.parent)
    assert "1.30-1.30" in out
    assert "skipped row 7: Unknown engine 'vllm-99'" in out
    assert "skipped row 8: Unknown GPU 'H10000'" in out
    assert "wrote mine.toml" in err
    (found,) = tomllib.loads((rows.parent / "mine.toml").read_text())["calibration"]
    assert (found["gpu"], found["model"], found["engine"], found["tp"]) == (
        "H100-SXM-80GB", "Llama-3.1-8B", "vllm-0.11", 1,
    )  # fmt: skip
    assert (found["source"], found["points"], found["tier"]) == ("rows.csv", 6, "calibrated")
    assert found["step"]["error"]["on"] == "6 points, leave one batch out"
    _out, err = run("calibrate", rows, "-o", "mine.toml", cwd=rows.parent, code=2)
    assert "exists already" in err


def test_json_and_stdout(rows):
    out, _err = run("calibrate", rows, "--json", cwd=rows.parent)
    document = json.loads(out)
    (found,) = document["calibrations"]
    assert found["step"]["ratio"] == pytest.approx([1.3] * 6, rel=1e-3)
    assert [skipped["row"] for skipped in document["skipped"]] == [8, 7]
    out, _err = run("calibrate", rows, "-o", "-", cwd=rows.parent)
    assert tomllib.loads(out)["calibration"][0]["points"] == 6


def test_a_traces_own_calls_become_a_calibration(trace):
    run("calibrate", trace, "--gpu", "H100", "--model", "Llama-3.1-8B", cwd=trace.parent)
    (found,) = tomllib.loads((trace.parent / "calibration.toml").read_text())["calibration"]
    assert (found["tier"], found["points"], found["source"]) == ("measured", 2, "run.parquet")
    assert found["step"]["log2_batch"] == [0.0, 1.0]
    alone, together = found["step"]["log_ratio"]
    assert together > alone > 0  # 10 and 20 ms a token, where the model says some 8
    assert len(found["power"]["log_ratio"]) == 2
    assert found["context_tokens"] == 1050.5


def test_samples_of_more_gpus_than_the_replica_has_tell_nothing(trace):
    words = ("--gpu", "H100", "--model", "Llama-3.1-8B", "--tp", 2)
    run("calibrate", trace, *words, cwd=trace.parent)
    (found,) = tomllib.loads((trace.parent / "calibration.toml").read_text())["calibration"]
    assert "power" not in found


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run.parquet",), "needs --gpu and --model"),
        (("run.parquet", "--gpu", "H100"), "needs both --gpu and --model"),
        (("rows.csv", "--tp", "2"), "needs both --gpu and --model"),
        (("rows.csv", "--json", "-o", "-"), "choose one"),
        (("missing.csv",), "cannot be read"),
    ],
)
def test_what_cannot_be_done(rows, trace, words, says):
    _out, err = run("calibrate", *words, cwd=rows.parent, code=2)
    assert says in err


def test_a_trace_with_too_few_calls(tmp_path):
    path = tmp_path / "short.parquet"
    tables = {
        Kind.SESSION: table_of(Kind.SESSION, [session_row(0)]),
        Kind.LLM_CALL: table_of(Kind.LLM_CALL, [call_row(1, 0, 900, **_tokens(100, 5))]),
    }
    write_trace(path, tables, Provenance(1, "0", [], 0), force=True)
    _out, err = run("calibrate", path, "--gpu", "H100", "--model", "Llama-3.1-8B", cwd=tmp_path, code=2)
    assert "It takes 3 streamed calls" in err


def replayed(trace, *words):
    out, _err = run(
        "replay", trace, "--gpu", "H100", "--model", "Llama-3.1-8B", *words, "--json", cwd=trace.parent
    )
    return json.loads(out)


def test_a_replay_takes_the_best_tier_there_is(rows, trace):
    run("calibrate", rows, "-o", "mine.toml", cwd=rows.parent)
    analytic, calibrated = replayed(trace), replayed(trace, "--calibration", "mine.toml")
    assert (analytic["tier"], calibrated["tier"]) == ("analytic", "calibrated")
    assert calibrated["tpot_s"]["mean"] == pytest.approx(1.3 * analytic["tpot_s"]["mean"], rel=0.01)
    assert calibrated["error"]["itl"]["on"] == "6 points, leave one batch out"
    assert "calibrated tier (6 points of rows.csv" in calibrated["sources"]["replayed time"]
    other = replayed(trace, "--calibration", "mine.toml", "--tp", "2")
    assert other["tier"] == "analytic"
    assert "mine.toml has nothing for this model" in other["sources"]["replayed time"]


def test_a_fleet_is_as_good_as_its_worst_pool(rows, trace):
    run("calibrate", rows, "-o", "mine.toml", cwd=rows.parent)
    fleet = rows.parent / "fleet.toml"
    pool = '[[pool]]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\ncalibration = "mine.toml"\n'
    fleet.write_text(f"{pool}\n{pool}tp = 2\n")
    out, _err = run("replay", trace, "--fleet", fleet, "--json", cwd=trace.parent)
    document = json.loads(out)
    assert document["tier"] == "analytic"
    assert document["error"]["itl"]["on"] != "6 points, leave one batch out"
    source = document["sources"]["replayed time"]
    assert "calibrated tier (6 points of rows.csv" in source
    assert "mine.toml has nothing for this model" in source
