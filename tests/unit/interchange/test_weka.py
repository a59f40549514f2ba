"""weka: Claude Code sessions, with subagents and tool waits."""

import pytest

from tests.unit.interchange.importing import MS, Import, S
from tracekit.errors import RowRefused, SourceUnreadable


def request(t, length=128, **more):
    base = {
        "t": t,
        "type": "n",
        "model": "claude",
        "in": length,
        "out": 10,
        "hash_ids": list(range(length // 64)),
    }
    return base | {"stop": "tool_use", "api_time": 2.0, "input_types": ["tool_result"]} | more


def session(*requests, **more):
    return {"id": "trace_1", "block_size": 64, "hash_id_scope": "local", "requests": list(requests)} | more


def test_tool_waits_and_thinking(tmp_path):
    made = Import(
        tmp_path,
        "weka",
        session(
            request(0.0),
            request(5.0, 200, ttft=0.5, type="s"),
            request(10.0, 256, stop="end_turn"),
            request(60.0, 320),
        ),
    )
    first, second, third, fourth = made.calls
    tools = made.tools
    assert [(tool["start_ns"], tool["end_ns"]) for tool in tools] == [(2 * S, 5 * S), (7 * S, 10 * S)]
    assert [tool["call_id"] for tool in tools] == [first["row_id"], second["row_id"]]
    assert second["parents"] == [tools[0]["row_id"]]
    assert fourth["parents"] == [third["row_id"]]  # thinking is a lag
    assert made.lags_s == [0, 0, 0, 48]
    assert (second["first_token_ns"], second["stream"], first["stream"]) == (5500 * MS, True, False)
    assert made.prefixes == [(None, 0), (0, 128), (1, 192), (2, 256)]
    (whole,) = made.sessions
    assert (whole["name"], whole["start_ns"], whole["end_ns"]) == ("trace_1", 0, 62 * S)


def test_subagents_run_beside_each_other_and_are_joined(tmp_path):
    def subagent(t, duration_ms, *requests):
        return {
            "t": t,
            "type": "subagent",
            "subagent_type": "Explore",
            "duration_ms": duration_ms,
            "requests": [*requests],
        }

    made = Import(
        tmp_path,
        "weka",
        session(
            request(0.0, api_time=7.0),
            subagent(28.0, 20_000, request(0.0, 64), request(10.0, 128, stop="end_turn")),
            subagent(48.0, 40_000, request(0.0, 64)),
            request(50.0, 256),
        ),
    )
    own, one, other, one_more, last = made.calls
    assert [call["start_ns"] for call in made.calls] == [0, 8 * S, 8 * S, 18 * S, 50 * S]
    assert one["parents"] == other["parents"] == [own["row_id"]]
    frames = [tool for tool in made.tools if tool["frame"]]
    assert [(tool["name"], tool["start_ns"], tool["end_ns"]) for tool in frames] == [
        ("Explore", 8 * S, 28 * S),
        ("Explore", 8 * S, 48 * S),
    ]
    assert sorted(last["parents"]) == sorted([one_more["row_id"], other["row_id"]])
    assert made.lags_s == [0, 1, 1, 0, 30]
    assert made.workload.parent_count.sum() == 6


def test_overlaps(tmp_path):
    made = Import(
        tmp_path,
        "weka",
        session(
            request(0.0),
            request(5.0, api_time=10.06),
            request(15.0),
            request(16.0, api_time=90),
            request(20.0),
        ),
    )
    calls = made.calls
    assert calls[2]["parents"] == [calls[1]["row_id"]]  # 60 ms are the clock's
    assert calls[4]["parents"] == calls[3]["parents"]  # overlapping: siblings


def test_unknown_ends(tmp_path):
    rows = [request(0.0), request(9.0)]
    del rows[0]["api_time"], rows[1]["api_time"]
    made = Import(tmp_path, "weka", session(*rows))
    assert made.tools == []
    assert made.lags_s == [0, 9]
    assert made.trace.provenance.not_seen.calls_without_end == 2


def test_scopes_of_hash_ids(tmp_path):
    local = Import(tmp_path, "weka", session(request(0)), session(request(0)))
    assert local.prefixes == [(None, 0), (None, 0)]
    shared = session(request(0), hash_id_scope="global")
    assert Import(tmp_path, "weka", shared, shared, force=True).prefixes == [(None, 0), (0, 128)]


def test_bad_requests_are_named_by_their_place(tmp_path):
    nested = {"t": 5, "type": "subagent", "requests": [request("soon")]}
    rows = [
        request(0),
        request(4, out=None),
        "x",
        nested,
        {"t": 1, "type": "subagent"},
        request(9, hash_ids=[1] * 9),
    ]
    made = Import(tmp_path, "weka", session(*rows))
    words = " ".join(made.bad)
    for place in (
        "source0, request 2: out is not a number",
        "request 3: it is not a JSON object",
        "request 4, its request 1: t is not a number (it is 'soon')",
        "request 5: a subagent without a list of requests",
        "request 6: it has more hash_ids than blocks",
    ):
        assert place in words
    assert made.made.calls == 1
    with pytest.raises(RowRefused, match="request 2"):
        Import(tmp_path, "weka", session(*rows), strict=True, force=True)


def test_other_files(tmp_path):
    for content, words in (
        ("{", "it is not JSON"),
        (
            [{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]}],
            "It looks like mooncake",
        ),
        (session(block_size=0), "block_size"),
        (session(), "No request in"),
        ("", "No request in"),
    ):
        with pytest.raises(SourceUnreadable, match=words):
            Import(tmp_path, "weka", content)
