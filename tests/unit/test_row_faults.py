"""Rows that cannot be are refused by name; what can be replayed after all is counted."""

import tracemalloc

import pytest

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.replay import replay_on
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.workload import compile_workload
from tracekit.errors import TraceEmpty, TraceUnreadable
from tracekit.reports.document import replay_document, to_json
from tracekit.reports.replay_assumptions import replay_assumptions
from tracekit.trace import Trace

ONE = Fleet.of("H100", "Llama-3.1-8B")
FINE = call_row(1, 0, 50)
MOST = 2**31 - 1


def compiled(tmp_path, calls, tools=(), sessions=None):
    return compile_workload(Trace.open(write_crafted(tmp_path / "t.parquet", calls, tools, sessions)))


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([call_row(1, 0, 5, parents=[2]), call_row(2, 6, 9, parents=[1])], "row 1: it starts after row 2, which"),
        ([call_row(1, 0, 5, parents=[2]), call_row(2, 0, 5, parents=[1])], "the two wait for each other"),
        ([call_row(1, 0, 5, parents=[1])], "row 1: it starts after row 1"),
        ([FINE, call_row(2, 60, 70, parents=[77])], "row 2: it starts after row 77, which is no step"),
        ([FINE, call_row(2, 60, 70, parents=[0])], "row 2: it starts after row 0, which is no step"),
        ([FINE, call_row(2, 60, 70, parents=[None])], "row 2: it starts after null"),
        ([FINE, call_row(2, 60, 70, session=9)], "row 2: its session_id is 9, and no session"),
        ([FINE, call_row(2, 70, 60)], "row 2: it ends before it starts"),
        ([FINE, call_row(2, -70, -60)], "row 2: it starts before 1970"),
        ([FINE, call_row(2, 0, 5, start_ns=2**62, end_ns=2**62 + 1)], "row 2: it ends more than 100 years"),
        ([FINE, call_row(2, 0, 5, start_ns=-(2**62), end_ns=2**62)], "row 2: it starts before 1970"),
        ([FINE, call_row(2, 60, 70, input_tokens=-1)], "row 2: it has a negative number of tokens"),
        ([FINE, call_row(2, 60, 70, output_tokens=-1)], "row 2: it has a negative number of tokens"),
        ([FINE, call_row(2, 60, 70, input_tokens=MOST, output_tokens=1)], "row 2: its prompt and output have"),
        ([FINE, call_row(2, 60, 70, input_tokens=2**62, output_tokens=2**62)], "more than 2,147,483,647 tokens"),
        ([FINE, call_row(1, 60, 70)], "row 1: its row_id is that of another row too"),
        ([call_row(0, 0, 5)], "row 0: its row_id is that of another row too"),
        ([FINE, call_row(2, 60, 70, prefix_call_id=99, prefix_tokens=5)], "its prefix_call_id is 99, and no call"),
        ([FINE, call_row(2, 60, 70, prefix_call_id=1, prefix_tokens=-5)], "its prefix_tokens are negative"),
        ([call_row(1, 0, 5, prefix_call_id=2, prefix_tokens=5), call_row(2, 6, 9)], "names a later call"),
        ([call_row(row, 9, 5) for row in (1, 2, 3)], "it ends before it starts (end_ns < start_ns), and 2 other"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be(tmp_path, calls, words):
    with pytest.raises(TraceUnreadable) as caught:
        compiled(tmp_path, calls)
    assert words in str(caught.value)
    assert "t.parquet" in str(caught.value)


def test_tools_and_sessions_that_cannot_be(tmp_path):
    with pytest.raises(TraceUnreadable, match="row 2: it ends before it starts"):
        compiled(tmp_path, [FINE], [tool_row(2, 70, 60)])
    with pytest.raises(TraceUnreadable, match="row 0: it ends before it starts"):
        compiled(tmp_path, [FINE], sessions=[session_row(0, 10, 5)])
    sessions = [session_row(0), session_row(10)]
    with pytest.raises(TraceUnreadable, match="row 2: it starts after row 1, which is in another session"):
        compiled(tmp_path, [FINE, call_row(2, 60, 70, 10, [1])], sessions=sessions)


def test_a_trace_whose_calls_have_no_session_says_so(tmp_path):
    with pytest.raises(TraceEmpty, match="in a session"):
        compiled(tmp_path, [call_row(1, 0, 5, session=None)])


def test_tokens_up_to_32_bits_are_taken(tmp_path):
    found = compiled(tmp_path, [call_row(1, 0, 5, input_tokens=MOST - 1, output_tokens=1)])
    assert found.workload.input_tokens.tolist() == [MOST - 1]


@pytest.mark.parametrize(
    ("calls", "tools", "words"),
    [
        (
            [FINE, call_row(2, 10, 60, parents=[1])],
            [],
            "1 step(s) began before a step they wait for had ended",
        ),
        (
            [call_row(1, 0, 5, input_tokens=0), call_row(2, 0, 5, output_tokens=0)],
            [],
            "2 call(s) of zero tokens",
        ),
        (
            [FINE],
            [tool_row(2, 60, 70, end_ns=None)],
            "1 tool(s) or gap(s) without a recorded end take no time",
        ),
        ([FINE, call_row(2, 0, 5, session=None)], [], "1 row(s) that belong to no session are left out"),
    ],
    ids=["overlap", "zero", "endless", "no session"],
)
def test_what_is_not_replayed_as_it_is_in_the_trace_is_said(tmp_path, calls, tools, words):
    found = compiled(tmp_path, calls, tools)
    assert any(words in note for note in replay_assumptions(found, []))
    plain = compiled(tmp_path, [FINE])
    assert not any(words[2:] in note for note in replay_assumptions(plain, []))


def test_prompts_beyond_the_memory_are_refused_one_by_one_and_cost_no_memory(tmp_path):
    calls = [
        call_row(1, 0, 5, input_tokens=10**9, output_tokens=10**9),
        call_row(2, 6, 9, parents=[1], prefix_call_id=1, prefix_tokens=10**9, input_tokens=10**9),
        call_row(3, 10, 15, parents=[2]),
    ]
    workload = compiled(tmp_path, calls).workload
    replay_on(workload, ONE)  # what is loaded once is not counted
    tracemalloc.start()
    replay = replay_on(workload, ONE)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**24
    assert replay.timeline.outcome.calls["replica"].tolist() == [-1, -1, 0]
    document = replay_document(replay, None)
    assert (document["calls"], document["calls_failed"]) == (1, 2)


def test_a_replay_that_serves_nothing_has_a_document(tmp_path):
    replay = replay_on(compiled(tmp_path, [call_row(1, 0, 5, input_tokens=10**9)]).workload, ONE)
    document = replay_document(replay, None)
    assert (document["calls"], document["calls_failed"], document["ttft_s"]) == (0, 1, None)
    assert '"calls": 0' in to_json(document)
