"""`tracekit compare` as a user types it."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.replay import compile_kernel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    compile_kernel()
    folder = tmp_path_factory.mktemp("compare")
    write_crafted(folder / "chat.parquet", [call_row(1, 0, 500)], sessions=[session_row(0, 0, 500)])
    calls = [call_row(1, 0, 500), call_row(2, 800, 1000, parents=[3], input_tokens=400)]
    write_crafted(folder / "agent.parquet", calls, [tool_row(3, 500, 800, parents=[1])])
    write_crafted(folder / "blind.parquet", [call_row(1, 0, 500, input_tokens=None)])
    write_crafted(folder / "alone.parquet", [call_row(1, 0, 500, session=None)], sessions=[])
    return folder


def test_workflows_side_by_side(folder):
    words = ("--gpu", "H100", "--gpu", "L40S", "--model", "Llama-3.1-8B", "--queries-per-day", "71.4M")
    out, _err = run(
        "compare", "agent.parquet", "chat.parquet", "--baseline", "chat", *words, "--json", cwd=folder
    )
    document = json.loads(out)
    assert (document["schema_version"], document["baseline"], document["queries_per_day"]) == (
        1,
        "chat",
        71.4e6,
    )
    agent, chat = document["workflows"]
    assert (agent["name"], agent["calls_per_session"], agent["tools_per_session"]) == ("agent", 2, 1)
    assert [one["fleet"]["gpu"] for one in agent["replays"]] == ["H100-SXM-80GB", "L40S"]
    for mine, other in zip(agent["replays"], chat["replays"], strict=True):
        assert mine["session_x"]["mean"] == pytest.approx(
            mine["session_s"]["mean"] / other["session_s"]["mean"]
        )
        assert mine["at_demand"]["mw"]["average"] == pytest.approx(
            mine["wh_per_session"]["average"] * 71.4e6 / 24 / 1e6
        )
        assert 0 <= other["idle"] < mine["idle"] < 1
    assert document["assumptions"]
    assert document["sources"]
    out, _err = run("compare", "base=chat.parquet", "agent.parquet", *words, cwd=folder)
    assert "base" in out
    assert "MW average" in out


@pytest.mark.parametrize("suffix", ["html", "md", "csv", "json"])
def test_a_report_of_each_format(folder, tmp_path, suffix):
    words = ("compare", str(folder / "chat.parquet"), str(folder / "agent.parquet"), "--gpu", "H100")
    out, err = run(*words, "-o", f"report.{suffix}", cwd=tmp_path)
    text = (tmp_path / f"report.{suffix}").read_text()
    assert "wrote" in err
    assert "Workflows, as recorded" in out
    assert "agent" in text
    out, _err = run(*words, "-o", "-", "--format", suffix, cwd=tmp_path)
    assert "Workflows, as recorded" not in out
    assert len(out.splitlines()) == len(text.splitlines())
    _out, err = run(*words, "-o", f"report.{suffix}", cwd=tmp_path, code=2)
    assert "--force" in err


def test_a_report_is_no_trace_that_is_compared(folder):
    words = ("--gpu", "H100", "--format", "json", "--force")
    _out, err = run(
        "compare", "chat.parquet", "agent.parquet", *words, "-o", "agent.parquet", cwd=folder, code=2
    )
    assert "agent.parquet" in err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("chat.parquet", "missing.parquet"), "missing.parquet"),
        (("chat.parquet", "alone.parquet"), "no session"),
        (("chat.parquet", "blind.parquet"), "token"),
        (("chat.parquet", "agent.parquet", "--baseline", "chatt"), "Did you mean chat"),
        (("chat.parquet", "chat.parquet"), "NAME=FILE"),
        (("chat.parquet", "--queries-per-day", "many"), "71.4M"),
        (("chat.parquet", "--queries-per-day", "0"), "above 0"),
        ((), "TRACE"),
    ],
)
def test_what_cannot_be_compared(folder, words, hint):
    _out, err = run("compare", *words, cwd=folder, code=2)
    assert hint in " ".join(err.split())


def test_analyze_without_a_file_names_what_there_is(folder):
    _out, err = run("analyze", cwd=folder, code=2)
    assert "tracekit record -o" in err
    assert "tracekit analyze" in err


def test_what_refuses_calls_is_set_against_nothing(folder):
    long = [call_row(1, 0, 500, input_tokens=1_000_000), call_row(2, 800, 1000, parents=[1])]
    write_crafted(folder / "long.parquet", long)
    words = ("compare", "long.parquet", "chat.parquet", "--gpu", "H100", "--model", "Llama-3.1-8B", "--json")
    document = json.loads(run(*words, cwd=folder)[0])
    assert document["headline"].endswith(
        "nothing is known that could be set against long. Calls of long are refused there, longer than a replica takes."
    )
    chat = document["workflows"][1]["replays"][0]
    assert (chat["session_x"], chat["wh_x"], chat["cost_x"]) == (
        None,
        {"average": None, "isolated": None},
        None,
    )
    assert any("long 1 of 2 on 1 x H100" in note for note in document["assumptions"])


def test_the_headline_is_of_those_that_refuse_nothing(folder):
    long = [call_row(1, 0, 500, input_tokens=1_000_000)]
    write_crafted(folder / "huge.parquet", long, sessions=[session_row(0, 0, 500)])
    words = (
        "compare",
        "chat.parquet",
        "huge.parquet",
        "agent.parquet",
        "--gpu",
        "H100",
        "--model",
        "Llama-3.1-8B",
    )
    document = json.loads(run(*words, "--queries-per-day", "1M", "--json", cwd=folder)[0])
    told = document["headline"]
    assert "a session of agent takes" in told
    assert "Calls of huge are refused there" in told
    assert "chat draws" in told
    assert "huge" not in told.split("refused there")[1]


def test_scores_that_are_no_numbers_are_no_scores(folder):
    sessions = [session_row(0, 0, 500, score=0.5), session_row(10, 0, 500, score=float("nan"))]
    calls = [call_row(1, 0, 500), call_row(11, 0, 500, session=10)]
    write_crafted(folder / "scored.parquet", calls, sessions=sessions)
    words = (
        "compare",
        "scored.parquet",
        "chat.parquet",
        "--gpu",
        "H100",
        "--model",
        "Llama-3.1-8B",
        "--json",
    )
    document = json.loads(run(*words, cwd=folder)[0])
    assert document["workflows"][0]["score"] == {"mean": 0.5, "sessions": 1}
