import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import geometric_mean

import pytest

from examples.cost_of_dynamic_reasoning import __main__ as command
from examples.cost_of_dynamic_reasoning.alone import replay_alone, without_sharing
from examples.cost_of_dynamic_reasoning.comparison import Row, within
from examples.cost_of_dynamic_reasoning.experiment import Experiment
from examples.cost_of_dynamic_reasoning.hardware import SMALL, VLLM_2024
from examples.cost_of_dynamic_reasoning.knee import knee_of_curve
from examples.cost_of_dynamic_reasoning.page import datacenter, latency, requests, serving
from examples.cost_of_dynamic_reasoning.page.page import markdown
from examples.cost_of_dynamic_reasoning.page.plots import write_plots
from examples.cost_of_dynamic_reasoning.page.scaling import most_efficient, wh_per_correct
from examples.cost_of_dynamic_reasoning.page.targets import TARGETS, judged
from examples.cost_of_dynamic_reasoning.pair import Pair, pairs, shape_of
from examples.cost_of_dynamic_reasoning.published import HERE, INPUTS, tables, taken
from examples.cost_of_dynamic_reasoning.results import Results
from examples.cost_of_dynamic_reasoning.run import run_all
from examples.cost_of_dynamic_reasoning.workspace import Workspace
from tests.unit.study import small_run
from tests.unit.study.small_run import TINY, tiny_experiments

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    made = Workspace(tmp_path_factory.mktemp("study"), TINY)
    run_all(made, tiny_experiments(), 2, lambda _name: None)
    return made


@pytest.fixture(scope="module")
def results(space):
    return Results({each.name: space.found(each.name) for each in tiny_experiments()})


def test_traces_and_results_come_out_the_same_without_the_targets(space, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "examples" / HERE.name / TARGETS.name).unlink()
    # the folder that a script lies in comes before PYTHONPATH
    shutil.copy(small_run.__file__, tmp_path / "small_run.py")
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "small_run.py"), str(tmp_path / "work")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == small_run.digests(space)


def test_the_page_of_a_tiny_run(results, tmp_path):
    page = markdown(results, TINY, quick=True)
    assert "A quick run" in page
    assert "nan" not in page.split("## Where the published values stand")[0]
    for name in ("pairs", "knees", "scaling"):
        assert f"cost-of-dynamic-reasoning/{name}.svg" in page
    write_plots(results, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"pairs.svg", "knees.svg", "scaling.svg"}


def test_the_page_in_the_documents_is_of_this_template():
    template = (HERE / "page" / "page.md.jinja").read_text()
    page = command.PAGE.read_text()
    prose = [line for line in template.splitlines() if line and not set("{%}") & set(line)]
    of_other_runs = ("**A quick run", "The recorded Claude Code sessions were not at hand")
    missing = [line for line in prose if line not in page and not line.startswith(of_other_runs)]
    assert missing == [], "run: python -m examples.cost_of_dynamic_reasoning"
    assert "A quick run" not in page


def test_every_value_says_where_it_stands_and_how_it_was_read():
    for file in (INPUTS, TARGETS):
        marks = json.loads(file.read_text())["marks"]
        for name, table in tables(file).items():
            assert table.mark in marks, name
            assert table.where, name
    both = set(tables(INPUTS)) & set(tables(TARGETS))
    assert both == set(), "a value is either taken or judged by"


def test_a_run_that_is_cut_off_goes_on(tmp_path):
    ran, space = [], Workspace(tmp_path, TINY)

    def stops(_space):
        raise KeyboardInterrupt

    first = Experiment("first", lambda _space: ran.append(1) or {"value": 1})
    with pytest.raises(KeyboardInterrupt):
        run_all(space, [first, Experiment("second", stops)], 1, lambda _name: None)
    done = []
    run_all(space, [first, Experiment("second", lambda _space: {"value": 2})], 1, done.append)
    assert len(ran) == 1
    assert done == ["first", "second"]
    assert space.found("second") == {"value": 2}


def test_results_of_another_effort_are_not_taken(tmp_path):
    Workspace(tmp_path, TINY).keep("first", {"value": 1})
    more = TINY.__class__(TINY.size, TINY.load._replace(sessions=7))
    assert Workspace(tmp_path, TINY).found("first") == {"value": 1}
    assert Workspace(tmp_path, more).found("first") is None


def test_a_damaged_result_is_made_anew(tmp_path):
    space = Workspace(tmp_path, TINY)
    space.keep("first", {"value": 1})
    (tmp_path / "results" / "first.json").write_text("{")
    assert space.found("first") is None


def test_the_17_pairs():
    assert len(pairs()) == 17
    assert sum(pair.uses_tools for pair in pairs()) == 14
    assert {pair.benchmark for pair in pairs() if pair.tools_use_the_gpu} == {"HumanEval"}


def test_calls_are_exact_from_the_inputs():
    without, _with_trees, trees = requests.calls_rows()
    assert trees.ours == pytest.approx(71.0, abs=0.05)
    # digitised bars, to a tenth of a call each
    assert without.ours == pytest.approx(judged("calls")["times_cot"], abs=0.1)


def test_megawatts_follow_from_wh_to_the_rounding_of_the_table():
    for row in datacenter.megawatt_rows():
        assert row.ours == pytest.approx(row.published, rel=0.05 if row.published <= 1 else 0.03), row.name


def test_facility_adds_the_host_and_then_the_building():
    low, high = datacenter.facility_wh(10.0, 3600.0)
    (host_low, host_high), (pue_low, pue_high) = datacenter.host_watts(), datacenter.pue_range()
    assert (low, high) == pytest.approx(((10 + host_low) * pue_low, (10 + host_high) * pue_high))


@pytest.mark.parametrize(
    ("curve", "knee"),
    [
        ([[1.0, 10.0], [2.0, 15.0], [4.0, 25.0]], 3.0),
        ([[1.0, 10.0], [2.0, 20.0]], 2.0),
        ([[1.0, 10.0], [2.0, 40.0]], 1.0 + 10 / 30),
    ],
)
def test_the_knee_of_a_curve(curve, knee):
    assert knee_of_curve(curve) == pytest.approx(knee)


def test_published_knees_by_the_rule():
    found = {(name, how): serving.published_knee(name, how) for name, how in serving.CURVES}
    assert found["HotpotQA", "cached"] == pytest.approx(2.65, abs=0.02)
    assert found["HotpotQA", "uncached"] == pytest.approx(0.47, abs=0.01)
    assert found["WebShop", "cached"] == pytest.approx(1.18, abs=0.01)
    assert found["WebShop", "uncached"] == pytest.approx(0.17, abs=0.01)


def test_rows_differ_by_ratio_or_by_points():
    rows = [Row("a", 11.0, 10.0), Row("b", 11.2, 10.0), Row("c", 8.8, 10.0)]
    assert within(rows, 0.101) == 1
    assert within([Row("idle", 12.0, 10.0, points=True)], 2.0) == 1
    assert Row("idle", 12.0, 10.0, points=True).told == "+2.0 points"


def test_wh_of_a_right_answer_counts_wrong_ones_too():
    assert wh_per_correct(3600.0, 25.0) == pytest.approx(4.0)
    assert wh_per_correct(3600.0, 0.0) is None
    assert most_efficient({"5": (10.0, 20.0), "10": (30.0, 40.0)}) == "5"


def test_a_session_alone_is_all_of_its_parts(space):
    for pair in (Pair("HotpotQA", "ReAct"), Pair("HotpotQA", "LATS"), Pair("WebShop", "LLMCompiler")):
        found = replay_alone(space.workload(pair), shape_of(pair).choices, SMALL, VLLM_2024)
        by_step = found.llm_s + found.tool_s + found.overlap_s
        assert by_step == pytest.approx(found.e2e_s, rel=1e-6)
        by_gpu = found.prefill_s + found.decode_s + found.idle_s
        # the API server's time of calls side by side is counted for each of them
        assert by_gpu == pytest.approx(found.e2e_s, rel=0.03 if pair.agent == "LATS" else 1e-6)
        assert found.idle_windowed_s <= found.idle_s + found.call_prefill_s


def test_without_sharing_only_answers_of_one_call_share(space):
    pair = Pair("HotpotQA", "LATS")
    workload, choices = space.workload(pair), shape_of(pair).choices
    told = without_sharing(workload, choices)
    sharing = told.prefix_parent >= 0
    assert sharing.sum() == (workload.input_tokens > 0).sum() * (choices - 1) / choices
    assert (told.session[told.prefix_parent[sharing]] == told.session[sharing]).all()


def test_token_times_that_no_gpu_can_have(results):
    slow = [pair for pair in pairs() if latency.token_ms(pair) > latency.SLOW_TOKEN_MS]
    usual = [latency.token_ms(pair) for pair in pairs() if pair not in slow]
    assert len(slow) == 6
    assert geometric_mean(usual) == pytest.approx(14.4, rel=0.03)


def test_inputs_that_are_computed_follow_from_the_figures():
    # of Fig 5: HotpotQA's ReAct runs tools for 55.1 % of 9.6 s
    assert taken("tool_wall_s")["HotpotQA"]["ReAct"] == pytest.approx(0.551 * 9.6, abs=0.01)
    lats = judged("time_share")["MATH"]["LATS"]["llm"] / 100 * judged("e2e_s")["MATH"]["LATS"]
    calls = taken("llm_calls")["MATH"]["LATS"] * judged("call_s")["MATH"]["LATS"]["cached"]
    assert taken("parallel_calls")["MATH"] == pytest.approx(calls / lats, abs=0.01)
