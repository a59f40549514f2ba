"""The demo, end to end: a real engine, a real agent, a real recording, replayed on two replicas of three GPUs."""

import json
from itertools import pairwise

import pytest

from tests.cli.command_line import run
from tracekit.schema import Kind
from tracekit.trace import Trace

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    pytest.importorskip("xllamacpp", reason="needs the extra `demo`: pip install 'tracekit-replay[demo]'")
    folder = tmp_path_factory.mktemp("demo")
    out, err = run("demo", "--sessions", "4", "--json", cwd=folder)
    return folder / "demo-trace.parquet", json.loads(out), err


def test_everything_is_recorded_with_the_servers_tokens(demo):
    path, _document, err = demo
    trace = Trace.open(path)
    calls = trace.rows(Kind.LLM_CALL).to_pylist()
    assert len(calls) == 16
    assert trace.count(Kind.SESSION) == 4
    assert {row["status"] for row in calls} == {"ok"}
    assert {row["usage_source"] for row in calls} == {"server"}
    assert all(row["first_token_ns"] > row["start_ns"] for row in calls)
    assert "16 LLM calls in 4 sessions" in err
    spans = trace.rows(Kind.TOOL_SPAN).to_pylist()
    assert {row["name"] for row in spans} == {"search", "python"}
    assert {row["tool_source"] for row in spans} == {"tool_id"}


def test_it_says_what_it_is(demo):
    _path, document, _err = demo
    assert document["labels"]["weights"] == "random"
    assert document["labels"]["content"] == "scripted"
    assert all(replay["tier"] == "analytic" for replay in document["replays"])
    assert all(replay["assumed"] for replay in document["replays"])


def test_at_least_three_causes_of_idleness_on_two_replicas(demo):
    _path, document, _err = demo
    assert [replay["fleet"]["replicas"] for replay in document["replays"]] == [2, 2, 2]
    fast = document["replays"][2]
    assert fast["fleet"]["gpu"] == "H100-SXM-80GB"
    causes = {cause for cause, seconds in fast["idle_s"].items() if seconds > 0.01}
    assert {"tool_wait", "client_wait", "no_demand"} <= causes


def test_the_servers_cache_stays_within_what_could_be_shared(demo):
    _path, document, _err = demo
    prefix = document["recorded"]["prefix"]
    assert 0.2 < prefix["server_cached"] <= prefix["shareable"] + 0.05


def test_the_engines_own_metrics_are_sampled_and_agree_with_its_answers(demo):
    path, document, _err = demo
    [load] = document["recorded"]["engines"]
    assert (load["engine"], load["model"], load["restarts"]) == ("llama.cpp", None, 0)
    assert load["samples"] >= 2
    assert 0 < load["running"]["max"] <= 4  # slots
    calls = (
        Trace.open(path).rows(Kind.LLM_CALL, ["input_tokens", "output_tokens", "cached_tokens"]).to_pylist()
    )
    for counted, told in (("prompt_tokens", "input_tokens"), ("prefix_hit_tokens", "cached_tokens")):
        answered = sum(call[told] for call in calls)
        assert 0 < load[counted] <= answered  # what was counted before the first sample is not in it


def test_agents_are_recorded_each_and_compared(tmp_path):
    pytest.importorskip("xllamacpp", reason="needs the extra `demo`: pip install 'tracekit-replay[demo]'")
    out, _err = run("demo", "--agents", "chat,tree", "--sessions", "1", "--json", cwd=tmp_path)
    chat, tree = json.loads(out)["workflows"]
    assert (chat["sessions"], chat["calls_per_session"]) == (1, 1)
    assert (tree["sessions"], tree["calls_per_session"]) == (1, 18)
    assert [replay["session_x"]["mean"] > 1 for replay in tree["replays"]] == [True] * 3
    calls = Trace.open(tmp_path / "demo-trace-tree.parquet").rows(Kind.LLM_CALL).to_pylist()
    spans = sorted((row["start_ns"], row["end_ns"]) for row in calls)
    assert sum(after[0] < before[1] for before, after in pairwise(spans)) >= 2


def test_an_unknown_agent_is_refused(tmp_path):
    _out, err = run("demo", "--agents", "chat,reakt", cwd=tmp_path, code=2)
    assert "Did you mean react" in err
