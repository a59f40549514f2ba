"""`tracekit sweep` as a user types it: every format, killed and resumed, interrupted, refused."""

import csv
import io
import json
import os
import shlex
import signal
import time

import jsonschema
import pyarrow.parquet as pq
import pytest

from tests.cli.command_line import ROOT, run, start
from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.replay import compile_kernel

REACT = ROOT / "sample_traces" / "react.parquet"
FLEET = ("--gpu", "H100", "--model", "Llama-3.1-8B")
OVER = ("--over", "replicas=1,2,4", "--over", "tools.speculative=off,0.5")
MANY = (
    REACT,
    *FLEET,
    "--over",
    f"max_num_seqs={','.join(map(str, range(1, 31)))}",
    "--over",
    "replicas=1,2,3,4",
)
MANY_RELEASE = ("--rate", "5/s", "--sessions", "600", "--workers", "1")
POINTS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    compile_kernel()
    folder = tmp_path_factory.mktemp("sweep")
    for name, score in (("plain", 0.5), ("careful", 1.0)):
        calls = [call_row(1, 0, 500), call_row(2, 800, 1000, parents=[3], input_tokens=4000 * score)]
        write_crafted(
            folder / f"{name}.parquet",
            calls,
            [tool_row(3, 500, 800, parents=[1])],
            sessions=[session_row(0, 0, 1000, score=score)],
        )
    return folder


def test_the_document_is_what_the_schema_says(folder):
    words = ("sweep", REACT, *FLEET, *OVER, "--rate", "2/s", "--seeds", "3", "--json")
    document = json.loads(run(*words, cwd=folder)[0])
    schema = json.loads((ROOT / "docs" / "reference" / "document.schema.json").read_text())
    jsonschema.validate(document, schema)
    one = schema | {"anyOf": [{"$ref": "#/$defs/sweep"}]}
    jsonschema.validate(document, one)
    assert document["over"] == {"replicas": ["1", "2", "4"], "tools.speculative": ["off", "0.5"]}
    assert document["seeds"] == [0, 1, 2]
    assert [point["switches"]["replicas"] for point in document["points"]] == ["1", "1", "2", "2", "4", "4"]
    assert any(point["on_front"] for point in document["points"])
    for point in document["points"]:
        low, high = point["intervals"]["session_p95_s"]
        assert low <= point["figures"]["session_p95_s"] <= high


def test_a_point_is_what_replay_says(folder):
    release = ("--rate", "2/s", "--seed", "5", "--json")
    document = json.loads(run("sweep", REACT, *FLEET, "--over", "replicas=1,2", *release, cwd=folder)[0])
    replay = json.loads(run("replay", REACT, *FLEET, "--what-if", "replicas=2", *release, cwd=folder)[0])
    figures = document["points"][1]["figures"]
    assert figures["cost_usd"] == replay["cost_usd"]["total"]
    assert figures["session_p95_s"] == replay["session_s"]["p95"]
    assert figures["energy_j"] == replay["energy_j"]["total"]
    assert figures["carbon_high_per_session_g"] * figures["sessions"] == pytest.approx(
        replay["carbon_g"]["high"]
    )


def test_files_of_every_format(folder):
    for name in ("s.csv", "s.parquet", "s.json", "s.md", "s.html"):
        _out, err = run(
            "sweep", REACT, *FLEET, *OVER, "-o", name, "--plot", f"{name}.png", "--force", cwd=folder
        )
        assert f"wrote {name}" in err
        assert not (folder / f"{name}.points.jsonl").exists()
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO((folder / "s.csv").read_text())))
    table = pq.read_table(folder / "s.parquet").to_pylist()
    document = json.loads((folder / "s.json").read_text())
    assert len(rows) == len(table) == len(document["points"]) == 6
    for row, columns, point in zip(rows, table, document["points"], strict=True):
        assert row["replicas"] == columns["replicas"] == point["switches"]["replicas"]
        assert float(row["cost_per_session_usd"]) == columns["cost_per_session_usd"]
        assert columns["cost_per_session_usd"] == point["figures"]["cost_per_session_usd"]
        assert (row["on_front"] == "true") == columns["on_front"] == point["on_front"]
        assert columns["score"] is None
        assert row["score"] == ""
    page = (folder / "s.html").read_text()
    assert page.count("data-tip=") >= 2 * 6
    assert "Pareto front" in page
    assert "style=" not in page
    assert "| replicas=1, tools.speculative=0.5 |" in (folder / "s.md").read_text().replace("\\", "")
    out, _err = run("sweep", REACT, *FLEET, *OVER, "-o", "-", "--format", "csv", cwd=folder)
    assert out == (folder / "s.csv").read_text()


def test_workers_do_not_matter(folder):
    written = []
    for workers in (1, 2):
        run("sweep", *MANY, "--workers", workers, "-o", f"w{workers}.json", cwd=folder)
        written.append((folder / f"w{workers}.json").read_text().replace(f"w{workers}", "w"))
    assert written[0] == written[1]
    assert len(json.loads(written[0])["points"]) == POINTS


@pytest.fixture(scope="module")
def at_once(folder):
    run("sweep", *MANY, *MANY_RELEASE, "-o", "whole.csv", cwd=folder)
    return (folder / "whole.csv").read_bytes()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_cut_off_and_resumed(folder, at_once, sent):
    name = f"cut-{sent.name}.csv"
    words = ("sweep", *MANY, *MANY_RELEASE, "-o", name)
    journal = folder / f"{name}.points.jsonl"
    with start(*words, cwd=folder) as process:
        until = time.monotonic() + 100
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(sent)
        _out, err = process.communicate(timeout=60)
    kept = journal.read_bytes().count(b"\n")
    assert 3 <= kept < POINTS
    assert not (folder / name).exists()
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert f"interrupted after {kept} of {POINTS} replays" in err
        assert "--resume" in err
    _out, err = run(*words, cwd=folder, code=2)
    assert "--resume goes on" in err
    with journal.open("ab") as file:
        file.write(b'{"key": "torn')
    run(*words, "--resume", cwd=folder)
    assert not journal.exists()
    assert (folder / name).read_bytes() == at_once


def test_agents_compete_where_their_sessions_have_scores(folder):
    words = (
        "plain.parquet",
        "careful.parquet",
        *FLEET,
        "--over",
        "replicas=1,2",
        "--minimise",
        "cost,quality",
    )
    document = json.loads(run("sweep", *words, "--json", cwd=folder)[0])
    found = {(point["trace"], point["switches"]["replicas"]): point for point in document["points"]}
    assert found["careful.parquet", "1"]["figures"]["score"] == 1.0
    assert {name for name, point in found.items() if point["on_front"]} == {
        ("plain.parquet", "1"),
        ("careful.parquet", "1"),
    }
    words = ("plain.parquet", *FLEET, "--over", "precision=bf16,fp8", "--minimise", "quality", "--json")
    document = json.loads(run("sweep", *words, cwd=folder)[0])
    assert [point["figures"]["score"] for point in document["points"]] == [0.5, None]
    assert [point["on_front"] for point in document["points"]] == [True, False]
    assert any("no score that holds" in note for note in document["assumptions"])


def test_impossible_combinations_are_rows(folder):
    words = ("--gpu", "H100", "--over", "model=Llama-3.1-8B,Llama-3.1-70B", "--over", "tp=1,4")
    document = json.loads(run("sweep", REACT, *words, "--json", cwd=folder)[0])
    assert [point["error"] is None for point in document["points"]] == [True, True, False, True]
    assert document["points"][2]["figures"] is None
    out, _err = run("sweep", REACT, *words, cwd=folder)
    assert "cannot be: model=Llama-3.1-70B, tp=1" in out
    run("sweep", REACT, *words, "-o", "i.parquet", "-o", "i.parquet", cwd=folder)
    assert [row["error"] is None for row in pq.read_table(folder / "i.parquet").to_pylist()].count(False) == 1


def test_from_files(folder):
    (folder / "fleet.toml").write_text(
        '[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\n[what_if]\nprefix_cache = false\nreplicas = 9\n'
        "[sweep]\nreplicas = [1, 2]\n"
    )
    (folder / "sweep.toml").write_text('[sweep]\ntp = [1, 2]\n[sweep.tools]\nspeculative = ["off", 0.5]\n')
    words = (
        "--fleet",
        "fleet.toml",
        "--sweep",
        "sweep.toml",
        "--over",
        "tp=4",
        "--what-if",
        "router=round-robin",
    )
    document = json.loads(run("sweep", REACT, *words, "--json", cwd=folder)[0])
    assert document["over"] == {"replicas": ["1", "2"], "tp": ["4"], "tools.speculative": ["off", "0.5"]}
    assert document["fixed"] == {"prefix_cache": "off", "router": "round-robin"}
    assert [point["figures"]["gpus"] for point in document["points"]] == [4, 4, 8, 8]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ((), "nothing to sweep over"),
        (("--over", "replica=1,2"), "Did you mean replicas"),
        (("--over", "replicas=one"), "whole number"),
        (("--over", "gpu=H1OO,A100"), "Unknown GPU"),
        (("--over", "replicas=1", "--gpu", "A100"), "--over gpu="),
        (("--over", "replicas=1", "--minimise", "cots"), "Did you mean cost"),
        (("--over", "replicas=1", "--minimise", ","), "--minimise"),
        (("--over", "replicas=1", "--minimise", "quality"), "carries a score"),
        (("--over", "replicas=1", "--seeds", "3"), "nothing here is drawn"),
        (("--over", "replicas=1", "--resume"), "-o"),
        (("--over", "replicas=1", "--address", "tcp://a:1"), "--engine"),
        (("--over", "replicas=1", "-o", "x.xlsx"), ".parquet"),
        (("--over", "replicas=1", "--plot", "x.gif"), ".png"),
        (("--over", "model=Llama-3.1-70B"), "None of the sweep's 1 combinations"),
        (("--over", "replicas=1", "--sweep", "missing.toml"), "missing.toml"),
    ],
)
def test_what_cannot_be_swept(folder, words, hint):
    _out, err = run("sweep", REACT, *FLEET, *words, cwd=folder, code=2)
    assert hint in " ".join(err.split())
    assert os.listdir(folder).count("x.xlsx") == 0


def test_the_pages_examples_run(folder):
    os.symlink(ROOT / "sample_traces", folder / "sample_traces")
    page = (ROOT / "docs" / "sweep.md").read_text()
    examples = [line.strip() for line in page.splitlines() if line.startswith("    tracekit sweep ")]
    assert len(examples) >= 3
    for example in examples:
        out, _err = run(*shlex.split(example)[1:], "--force", cwd=folder)
        assert "on the front" in out
    table = page[page.index("```toml") + len("```toml") :]
    (folder / "page.toml").write_text(table[: table.index("```")])
    out, _err = run("sweep", REACT, *FLEET, "--sweep", "page.toml", "--json", cwd=folder)
    assert len(json.loads(out)["points"]) == 18
