"""perfetto: what overlaps is on tracks of its own, arrows follow the graph, power is a curve."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip(
    "perfetto", reason="reading Perfetto's format needs the group `dev`: pip install perfetto"
)

from tests.unit.crafted_trace import call_row, session_row, tool_row
from tests.unit.interchange.export_story import SECRET, at, write_story
from tests.unit.interchange.perfetto_reader import read
from tracekit.interchange.formats import export_parts
from tracekit.interchange.lanes import Lanes


def exported(trace):
    return b"".join(export_parts("perfetto", trace).parts)


def test_what_overlaps_has_tracks_of_its_own(tmp_path):
    found = read(exported(write_story(tmp_path / "t.parquet")))
    calls = {one.said["api"] + str(one.start_ns // 10**6): one for one in found.slices if "api" in one.said}
    assert calls["responses400"].track == ("planner", "LLM calls 1")
    assert calls["chat450"].track == ("planner", "LLM calls 2")
    assert (calls["chat0"].start_ns, calls["chat0"].end_ns) == (0, at(100))
    assert calls["chat0"].said["input_tokens"] == 100
    tools = [one for one in found.slices if one.track[1] and one.track[1].startswith("tools")]
    assert {one.track[1] for one in tools if one.track[0] == "planner"} == {"tools 1", "tools 2"}
    waits = [one for one in found.slices if one.name == "to first token"]
    assert [(one.start_ns, one.end_ns, one.depth) for one in waits] == [(0, at(30), 1)]


def test_arrows_follow_the_graph(tmp_path):
    found = read(exported(write_story(tmp_path / "t.parquet")))
    leaves = {flow: one.start_ns for one in found.slices for flow in one.leaves}
    reaches = {flow: one.start_ns for one in found.slices for flow in one.reaches}
    edges = sorted((leaves[flow], reaches[flow]) for flow in leaves)
    assert leaves.keys() == reaches.keys()
    assert edges == sorted(
        [(0, at(110)), (0, at(120)), (at(110), at(400)), (at(120), at(400)), (at(110), at(450)),
         (at(120), at(450)), (at(450), at(650)), (at(200), at(310))]
    )  # fmt: skip


def test_power_is_a_curve_for_each_device_and_unknown_is_no_point(tmp_path):
    found = read(exported(write_story(tmp_path / "t.parquet")))
    process = "power on node-1"
    assert found.points == [
        ((process, "GPU 0 H100 power"), 0, 100.5),
        ((process, "GPU 1 H100 power"), at(250), 101.5),
        ((process, "GPU 0 H100 power"), at(500), 102.5),
        ((process, "GPU 0 H100 power"), at(1000), 104.5),
    ]
    assert [(one.name, one.said) for one in found.instants] == [("half", {"value": 1.0})]


def test_an_unknown_end_is_an_instant_and_long_names_are_cut(tmp_path):
    calls = [call_row(1, 10, 20, model="m" * 10_000) | {"end_ns": None, "status": "interrupted"}]
    trace = write_story(tmp_path / "t.parquet", calls, (), [session_row(0)])
    found = read(exported(trace))
    (call,) = (one for one in found.instants if one.name.startswith("m"))
    assert (call.start_ns, call.said["end"], len(call.name)) == (at(10), "unknown", 200)


def test_content_stays_in_the_trace(tmp_path):
    trace = write_story(tmp_path / "t.parquet")
    for name in ("perfetto", "speedscope", "csv", "otlp", "agentic-mooncake"):
        parts = export_parts(name, trace).parts
        assert SECRET.encode() not in b"".join(
            part if isinstance(part, bytes) else part.encode() for part in parts
        )


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=15)
@given(spans, spans)
def test_any_timing_nests(tmp_path_factory, calls, tools):
    folder = tmp_path_factory.mktemp("spans")
    trace = write_story(
        folder / "t.parquet",
        [call_row(1 + n, start, start + length, model="m", first_token_ns=at(start + length / 2))
         for n, (start, length) in enumerate(calls)],
        [tool_row(100 + n, start, start + length, name="t") for n, (start, length) in enumerate(tools)],
        [session_row(0)],
    )  # fmt: skip
    found = read(exported(trace))
    drawn = sorted((one.start_ns, one.end_ns) for one in found.slices if one.name == "m")
    assert drawn == sorted((at(start), at(start + length)) for start, length in calls)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), min_size=1))
def test_lanes_are_as_many_as_run_at_once(intervals):
    lanes, taken = Lanes(), {}
    for start, length in sorted(intervals):
        taken.setdefault(lanes.place(start, start + length), []).append((start, start + length))
    for held in taken.values():
        assert all(before[1] <= after[0] for before, after in pairwise(held))
    at_once = max(
        sum(start <= moment < start + length for start, length in intervals) for moment, _length in intervals
    )
    assert lanes.count == at_once
