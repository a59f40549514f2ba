"""What-ifs and `tracekit diff` as a user types them."""

import json

import pytest

from tests.cli.command_line import run
from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.replay import compile_kernel

HERE = ("--gpu", "H100", "--model", "Llama-3.1-8B")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A session whose tool takes 2 s, between calls of some 0.1 and 0.2 s."""
    compile_kernel()
    folder = tmp_path_factory.mktemp("what_if")
    calls = [
        call_row(1, 0, 500, output_tokens=20),
        call_row(2, 2500, 3000, parents=[3], input_tokens=400, output_tokens=20),
    ]
    tools = [tool_row(3, 500, 2500, parents=[1], name="search")]
    write_crafted(folder / "agent.parquet", calls, tools, [session_row(0, 0, 3000)])
    return folder


def replayed(folder, *words):
    out, _err = run("replay", "agent.parquet", *words, "--json", cwd=folder)
    return json.loads(out)


def test_a_tool_guessed_right_is_waited_for_only_beyond_its_call(folder):
    before, after = replayed(folder, *HERE), replayed(folder, *HERE, "--what-if", "tools.speculative=1")
    assert before["what_if"] is None
    assert after["what_if"]["switches"] == {"tools.speculative": "1"}
    assert after["what_if"]["speculation"] == {"hits": 1, "misses": 0, "wasted_tool_s": 0.0}
    first_call_s = before["session_s"]["mean"] - 2.0 - (after["session_s"]["mean"] - 2.0)
    assert before["e2e_s"]["p50"] <= first_call_s + 1e-9 <= before["e2e_s"]["p99"] + 1e-6
    assert any("what if tools.speculative=1" in note for note in after["assumptions"])


def test_the_same_from_a_fleet_file_and_the_command_line_goes_before_it(folder):
    (folder / "fleet.toml").write_text(
        '[fleet]\ngpu = "H100"\nmodel = "Llama-3.1-8B"\n[what_if]\ntools.speculative = 0\ntools.time = 0.5\n'
    )
    file = replayed(folder, "--fleet", "fleet.toml")
    assert file["what_if"]["speculation"] == {"hits": 0, "misses": 1, "wasted_tool_s": 1.0}
    both = replayed(folder, "--fleet", "fleet.toml", "--what-if", "tools.speculative=1")
    assert both["what_if"]["switches"] == {"tools.speculative": "1", "tools.time": "0.5"}
    assert both["what_if"]["speculation"]["hits"] == 1
    _out, err = run("compare", "agent.parquet", "--fleet", "fleet.toml", cwd=folder, code=2)
    assert "which `tracekit compare` does not take" in err


def test_a_timeline_names_the_steps_that_are_left(folder):
    import pyarrow.parquet as pq

    run("replay", "agent.parquet", *HERE, "--what-if", "iterations=1", "-o", "cut.parquet", cwd=folder)
    table = pq.read_table(folder / "cut.parquet", columns=["kind", "call_id"]).to_pylist()
    assert [row["call_id"] for row in table if row["kind"] == "call"] == [2]


def test_analyze_takes_what_ifs_as_well(folder):
    words = (
        "analyze",
        "agent.parquet",
        *HERE,
        "--gpu",
        "L40S",
        "--what-if",
        "tools.async=on,tools.time=0.25",
    )
    out, _err = run(*words, "--json", cwd=folder)
    document = json.loads(out)
    assert [replay["what_if"]["labels"] for replay in document["replays"]] == [
        ["tools.async: upper bound"]
    ] * 2
    out, _err = run(*words, cwd=folder)
    assert "what if: tools.async=on, tools.time=0.25 (tools.async: upper bound)" in out


def test_where_time_went_is_told(folder):
    savings = replayed(folder, *HERE)["savings"]
    assert savings["path_s"]["tool"] == pytest.approx(2.0)
    assert savings["without_s"]["tool"] == pytest.approx(2.0)
    assert sum(savings["path_s"].values()) == pytest.approx(savings["session_s"], abs=1e-8)
    assert savings["steps"][0] | {"saves_s": 2.0} == savings["steps"][0] | {"row_id": 3, "name": "search"} | {
        "saves_s": 2.0
    }
    out, _err = run("replay", "agent.parquet", *HERE, cwd=folder)
    assert "saved without it" in out


@pytest.mark.parametrize(
    ("what_if", "words"),
    [
        ("tools.speculatve=1", "Did you mean tools.speculative"),
        ("tools.speculative=2", "takes off, or a number of 0 to 1"),
        ("tp=2,tp=4", "given twice"),
        ("retention=offload,prefix_cache=off", "prefix_cache = true"),
        ("tp=3", "32 attention heads"),
        ("nonsense", "cannot be read"),
    ],
)
def test_bad_what_ifs_are_usage_errors(folder, what_if, words):
    _out, err = run("replay", "agent.parquet", *HERE, "--what-if", what_if, cwd=folder, code=2)
    assert words in " ".join(err.split())


@pytest.fixture(scope="module")
def documents(folder):
    run("replay", "agent.parquet", *HERE, "-o", "a.json", cwd=folder)
    run("replay", "agent.parquet", *HERE, "--what-if", "tools.time=2", "-o", "b.parquet", cwd=folder)
    return folder


def test_diff_of_a_document_and_a_timeline(documents):
    out, _err = run("diff", "a.json", "b.parquet", cwd=documents)
    assert "what if tools.time" in out
    assert "session_p95" in out
    out, _err = run("diff", "a.json", "b.parquet", "--json", cwd=documents)
    document = json.loads(out)
    assert {"schema_version", "trace", "assumptions", "sources", "inputs", "parts"} <= set(document)
    numbers = {row["name"]: row for row in document["parts"][0]["numbers"]}
    assert numbers["session_p95"]["change"] == pytest.approx(2.0)
    assert numbers["cost_usd.api_equivalent"]["change"] is None
    out, _err = run("diff", "a.json", "b.parquet", "--format", "markdown", cwd=documents)
    assert "| session\\_p95 |" in out


def test_budgets_decide_the_exit_code(documents):
    words = ("diff", "a.json", "b.parquet", "--fail-if")
    _out, err = run(*words, "session_p95>+10%", "--fail-if", "calls>+0", cwd=documents, code=1)
    assert "the budget session_p95>+10% is broken in replay" in err
    assert "calls" not in err
    out, _err = run(*words, "session_p95>+10%", "--json", cwd=documents, code=1)
    assert json.loads(out)["budgets"][0]["broken"] is True
    out, _err = run(*words, "session_p95>+60s", cwd=documents)
    assert "kept: session_p95>+60s: it is +2 s" in out
    run(*words, "sesion_p95>+10%", cwd=documents, code=2)
    run(*words, "cost_usd.api_equivalent>+10%", cwd=documents, code=2)
    run("diff", "a.json", "agent.parquet", cwd=documents, code=2)
    run("diff", "a.json", "none.json", cwd=documents, code=2)
