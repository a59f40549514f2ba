"""`tracekit import` and `tracekit export` as a user types them."""

import json
import os
import signal
import time

import pytest

from tests.cli.command_line import run, start

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,480,10\n2023-11-16 18:17:04,318,8\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "azure.csv").write_text(AZURE)
    return tmp_path


def test_import_then_analyze_and_replay(folder):
    out, err = run("import", "azure", "azure.csv", "-o", "t.parquet", cwd=folder)
    assert out == ""
    assert "2 LLM calls in 2 sessions, 0 tool spans from 1 azure file -> t.parquet" in err
    assert "Next: tracekit analyze t.parquet" in err
    document = json.loads(run("info", "t.parquet", "--json", cwd=folder)[0])
    assert document["provenance"]["origin"] == "imported"
    assert document["provenance"]["command"][:3] == ["tracekit", "import", "azure"]
    analysis = json.loads(run("analyze", "t.parquet", "--json", cwd=folder)[0])
    assert analysis["recorded"]["tokens"]["input"] == 798
    assert analysis["recorded"]["session_s"] is None
    assert "Imported: format: azure" in run("analyze", "t.parquet", cwd=folder)[0]
    replayed = json.loads(run("replay", "t.parquet", "--gpu", "H100", "--json", cwd=folder)[0])
    assert (replayed["calls"], replayed["sessions"]) == (2, 2)


def test_bad_rows_are_told(folder):
    (folder / "azure.csv").write_text(AZURE + "yesterday,1,2\n")
    _out, err = run("import", "azure", "azure.csv", "-o", "t.parquet", cwd=folder)
    assert "1 bad row left out" in err
    assert "1 x TIMESTAMP is not a date and time; first azure.csv, line 4" in err
    assert "1 row of the source (TIMESTAMP is not a date and time)" in " ".join(
        run("info", "t.parquet", cwd=folder)[0].split()
    )
    _out, err = run("import", "azure", "azure.csv", "-o", "s.parquet", "--strict", cwd=folder, code=2)
    assert "azure.csv, line 4" in err
    assert not (folder / "s.parquet").exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("azur", "azure.csv"), "Did you mean azure?"),
        (("vidur", "azure.csv"), "It looks like azure"),
        (("azure", "nowhere.csv"), "cannot be opened"),
        (("azure", "azure.csv", "--map", "a=b"), "--map is for the format requests"),
        (("requests", "azure.csv", "--map", "TIMESTAMP"), "is not COLUMN=FIELD"),
        (("requests", "azure.csv", "--map", "TIMESTAMP=strat"), "Did you mean start"),
        (("azure",), "Missing argument"),
    ],
)
def test_what_is_misspelt_or_missing(folder, words, hint):
    _out, err = run("import", *words, "-o", "t.parquet", cwd=folder, code=2)
    assert hint in " ".join(err.split())
    assert [path.name for path in folder.iterdir()] == ["azure.csv"]


def test_nothing_is_overwritten_unasked(folder):
    (folder / "t.parquet").write_text("mine")
    _out, err = run("import", "azure", "azure.csv", "-o", "t.parquet", cwd=folder, code=2)
    assert "--force" in err
    assert (folder / "t.parquet").read_text() == "mine"
    run("import", "azure", "azure.csv", "-o", "t.parquet", "--force", cwd=folder)
    run("export", "agentic-mooncake", "t.parquet", "-o", "azure.csv", cwd=folder, code=2)
    assert (folder / "azure.csv").read_text() == AZURE


def test_ctrl_c_leaves_nothing(folder):
    os.mkfifo(folder / "pipe")
    reading = start("import", "azure", "pipe", "-o", "t.parquet", cwd=folder)
    with reading as process, (folder / "pipe").open("w") as pipe:
        pipe.write(AZURE)
        pipe.flush()
        deadline = time.monotonic() + 60
        while not list(folder.glob(".t.parquet.*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in err
    assert sorted(path.name for path in folder.iterdir()) == ["azure.csv", "pipe"]


def test_export(folder):
    run("import", "azure", "azure.csv", "-o", "t.parquet", cwd=folder)
    out, err = run("export", "agentic-mooncake", "t.parquet", "-o", "-", cwd=folder)
    assert [json.loads(line)["input_length"] for line in out.splitlines()] == [480, 318]
    assert "block length 64 tokens" in err
    run("export", "agentic-mooncake", "t.parquet", "-o", "x.jsonl.gz", cwd=folder)
    run("import", "agentic-mooncake", "x.jsonl.gz", "-o", "again.parquet", cwd=folder)
    document = json.loads(run("info", "again.parquet", "--json", cwd=folder)[0])
    assert document["rows"]["llm_call"] == 2
    _out, err = run("export", "perfeto", "t.parquet", "-o", "x", cwd=folder, code=2)
    assert "Unknown format 'perfeto'" in err
