"""Traces and fleets that no replay can make sense of, through the command line: a paragraph, exit code 2, no hang."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, tool_row, write_crafted

FINE = call_row(1, 0, 50)


@pytest.mark.parametrize("command", ["replay", "analyze"])
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([call_row(1, 0, 5, parents=[2]), call_row(2, 6, 9, parents=[1])], "wait for each other"),
        ([FINE, call_row(2, 60, 70, parents=[77])], "row 77, which is no step"),
        ([FINE, call_row(2, 70, 60)], "ends before it starts"),
        ([FINE, call_row(2, -70, -60)], "before 1970"),
        ([FINE, call_row(2, 60, 70, input_tokens=2**31)], "more than 2,147,483,647 tokens"),
    ],
    ids=["cycle", "orphan", "negative length", "negative time", "too many tokens"],
)
def test_traces_that_cannot_be(tmp_path, command, rows, words):
    write_crafted(tmp_path / "t.parquet", rows)
    out, err = run(command, "t.parquet", cwd=tmp_path, code=2)
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""


@pytest.mark.parametrize(
    ("rows", "refused", "served"),
    [
        ([call_row(1, 0, 5, input_tokens=10**9)], 1, 0),
        ([call_row(1, 0, 5, input_tokens=10**9, parents=[]), call_row(2, 6, 9, parents=[1])], 1, 1),
        ([call_row(1, 0, 5, input_tokens=131_072), call_row(2, 6, 9, parents=[1])], 1, 1),
        ([call_row(1, 0, 5, input_tokens=0, output_tokens=0), call_row(2, 0, 5)], 0, 2),
    ],
    ids=["nothing served", "beyond the memory", "beyond the context", "zero"],
)
def test_calls_that_are_refused_are_counted(tmp_path, rows, refused, served):
    write_crafted(tmp_path / "t.parquet", rows, [tool_row(9, 20, 40)])
    words = ("replay", "t.parquet", "--gpu", "H100", "--model", "Llama-3.1-8B")
    document = json.loads(run(*words, "--json", "-o", "out.parquet", cwd=tmp_path)[0])
    assert (document["calls_failed"], document["calls"]) == (refused, served)
    assert ("calls refused" in run(*words, cwd=tmp_path)[0]) == bool(refused)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--gpu", "A100-40", "--model", "Llama-3.1-70B"), "GB are usable. Use --tp 8"),
        (("--replicas", "0"), "0 is not in the range x>=1"),
        (("--fleet", "none.toml"), "replicas is 0; it must be a whole number of at least 1"),
        (("--fleet", "empty.toml"), "[fleet] has no 'gpu'"),
    ],
)
def test_fleets_that_cannot_be(tmp_path, words, hint):
    write_crafted(tmp_path / "t.parquet", [FINE])
    (tmp_path / "empty.toml").write_text("[fleet]\n")
    (tmp_path / "none.toml").write_text('[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\nreplicas = 0\n')
    out, err = run("replay", "t.parquet", *words, cwd=tmp_path, code=2)
    assert hint in " ".join(err.split())
    assert out == ""
