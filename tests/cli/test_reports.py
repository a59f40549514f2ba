"""`analyze -o` and `replay -o` as a user types them."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, tool_row, write_crafted

FLEET = ("--gpu", "H100", "--model", "Llama-3.1-8B")


@pytest.fixture
def folder(tmp_path):
    calls = [call_row(1, 0, 100, model="m"), call_row(3, 300, 400, parents=[2], model="m")]
    write_crafted(tmp_path / "t.parquet", calls, [tool_row(2, 110, 290, parents=[1], name="search")])
    return tmp_path


@pytest.mark.parametrize("command", ["analyze", "replay"])
@pytest.mark.parametrize(
    ("name", "start"),
    [("r.html", "<!doctype html>"), ("r.md", "## tracekit"), ("r.csv", "view,"), ("r.json", "{")],
)
def test_the_suffix_decides_the_format(folder, command, name, start):
    out, err = run(command, "t.parquet", *FLEET, "-o", name, cwd=folder)
    text = (folder / name).read_text(encoding="utf-8")
    assert text.startswith(start)
    assert "H100" in text
    assert f"tracekit: wrote {name}" in err
    assert "Replayed (modelled)" in out
    assert {file.name for file in folder.iterdir()} == {"t.parquet", name}


def test_the_command_is_in_the_report(folder):
    run("analyze", "t.parquet", *FLEET, "-o", "r.html", cwd=folder)
    assert (
        "tracekit analyze t.parquet --gpu H100 --model Llama-3.1-8B -o r.html"
        in (folder / "r.html").read_text()
    )


def test_a_dash_is_stdout_and_nothing_else_is_there(folder):
    out, _err = run("analyze", "t.parquet", *FLEET, "-o", "-", cwd=folder)
    assert json.loads(out)["recorded"]["calls"] == 2
    out, _err = run("analyze", "t.parquet", *FLEET, "-o", "-", "--format", "md", cwd=folder)
    assert out.startswith("## tracekit")
    assert "Replayed (modelled)" not in out
    out, _err = run("replay", "t.parquet", *FLEET, "-o", "-", "--format", "html", cwd=folder)
    assert out.startswith("<!doctype html>")


def test_what_exists_is_kept_unless_forced(folder):
    (folder / "r.html").write_text("mine")
    _out, err = run("analyze", "t.parquet", *FLEET, "-o", "r.html", cwd=folder, code=2)
    assert "--force" in err
    assert (folder / "r.html").read_text() == "mine"
    run("analyze", "t.parquet", *FLEET, "-o", "r.html", "--force", cwd=folder)
    assert (folder / "r.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "r.pdf"), "does not end in .html, .md, .csv, .json"),
        (("-o", "t.parquet", "--format", "html", "--force"), "is the trace that is being read"),
        (("-o", "-", "--json"), "both write to stdout"),
        (("--format", "md"), "--format is the format of -o"),
        (("-o", "nowhere/r.html"), "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_written_is_refused(folder, words, said):
    _out, err = run("analyze", "t.parquet", *FLEET, *words, cwd=folder, code=2)
    assert said in " ".join(err.split())
    assert {file.name for file in folder.iterdir()} == {"t.parquet"}


def test_a_replay_names_its_timeline_among_the_formats(folder):
    _out, err = run("replay", "t.parquet", *FLEET, "-o", "r.pdf", cwd=folder, code=2)
    assert ".parquet" in err
