"""What charts are drawn from: adds up, and does not grow with the trace."""

import numpy as np
import pytest

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tests.unit.reports.documents import crafted_document
from tracekit.analyzers.presence import bin_edges, mean_presence
from tracekit.analyzers.recorded import analyze_recording
from tracekit.analyzers.recorded_timeline import MARKS, SESSIONS, recorded_timeline, slowest_sessions
from tracekit.trace import Trace


def timeline_of(path):
    trace = Trace.open(path)
    return recorded_timeline(trace, analyze_recording(trace))


def test_presence_is_the_mean_number_open_in_each_bin():
    found = mean_presence(np.array([0.0, 1.5, 3.0]), np.array([2.0, 2.0, 3.0]), np.linspace(0, 4, 5))
    assert found.tolist() == [1.0, 1.5, 0.0, 0.0]


def test_presence_keeps_the_whole_length_of_drawn_intervals():
    random = np.random.default_rng(3)
    start_s = random.uniform(0, 90, 1000)
    end_s = start_s + random.exponential(1, 1000)
    edges_s = bin_edges(float(end_s.max()))
    found = mean_presence(start_s, end_s, edges_s)
    assert found @ np.diff(edges_s) == pytest.approx((end_s - start_s).sum())


def test_critical_path_goes_over_the_tool_that_ended_last(tmp_path):
    calls = [call_row(1, 0, 100, model="m"), call_row(4, 450, 600, parents=[2, 3], model="m")]
    tools = [
        tool_row(2, 150, 200, parents=[1], name="quick"),
        tool_row(3, 110, 400, parents=[1], name="slow"),
    ]
    write_crafted(tmp_path / "t.parquet", calls, tools, [session_row(0, 0, 700)])
    (path,) = timeline_of(tmp_path / "t.parquet").critical_paths
    assert [(step.row_id, step.name) for step in path.steps] == [(1, "m"), (3, "slow"), (4, "m")]
    assert [step.wait_s for step in path.steps] == pytest.approx([0, 0.01, 0.05])
    assert (path.llm_s, path.tool_s, path.wait_s) == pytest.approx((0.25, 0.29, 0.16))
    assert path.session_s == pytest.approx(0.7)


def test_a_circle_of_parents_ends(tmp_path):
    calls = [call_row(1, 0, 100, parents=[2]), call_row(2, 50, 200, parents=[1])]
    write_crafted(tmp_path / "t.parquet", calls)
    (path,) = timeline_of(tmp_path / "t.parquet").critical_paths
    assert path.count == 2


def test_frames_and_inner_tools_are_no_steps_of_a_path(tmp_path):
    tools = [
        tool_row(2, 0, 900, name="sub-agent", frame=True),
        tool_row(3, 100, 200, parents=[1], name="outer"),
        tool_row(4, 100, 190, inside_id=3, name="inner"),
    ]
    write_crafted(tmp_path / "t.parquet", [call_row(1, 0, 100, model="m")], tools)
    (path,) = timeline_of(tmp_path / "t.parquet").critical_paths
    assert [step.name for step in path.steps] == ["m", "outer"]


def test_a_long_trace_has_as_many_bins_and_few_marks(tmp_path):
    sessions = [session_row(10_000 + one, one, one + 500 + one) for one in range(SESSIONS + 40)]
    calls = [
        call_row(one * 100 + step, one + step * 5, one + step * 5 + 4, 10_000 + one, model="m")
        for one in range(SESSIONS + 40)
        for step in range(100)
    ]
    path = write_crafted(tmp_path / "t.parquet", calls, (), sessions)
    found = timeline_of(path)
    marks = [mark for session in found.sessions for mark in session.marks]
    assert len(found.calls_open) == 160
    assert len(found.sessions) == SESSIONS
    assert len(marks) < MARKS
    assert sum(mark.steps for mark in marks) == 100 * SESSIONS
    assert min(session.session_id for session in found.sessions) == 10_040


def test_sessions_without_ends_are_in_no_chart(tmp_path):
    path = write_crafted(tmp_path / "t.parquet", [call_row(1, 0, 0)], (), [session_row(0, 0, 0)])
    found = timeline_of(path)
    assert (found.sessions, found.critical_paths) == ([], [])


def test_the_slowest_sessions_alone_and_the_count_of_all(tmp_path):
    sessions = [session_row(one, 0, 100 + one) for one in range(10)]
    write_crafted(tmp_path / "t.parquet", [call_row(99, 0, 10, 3)], (), sessions)
    few = slowest_sessions(analyze_recording(Trace.open(tmp_path / "t.parquet")), 3)
    assert few.sessions["session_id"].to_list() == [7, 8, 9]
    assert few.session_count == 10


def test_replica_shares_add_up_to_the_whole_of_each_bin(tmp_path):
    document = crafted_document(tmp_path / "crafted.parquet")
    for replay in document["replays"]:
        timeline = replay["timeline"]
        for shares in (timeline["fleet"], *timeline["first_replicas"]):
            assert np.sum([*shares.values()], axis=0) == pytest.approx(np.ones(160), abs=1e-3)
        busy = sum(np.mean(timeline["fleet"].get(key, 0)) for key in ("prefill", "mixed", "decode"))
        billed = replay["gpu_s"]["billed"]
        assert busy == pytest.approx(1 - replay["gpu_s"]["idle"] / billed, abs=1e-3)


def test_costliest_sessions_hold_the_whole_bill_where_there_are_few(tmp_path):
    document = crafted_document(tmp_path / "crafted.parquet")
    for replay in document["replays"]:
        sessions = replay["costliest_sessions"]
        assert sum(one["cost_usd"] for one in sessions) == pytest.approx(replay["cost_usd"]["total"])
        assert sum(one["energy_j"] for one in sessions) == pytest.approx(replay["energy_j"]["total"])
        assert {one["name"] for one in sessions} == {"triage", "fix the test"}
