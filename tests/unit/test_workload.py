"""Traces compiled to graphs: recorded durations replay to the recorded starts; broken graphs are refused."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.spool_story import Story
from tracekit.analyzers.kernels.layout import StepKind
from tracekit.analyzers.release import poisson_release, scaled_release
from tracekit.analyzers.replay import replay_recorded
from tracekit.analyzers.workload import compile_workload
from tracekit.errors import ScenarioInvalid, TraceEmpty, TraceUnreadable
from tracekit.provenance import Provenance
from tracekit.schema import Kind
from tracekit.trace import Trace, table_of, write_trace

ASK = [("system", "You are an agent."), ("user", "Who?")]


def written(story: Story, path: Path) -> Trace:
    merged = story.merged()
    write_trace(path, merged.tables, merged.provenance)
    return Trace.open(path)


@pytest.fixture
def story():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(5, 10, ASK, session="s", tools=[("a", "search"), ("b", "python")])
    story.tool(12, 30, "search", session="s", tool_call_id="a")
    story.tool(13, 45, "python", session="s", tool_call_id="b")
    results = [*ASK, ("assistant", "", ("a", "b")), ("tool", "x", "a"), ("tool", "y", "b")]
    story.call(51, 80, results, session="s", answer="done")
    story.call(85, 99, [("user", "title")], session="s", status=500)
    story.add("session_end", 120, id="s", status="ok")
    story.call(40, 70, [("system", "Other."), ("user", "Hm")], thread=7, answer="x")
    return story


def test_recorded_durations_return_every_recorded_start(story, tmp_path):
    trace = written(story, tmp_path / "t.parquet")
    compiled = compile_workload(trace)
    outcome = replay_recorded(compiled.workload)
    rows = {
        row["row_id"]: row
        for kind in (Kind.LLM_CALL, Kind.TOOL_SPAN)
        for row in trace.rows(kind, ["row_id", "start_ns"]).to_pylist()
    }
    starts_ns = np.array([rows[int(row)]["start_ns"] for row in compiled.row_id])
    assert np.abs(outcome.steps["start_s"] * 1e9 + compiled.origin_ns - starts_ns).max() < 1000
    session_end_s = outcome.sessions["end_s"]
    assert session_end_s.max() == pytest.approx(0.120, abs=1e-6)


def test_what_cannot_be_replayed_is_a_gap_and_counted(story, tmp_path):
    story.call(
        130,
        140,
        [("system", "Third."), ("user", "q")],
        thread=8,
        response={"usage": None, "usage_source": "missing"},
    )
    compiled = compile_workload(written(story, tmp_path / "t.parquet"))
    assert compiled.calls == 3
    assert compiled.unanswered_calls == 1
    assert compiled.calls_without_tokens == 1
    gaps = compiled.workload.duration_s[compiled.workload.kind == StepKind.GAP]
    assert sorted(np.round(gaps * 1000)) == [10, 14]


def test_sessions_without_a_step_are_left_out(story, tmp_path):
    story.add("session_start", -50, id="before", name="empty")
    story.add("session_end", 10, id="before", status="ok")
    trace = written(story, tmp_path / "t.parquet")
    assert trace.count(Kind.SESSION) == 3
    compiled = compile_workload(trace)
    assert len(compiled.session_row_id) == 2
    assert compiled.workload.session_arrival_s[0] == 0
    assert replay_recorded(compiled.workload).sessions["end_s"].max() == pytest.approx(0.120, abs=1e-6)


def test_retries_are_dropped_and_counted(tmp_path):
    story = Story()
    story.call(0, 5, ASK, status=429, retry=0, body="same")
    story.call(1005, 1040, ASK, retry=1, body="same", answer="x")
    compiled = compile_workload(written(story, tmp_path / "t.parquet"))
    assert (compiled.calls, compiled.dropped_attempts) == (1, 1)


def test_a_trace_without_tokens_says_so(tmp_path):
    story = Story()
    story.call(0, 5, ASK, response={"usage": None, "usage_source": "missing"})
    with pytest.raises(TraceEmpty, match="no LLM call with token counts"):
        compile_workload(written(story, tmp_path / "t.parquet"))


@pytest.mark.parametrize("parents", [[99], [2], [1]], ids=["orphan", "later", "itself"])
def test_graphs_that_cannot_be(tmp_path, parents):
    calls = [
        {
            "row_id": 1,
            "session_id": 0,
            "start_ns": 0,
            "end_ns": 5,
            "status": "ok",
            "input_tokens": 1,
            "output_tokens": 1,
            "parents": parents,
        },
        {
            "row_id": 2,
            "session_id": 0,
            "start_ns": 6,
            "end_ns": 9,
            "status": "ok",
            "input_tokens": 1,
            "output_tokens": 1,
            "parents": [],
        },
    ]
    tables = {
        Kind.SESSION: table_of(Kind.SESSION, [{"row_id": 0, "start_ns": 0, "end_ns": 9, "status": "ok"}]),
        Kind.LLM_CALL: table_of(Kind.LLM_CALL, calls),
    }
    path = tmp_path / "t.parquet"
    write_trace(path, tables, Provenance(1, "0", [], 0))
    with pytest.raises(TraceUnreadable, match=r"t.parquet, row 1: it starts after row \d+, which"):
        compile_workload(Trace.open(path))


def test_a_poisson_release_copies_sessions_whole(story, tmp_path):
    workload = compile_workload(written(story, tmp_path / "t.parquet")).workload
    drawn_workload, drawn = poisson_release(workload, 2.0, 50, seed=3)
    assert len(drawn_workload.session_arrival_s) == 50
    assert drawn_workload.session_arrival_s[0] == 0
    for index, source in enumerate(drawn):
        ours = slice(*drawn_workload.session_step_start[index : index + 2])
        theirs = slice(*workload.session_step_start[source : source + 2])
        for name in ("kind", "input_tokens", "duration_s", "lag_s", "parent_count"):
            assert np.array_equal(getattr(drawn_workload, name)[ours], getattr(workload, name)[theirs])
        children = drawn_workload.child_index[slice(*drawn_workload.child_start[[ours.start, ours.stop]])]
        assert np.array_equal(
            children - ours.start,
            workload.child_index[slice(*workload.child_start[[theirs.start, theirs.stop]])] - theirs.start,
        )
    again, _drawn = poisson_release(workload, 2.0, 50, seed=3)
    assert np.array_equal(again.session_arrival_s, drawn_workload.session_arrival_s)


def test_a_scaled_release_needs_a_rate(story, tmp_path):
    workload = compile_workload(written(story, tmp_path / "t.parquet")).workload
    faster = scaled_release(workload, 100.0)
    assert faster.session_arrival_s[-1] == pytest.approx(0.01)
    with pytest.raises(ScenarioInvalid, match="poisson"):
        scaled_release(workload._replace(session_arrival_s=np.zeros(2)), 1.0)


# --- what prompts share ---


def shared(compiled) -> list[tuple[int, int]]:
    """Of every call: the place among the calls of its prefix parent, and the tokens shared."""
    workload = compiled.workload
    calls = np.flatnonzero(workload.kind == StepKind.CALL)
    places = {-1: -1} | {int(step): place for place, step in enumerate(calls)}
    return [(places[int(workload.prefix_parent[step])], int(workload.prefix_tokens[step])) for step in calls]


def test_prefixes_come_from_hashes_and_reach_into_the_answer(tmp_path):
    story = Story()
    first = [("system", "0123456789"), ("user", "abcdefghij")]
    follow = [*first, ("assistant", "ABCDE"), ("user", "vwxyz")]
    other = [("system", "0123456789"), ("user", "something new")]
    usage = {"usage": {"input": 30, "output": 3, "cached": None}}
    story.call(0, 10, first, answer="ABCDE", response=usage)
    story.call(20, 30, follow, response=usage)
    story.call(40, 50, other, response=usage)
    found = shared(compile_workload(written(story, tmp_path / "t.parquet")))
    assert sorted(found) == [(-1, 0), (0, 25), (1, 13)]


def named_calls(tmp_path, *named):
    calls = [
        {"row_id": row, "session_id": 0, "start_ns": 10 * row, "end_ns": 10 * row + 5, "status": "ok"}
        | {
            "input_tokens": 40,
            "output_tokens": 9,
            "parents": [],
            "prefix_call_id": parent,
            "prefix_tokens": tokens,
        }
        for row, (parent, tokens) in enumerate(named, start=1)
    ]
    session = {"row_id": 0, "start_ns": 0, "end_ns": 99, "status": "ok"}
    tables = {Kind.SESSION: table_of(Kind.SESSION, [session]), Kind.LLM_CALL: table_of(Kind.LLM_CALL, calls)}
    write_trace(tmp_path / "t.parquet", tables, Provenance(1, "0", [], 0))
    return compile_workload(Trace.open(tmp_path / "t.parquet"))


def test_prefixes_come_from_columns(tmp_path):
    compiled = named_calls(tmp_path, (None, None), (1, 45), (1, 0), (2, 30))
    assert shared(compiled) == [(-1, 0), (0, 45), (-1, 0), (1, 30)]


def test_a_prefix_of_a_later_call_is_refused(tmp_path):
    with pytest.raises(TraceUnreadable, match="later call"):
        named_calls(tmp_path, (2, 30), (None, None))


def test_drawn_sessions_keep_what_their_own_calls_share(tmp_path):
    workload = named_calls(tmp_path, (None, None), (1, 45)).workload
    both, _drawn = poisson_release(workload, 2.0, 2, seed=3)
    assert both.prefix_parent.tolist() == [-1, 0, -1, 2]
    assert both.prefix_tokens.tolist() == [0, 45, 0, 45]
    split = workload._replace(session=np.array([0, 1]), session_step_start=np.array([0, 1, 2]))
    split = split._replace(session_arrival_s=np.zeros(2), session_tail_s=np.zeros(2))
    apart, drawn = poisson_release(split, 2.0, 8, seed=3)
    assert set(drawn.tolist()) == {0, 1}
    assert np.count_nonzero(apart.prefix_parent == -1) == 1  # the text that all others begin with
    assert set(apart.prefix_tokens.tolist()) == {
        0,
        40,
        45,
    }  # a copy of the first shares its prompt, no answer


# --- steps that start inside their parent ---


def steps_written(tmp_path, *calls, tools=()):
    """A trace of one session; rows are given as dicts with start_ns, end_ns and parents, numbered from 1."""
    rows = [
        {"row_id": row, "session_id": 0, "parents": [], **step}
        for row, step in enumerate((*calls, *tools), 1)
    ]
    answered = [
        {"status": "ok", "input_tokens": 20, "output_tokens": 11, **row} for row in rows[: len(calls)]
    ]
    end_ns = max(row["end_ns"] for row in rows)
    session = {"row_id": 0, "start_ns": 0, "end_ns": end_ns, "status": "ok"}
    tables = {
        Kind.SESSION: table_of(Kind.SESSION, [session]),
        Kind.LLM_CALL: table_of(Kind.LLM_CALL, answered),
        Kind.TOOL_SPAN: table_of(Kind.TOOL_SPAN, rows[len(calls) :]),
    }
    write_trace(tmp_path / "t.parquet", tables, Provenance(1, "0", [], 0), force=True)
    return compile_workload(Trace.open(tmp_path / "t.parquet"))


def inner_edges(compiled) -> list[tuple[int, float, float]]:
    """Of each: tokens, fraction of the parent, and the child's lag in ns."""
    workload = compiled.workload
    lags_ns = np.round(workload.lag_s[workload.child_index[workload.inner_edge]] * 1e9)
    return list(
        zip(workload.inner_token.tolist(), workload.inner_fraction.tolist(), lags_ns.tolist(), strict=True)
    )


def stream(**more):
    return {"start_ns": 0, "end_ns": 1000, "first_token_ns": 200, **more}


def test_a_tool_starts_at_the_token_that_had_come(tmp_path):
    tool = {"start_ns": 450, "end_ns": 2000, "parents": [1]}
    compiled = steps_written(tmp_path, stream(last_token_ns=700), tools=[tool])
    assert inner_edges(compiled) == [(6, 0.45, 0)]  # 11 tokens, one each 50 ns from 200 on
    assert (compiled.inner_starts, compiled.early_starts) == (1, 0)


def test_without_the_last_token_they_are_spread_up_to_the_end(tmp_path):
    tool = {"start_ns": 450, "end_ns": 2000, "parents": [1]}
    compiled = steps_written(tmp_path, stream(), tools=[tool])
    assert inner_edges(compiled) == [(4, 0.44, 10)]  # every 80 ns


def test_times_of_chunks_count_where_they_are_known(tmp_path):
    tool = {"start_ns": 450, "end_ns": 2000, "parents": [1]}
    chunks = [0.1, 0.1, 0.1, 0.3]  # at 200, 300, 400, 500, 800 ns
    compiled = steps_written(tmp_path, stream(chunk_gap_us=chunks), tools=[tool])
    [(token, fraction, lag_ns)] = inner_edges(compiled)
    assert (token, lag_ns) == (6, pytest.approx(50, abs=1))  # three fifths of 11
    assert fraction == pytest.approx(0.4, abs=0.001)
    late = steps_written(tmp_path, stream(chunk_gap_us=chunks), tools=[tool | {"start_ns": 900}])
    assert inner_edges(late)[0][0] == 11


def test_chunks_are_those_of_the_call_at_hand(tmp_path):
    first, second = (stream(start_ns=at, first_token_ns=at + 200, end_ns=at + 1000) for at in (0, 5000))
    tools = [{"start_ns": at + 450, "end_ns": at + 900, "parents": [row]} for row, at in ((2, 5000), (1, 0))]
    chunks = {"chunk_gap_us": [0.2] * 10}
    compiled = steps_written(tmp_path, first | chunks, second | {"chunk_gap_us": [0.1] * 10}, tools=tools)
    assert [edge[0] for edge in inner_edges(compiled)] == [2, 3]


@pytest.mark.parametrize("first_token_ns", [None, 500], ids=["not streamed", "later"])
def test_before_the_first_token_a_step_waits_for_the_calls_start(tmp_path, first_token_ns):
    tool = {"start_ns": 450, "end_ns": 2000, "parents": [1]}
    compiled = steps_written(tmp_path, stream(first_token_ns=first_token_ns), tools=[tool])
    assert inner_edges(compiled) == [(0, 0.0, 450)]


def test_inside_a_tool_a_step_starts_after_the_same_part_of_it(tmp_path):
    tools = [{"start_ns": 1500, "end_ns": 2500, "parents": [1]}]
    inside = {"start_ns": 1750, "end_ns": 3000, "parents": [3]}
    compiled = steps_written(tmp_path, stream(), inside, tools=tools)
    assert inner_edges(compiled) == [(0, 0.25, 0)]
    assert compiled.workload.parent_count.tolist() == [0, 1, 1]


def test_the_lag_follows_the_last_edge_to_open(tmp_path):
    tool = {"start_ns": 100, "end_ns": 430, "parents": []}
    call = {"start_ns": 450, "end_ns": 900, "parents": [1, 3]}
    compiled = steps_written(tmp_path, stream(), call, tools=[tool])
    assert inner_edges(compiled) == [(4, 0.44, 10)]
    call = {"start_ns": 435, "end_ns": 900, "parents": [1, 3]}
    compiled = steps_written(tmp_path, stream(), call, tools=[tool])
    assert inner_edges(compiled) == [(3, 0.36, 5)]  # the tool's end at 430, not the token at 360


def test_a_root_before_its_session_is_moved(tmp_path):
    compiled = steps_written(tmp_path, {"start_ns": 0, "end_ns": 9})
    assert compiled.early_starts == 0
    rows = [{"row_id": 1, "session_id": 0, "start_ns": 5, "end_ns": 9, "status": "ok", "parents": []}]
    rows[0] |= {"input_tokens": 1, "output_tokens": 1}
    session = {"row_id": 0, "start_ns": 7, "end_ns": 9, "status": "ok"}
    tables = {
        Kind.SESSION: table_of(Kind.SESSION, [session]),
        Kind.LLM_CALL: table_of(Kind.LLM_CALL, rows),
    }
    write_trace(tmp_path / "early.parquet", tables, Provenance(1, "0", [], 0))
    assert compile_workload(Trace.open(tmp_path / "early.parquet")).early_starts == 1


def test_drawn_sessions_start_their_steps_inside_as_well(tmp_path):
    tools = [
        {"start_ns": 450, "end_ns": 2000, "parents": [1]},
        {"start_ns": 1000, "end_ns": 1500, "parents": [1]},
    ]
    after = {"start_ns": 2100, "end_ns": 2500, "parents": [3]}
    workload = steps_written(tmp_path, stream(), after, tools=tools).workload
    drawn_workload, _drawn = poisson_release(workload, 2.0, 3, seed=3)
    edges = len(workload.child_index)
    assert drawn_workload.inner_edge.tolist() == [workload.inner_edge[0] + edges * copy for copy in range(3)]
    assert drawn_workload.inner_token.tolist() == 3 * workload.inner_token.tolist()
    assert drawn_workload.inner_fraction.tolist() == 3 * workload.inner_fraction.tolist()
