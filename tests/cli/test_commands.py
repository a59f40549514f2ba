"""Each command as a user types it, and each bad input as a user meets it."""

import json
import os
import resource
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command_line import run, start
from tests.unit.spool_story import Story
from tracekit.cli import REGISTRY
from tracekit.provenance import METADATA_KEY
from tracekit.trace import arrow_schema, write_trace

ASK = [("system", "You are an agent."), ("user", "Who?")]


@pytest.fixture
def trace(tmp_path):
    """Two sessions with tools, in t.parquet."""
    story = Story()
    for thread in (1, 2):
        shift = 100 * thread
        story.call(shift, 300 + shift, ASK, tools=[("a", "search")], thread=thread)
        more = [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")]
        story.call(900 + shift, 1400 + shift, more, answer="done", thread=thread)
    merged = story.merged()
    write_trace(tmp_path / "t.parquet", merged.tables, merged.provenance)
    return tmp_path


def test_help_names_every_command(tmp_path):
    out, _err = run("--help", cwd=tmp_path)
    for name, row in REGISTRY.items():
        assert name in out
        assert row.help.split(".")[0][:30] in " ".join(out.split())
        shown = run(name, "--help", cwd=tmp_path)[0]
        assert "--help" in shown
        assert "\\b" not in shown


def test_analyze_prints_tables_and_json(trace):
    out, _err = run("analyze", "t.parquet", cwd=trace)
    for words in (
        "Latency, recorded",
        "Where session time goes",
        "GPU idle",
        "assumed: model Llama-3.1-8B",
        "Next: tracekit replay",
    ):
        assert words in out
    document = json.loads(
        run("analyze", "t.parquet", "--json", "--gpu", "H100", "--gpu", "L40S", cwd=trace)[0]
    )
    assert {"schema_version", "trace", "assumptions", "sources", "recorded", "replays"} <= document.keys()
    assert [replay["fleet"]["gpu"] for replay in document["replays"]] == ["H100-SXM-80GB", "L40S"]
    recorded = document["recorded"]
    assert (recorded["calls"], recorded["sessions"], recorded["tools"]) == (4, 2, 2)
    assert sum(recorded["share"].values()) == pytest.approx(1)
    for replay in document["replays"]:
        assert sum(replay["share"].values()) == pytest.approx(1)
        assert sum(replay["idle_s"].values()) == pytest.approx(replay["gpu_s"]["idle"], abs=1e-9)
        assert sum(replay["energy_j"]["by_phase"].values()) == pytest.approx(replay["energy_j"]["total"])
        assert sum(replay["energy_j"]["by_cause"].values()) == pytest.approx(
            replay["energy_j"]["by_phase"]["idle"]
        )
        assert 0 <= replay["prefix_hit_fraction"] < 1
        assert replay["preemptions"] == 0
        assert 0 < replay["kv_fraction"]["mean"] <= replay["kv_fraction"]["max"] < 1


def test_replay_writes_a_timeline(trace):
    words = (
        "replay",
        "t.parquet",
        "--gpu",
        "H100",
        "--model",
        "Llama-3.1-8B",
        "--replicas",
        "2",
        "--rate",
        "5/s",
        "--sessions",
        "30",
    )
    out, _err = run(*words, "--json", "-o", "timeline.parquet", cwd=trace)
    document = json.loads(out)
    assert document["sessions"] == 30
    assert document["release"] == {"name": "poisson", "rate_per_s": 5.0, "sessions": 30, "seed": 0}
    rows = pq.read_table(trace / "timeline.parquet").to_pylist()
    calls = [row for row in rows if row["kind"] == "call"]
    segments = [row for row in rows if row["kind"] == "segment"]
    assert len(calls) == 60
    assert all(
        row["queued_ns"] <= row["started_ns"] < row["first_token_ns"] <= row["end_ns"] for row in calls
    )
    assert sum(row["energy_j"] for row in segments) == pytest.approx(document["energy_j"]["total"])
    for replica in range(2):
        ours = [row for row in segments if row["replica"] == replica]
        assert all(left["end_ns"] == right["start_ns"] for left, right in pairwise(ours))
    again, _err = run(*words, "--json", cwd=trace)
    assert json.loads(again)["energy_j"] == document["energy_j"]


def test_a_fleet_file(trace):
    (trace / "fleet.toml").write_text('[fleet]\ngpu = "A100-40"\nmodel = "Llama-3.1-70B"\ntp = 8\n')
    document = json.loads(run("replay", "t.parquet", "--fleet", "fleet.toml", "--json", cwd=trace)[0])
    assert (document["fleet"]["tp"], document["assumed"]) == (8, [])
    assert document["gpu_s"]["billed"] == pytest.approx(8 * document["makespan_s"])


TINY = {
    "model_type": "llama",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}


def test_info(trace):
    document = json.loads(run("info", "t.parquet", "--json", cwd=trace)[0])
    assert document["rows"]["llm_call"] == 4
    out, _err = run("info", "t.parquet", "--gpus", "--models", "--grids", "--schema", cwd=trace)
    for words in ("llm_call", "L40S", "Llama-3.1-70B", "Virginia (US)", "Uptime Institute", "edge_source"):
        assert words in out


def test_info_says_where_values_come_from(tmp_path):
    (tmp_path / "mine.toml").write_text('[gpu.Mine]\nlike = "H100"\ntdp_w = 500\nsource = "our limit"')
    words = ("info", "--gpus", "--models", "--catalog", "mine.toml")
    out, _err = run(*words, "--sources", cwd=tmp_path)
    for phrase in ("our limit", "NVIDIA H100 data sheet", "meta-llama/Llama-3.1-8B config.json"):
        assert phrase in out
    document = json.loads(run(*words, "--json", cwd=tmp_path)[0])
    assert next(row for row in document["gpus"] if row["name"] == "Mine")["tdp_w"] == 500
    mixture = next(row for row in document["models"] if row["name"] == "Mixtral-8x7B")
    assert mixture["active_parameters"] < mixture["parameters"]


def test_a_replay_on_a_gpu_and_a_model_of_one_s_own(trace):
    (trace / "mine.toml").write_text('[gpu.Mine]\nlike = "H100"\nusd_per_hour = 1\n[gpu.A30]\ntdp_w = 170')
    (trace / "my-model").mkdir()
    (trace / "my-model" / "config.json").write_text(json.dumps(TINY))
    words = ("replay", "t.parquet", "--catalog", "mine.toml", "--model", "my-model")
    fleet = json.loads(run(*words, "--gpu", "mine", "--json", cwd=trace)[0])["fleet"]
    assert (fleet["gpu"], fleet["model"], fleet["usd_per_gpu_hour"]["typical"]) == ("Mine", "my-model", 1)
    _out, err = run(*words, "--gpu", "A30", cwd=trace, code=2)
    assert "No price of an hour of A30 is known" in " ".join(err.split())
    _out, err = run("replay", "t.parquet", "--catalog", "none.toml", cwd=trace, code=2)
    assert "The catalog file none.toml cannot be used" in " ".join(err.split())


def test_doctor(tmp_path):
    document = json.loads(run("doctor", "--json", cwd=tmp_path)[0])
    assert "GPU power" in [check["name"] for check in document["checks"]]


def newer(path):
    metadata = {METADATA_KEY: json.dumps({"format_version": 99})}
    pq.write_table(arrow_schema().empty_table().replace_schema_metadata(metadata), path)


def empty(path):
    story = Story()
    story.add("mark", 1, name="x")
    merged = story.merged()
    write_trace(path, merged.tables, merged.provenance)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "There is no file"),
        (lambda path: path.write_bytes(b"PAR1"), "not a complete Parquet file"),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "not one that tracekit wrote"),
        (newer, "pip install -U"),
        (empty, "holds no LLM call"),
    ],
    ids=["missing", "truncated", "foreign", "newer", "empty"],
)
@pytest.mark.parametrize("command", ["analyze", "replay"])
def test_files_that_cannot_be_read(tmp_path, command, make, words):
    make(tmp_path / "t.parquet")
    out, err = run(command, "t.parquet", cwd=tmp_path, code=2)
    assert words in err
    assert out == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("analyse", "t.parquet"), "Did you mean 'analyze'?"),
        (("analyze", "t.parquet", "--gpu", "H10"), "Did you mean H100"),
        (("replay", "t.parquet", "--model", "lama-3.1-8b"), "Did you mean Llama-3.1-8B"),
        (("replay", "t.parquet", "--router", "round"), "Did you mean round-robin"),
        (("replay", "t.parquet", "--gpu", "A100-40", "--model", "Llama-3.1-70B"), "Use --tp 8"),
        (("replay", "t.parquet", "--fleet", "missing.toml"), "cannot be used"),
        (("replay", "t.parquet", "--rate", "fast"), "is not a rate"),
        (("replay", "t.parquet", "--release", "poisson"), "--rate"),
        (("info",), "Give a TRACE"),
        (("recover", "nothing.spool"), "No recording in"),
        (("analyze",), "Give a trace"),
    ],
)
def test_what_is_misspelt_or_missing(trace, words, hint):
    _out, err = run(*words, cwd=trace, code=2)
    assert hint in " ".join(err.split())


def test_a_trace_without_usage_is_analyzed_without_replay(tmp_path):
    story = Story()
    story.call(0, 50, ASK, response={"usage": None, "usage_source": "missing"})
    merged = story.merged()
    write_trace(tmp_path / "t.parquet", merged.tables, merged.provenance)
    document = json.loads(run("analyze", "t.parquet", "--json", cwd=tmp_path)[0])
    assert document["replays"] == []
    assert document["recorded"]["tokens"]["input"] is None
    assert any("not replayed" in note for note in document["assumptions"])
    out, _err = run("analyze", "t.parquet", cwd=tmp_path)
    assert "not seen: tokens of 1 call" in out
    run("replay", "t.parquet", cwd=tmp_path, code=2)


def test_record_refuses_before_it_runs(tmp_path):
    ran = [sys.executable, "-c", "open('ran', 'w')"]
    (tmp_path / "there.parquet").write_text("mine")
    for output, words in (
        ("there.parquet", "--force"),
        ("no/folder/t.parquet", "there is no folder"),
        (".", "is a folder"),
    ):
        _out, err = run("record", "-o", output, "--", *ran, cwd=tmp_path, code=125)
        assert words in err
    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "there.parquet").read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    from tracekit.errors import OutputRefused
    from tracekit.trace import check_output

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputRefused, match="read-only"):
        check_output(tmp_path / "t.parquet", force=False)


def test_record_of_what_does_not_exist(tmp_path):
    assert "Command not found: nonesuch" in run("record", "--", "nonesuch", cwd=tmp_path, code=127)[1]
    (tmp_path / "plain.txt").write_text("x")
    assert "cannot be executed" in run("record", "--", "./plain.txt", cwd=tmp_path, code=126)[1]
    assert "Missing argument" in run("record", cwd=tmp_path, code=125)[1]
    assert "'--proxy'?" in run("record", "--prxy", "always", "--", "true", cwd=tmp_path, code=125)[1]
    out, _err = run("record", "-q", "sh", "-c", "echo $0", "--prxy", cwd=tmp_path)
    assert out == "--prxy\n"


def test_record_passes_output_and_exit_code_through(tmp_path, server, agent):
    out, err = run(
        "record", "-o", "t.parquet", "--", sys.executable, agent, server.base_url, "m", cwd=tmp_path
    )
    assert out == "done m\n"
    assert "1 LLM call in 1 session" in err
    assert err.rstrip().endswith("Next: tracekit analyze t.parquet")
    out, _err = run(
        "record", "-q", "--", sys.executable, "-c", "print(7); raise SystemExit(3)", cwd=tmp_path, code=3
    )
    assert out == "7\n"
    (default,) = tmp_path.glob("trace-*.parquet")
    assert json.loads(run("info", default, "--json", cwd=tmp_path)[0])["provenance"]["exit_code"] == 3


def test_a_disk_that_fills_up_loses_nothing(tmp_path, server, agent):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, resource.RLIM_INFINITY))

    words = ("record", "-o", "t.parquet", "--", sys.executable, agent, server.base_url, "one", "two")
    _out, err = run(*words, cwd=tmp_path, preexec_fn=small_files)
    assert "What was recorded lies in" in err
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".parquet"] == []
    run("recover", "t.parquet.spool", cwd=tmp_path)
    assert json.loads(run("info", "t.parquet", "--json", cwd=tmp_path)[0])["rows"]["llm_call"] == 2
    assert (tmp_path / "t.parquet.spool").is_dir()


def test_the_trace_that_is_read_is_never_the_output(trace):
    before = (trace / "t.parquet").read_bytes()
    _out, err = run("replay", "t.parquet", "-o", "./t.parquet", "--force", cwd=trace, code=2)
    assert "would be lost" in err
    assert (trace / "t.parquet").read_bytes() == before


def test_senseless_records_keep_the_childs_exit_code(tmp_path):
    junk = """echo '{"t":"attempt_start","ns":1}' > t.parquet.spool/77-1.jsonl; exit 7"""
    run("record", "-o", "t.parquet", "--", "sh", "-c", junk, cwd=tmp_path, code=7)
    document = json.loads(run("info", "t.parquet", "--json", cwd=tmp_path)[0])
    assert document["provenance"]["not_seen"]["unreadable_lines"] == 1
    assert document["provenance"]["not_seen"]["processes_not_followed"] == {"sh": 1}


def test_a_live_recording_is_left_alone(tmp_path):
    with start(
        "record", "-o", "t.parquet", "--", "sh", "-c", "echo on; exec sleep 30", cwd=tmp_path
    ) as process:
        assert process.stdout.readline() == "on\n"
        _out, err = run("record", "--force", "-o", "t.parquet", "--", "true", cwd=tmp_path, code=125)
        assert "is being recorded right now" in err
        process.terminate()
        process.communicate(timeout=30)
    assert (tmp_path / "t.parquet").is_file()


def test_a_reader_that_goes_away_is_no_failure(trace):
    with start("analyze", "t.parquet", cwd=trace, bufsize=0) as process:
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("analyze", "."), "is a folder"),
        (("replay", "t.parquet", "--rate", "1e-12/s"), "more than 100 years"),
        (("replay", "t.parquet", "--gpu", "H100", "--tp", "3"), "cannot share equally"),
        (("replay", "t.parquet", "--rate", "1/s", "--seed", "-1"), "-1 is not in the range"),
        (("replay", "t.parquet", "--fleet", "fleet.toml"), "must be one name in quotes"),
        (("replay", "t.parquet", "--fleet", "fleet.toml", "--max-num-seqs", "3"), "--fleet excludes"),
    ],
)
def test_what_cannot_be_meant(trace, words, hint):
    (trace / "fleet.toml").write_text('[fleet]\ngpu = ["H100", "L40S"]\nmodel = "Llama-3.1-8B"\n')
    _out, err = run(*words, cwd=trace, code=2)
    assert hint in " ".join(err.split())


def test_an_unfinished_recording_is_not_thrown_away_unasked(tmp_path):
    spool = tmp_path / "t.parquet.spool"
    spool.mkdir()
    (spool / "1-1.jsonl").write_text('{"t":"mark","ns":1,"pid":1,"name":"x"}\nnot json\n{"t":"mark"')
    _out, err = run("record", "-o", "t.parquet", "--", sys.executable, "-c", "", cwd=tmp_path, code=125)
    assert "tracekit recover" in err
    run("recover", "t.parquet.spool", cwd=tmp_path)
    document = json.loads(run("info", "t.parquet", "--json", cwd=tmp_path)[0])
    assert document["rows"]["mark"] == 1
    assert document["provenance"]["not_seen"]["unreadable_lines"] == 2


def test_docs_name_every_command():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name in REGISTRY:
        assert f"tracekit {name}" in readme
    assert shutil.which("make") is None or "make demo" in readme
