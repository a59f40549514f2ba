"""The guides' examples: their answers are right, their commands run, and they name every switch."""

import shlex
import tomllib
from pathlib import Path

import pytest

from tests.cli.command_line import ROOT, run
from tests.oracle.workloads import call, tool
from tests.unit.what_if.second_a_step import change, end_s
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.what_if.registry import SWITCHES
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.reports.budget import Budget

GUIDE, DIFF = ((ROOT / "docs" / name).read_text() for name in ("what-if.md", "diff.md"))
ONE = [call(10, 3), tool(5.0, 0), call(10, 2, 1)]
LONGER = [*ONE, tool(1.0, 2), call(10, 1, 3)]


def candidate(output, *parents):
    node = call(10, output, *parents)
    node.prefix = (0, 0, 10)
    return node


@pytest.mark.parametrize(
    ("words", "nodes", "changes", "before_s", "after_s"),
    [
        ("`tools.speculative=1`: 3 + max(0, 5 - 3) + 2 = 7 s", ONE, {"speculative": 1.0}, 10, 7),
        ("`tools.speculative=0`: 10 s, 5 s wasted", ONE, {"speculative": 0.0}, 10, 10),
        ("12 s become 9 s", LONGER, {"asynchronous": True}, 12, 9),
        ("`tools.time=0.5`: 3 + 2.5 + 2 = 7.5 s", ONE, {"tool_time": 0.5}, 10, 7.5),
        ("5 s become 3 s", [call(10, 3), candidate(2, 0)], {"parallel_calls": True}, 5, 3),
        ("3 s become 5 s", [call(10, 3), call(10, 2)], {"sequential_calls": True}, 3, 5),
        ("`iterations=1`: 2 s", ONE, {"iterations": 1}, 10, 2),
    ],
)
def test_answers_about_sessions(words, nodes, changes, before_s, after_s):
    assert words in GUIDE
    assert end_s(change(nodes).workload) == before_s
    assert end_s(change(nodes, **changes).workload) == after_s


def test_answers_about_fleets():
    one = Scenario(Fleet.of("H100", "Llama-3.1-8B"))
    before, after = (
        scenario.fleet.limits()[0].kv_capacity_tokens
        for scenario in (one, one.switched({"kv_compression": 0.5}))
    )
    assert f"`kv_compression=0.5`: {before:,} tokens become {after:,}" in GUIDE
    six = one.switched({"tp": 2, "replicas": 3}).fleet
    assert sum(pool.tp * pool.replicas for pool in six.pools) == 6
    assert one.switched({"split": "1:3"}).fleet.replicas == 4


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_is_in_the_guide(name):
    assert f"`{name}`" in GUIDE or f"`{name}=" in GUIDE


def test_the_fleet_file_of_the_guide(tmp_path):
    text = GUIDE.split("```toml\n")[1].split("```")[0]
    (tmp_path / "fleet.toml").write_text(text)
    told = Scenario.from_toml(tmp_path / "fleet.toml")
    assert set(dict(told.switches)) == {"prefix_cache", "tools.speculative", "iterations"}
    assert tomllib.loads(text)["fleet"]["replicas"] == told.fleet.replicas


@pytest.mark.parametrize("page", [GUIDE, DIFF], ids=["what-if", "diff"])
def test_the_commands_of_the_guides_run(tmp_path, page):
    (tmp_path / "sample_traces").symlink_to(ROOT / "sample_traces")
    (tmp_path / "run.parquet").symlink_to(ROOT / "sample_traces" / "react.parquet")
    lines = [line for line in page.split("```\n")[1].splitlines() if line.startswith("tracekit ")]
    assert len(lines) >= 3
    for line in lines:
        run(*shlex.split(line)[1:], cwd=tmp_path)


def test_the_budgets_of_the_guide_are_some():
    rows = [line for line in DIFF.splitlines() if line.startswith("| `")]
    texts = [text for row in rows for text in row.split("|")[1].split("`")[1::2]]
    assert len(texts) >= 9
    for text in texts:
        Budget.parse(text)


def test_the_reference_page_is_where_the_guide_says():
    assert "(reference/what-if.md)" in GUIDE
    assert Path(ROOT / "docs" / "reference" / "what-if.md").is_file()
