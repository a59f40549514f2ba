"""mooncake, agentic-mooncake (both ways) and bailian: prompts as ids of hashed blocks."""

import json
import random

import numpy as np
import pytest

from tests.unit.interchange.importing import MS, Import, S
from tracekit.errors import SourceUnreadable
from tracekit.interchange.formats import export_parts
from tracekit.interchange.prefix_tree import PrefixTree, block_ids


def row(timestamp, input_length, output_length, hash_ids=None, **more):
    base = {"timestamp": timestamp, "input_length": input_length, "output_length": output_length}
    return base | ({} if hash_ids is None else {"hash_ids": hash_ids}) | more


def test_mooncake_prefixes(tmp_path):
    rows = [
        row(0, 1100, 5, [1, 2, 3]),
        row(1000, 1536, 6, [1, 2, 4]),
        row(3000, 1100, 7, [1, 2, 3]),
        row(3000, 2048, 8, [1, 2, 4, 9]),
        row(3500, 100, 9, [8]),
        row(3600, 100, 9),
    ]
    made = Import(tmp_path, "mooncake", rows)
    assert made.prefixes == [(None, 0), (0, 1024), (0, 1100), (1, 1536), (None, 0), (None, None)]
    assert {call["prefix_block_tokens"] for call in made.calls} == {512, None}
    assert made.tokens[:2] == [(1100, 5), (1536, 6)]
    assert made.workload.session_arrival_s.tolist() == [0, 1, 3, 3, 3.5, 3.6]


def test_mooncake_closed_loop(tmp_path):
    rows = [
        row(500, 512, 5, [1], session_id="a"),
        {"session_id": "b", "created_time": 700, "input_tokens": 512, "output_tokens": 1, "hash_ids": [2]},
        {"session_id": "a", "delay": 250.5, "input_length": 600, "output_length": 6, "hash_ids": [1, 3]},
        {"session_id": "a", "delay_ms": 20, "output_length": 7, "hash_ids": [1, 3]},
        row(1900, 512, 5, [2], session_id="b"),
        {"session_id": "b", "output_length": 7, "input_length": 9},
    ]
    made = Import(tmp_path, "mooncake", rows)
    assert made.made.sessions == 2
    assert made.lags_s == [0, 0.2505, 0.02, 0, 1.2]
    assert made.tokens == [(512, 5), (600, 6), (1024, 7), (512, 1), (512, 5)]
    by_session = [call for call in made.calls if call["session_id"] == made.sessions[0]["row_id"]]
    assert [call["parents"] for call in by_session[1:]] == [[call["row_id"]] for call in by_session[:2]]
    assert {call["edge_source"] for call in by_session[1:]} == {"explicit"}
    assert "line 6: it has neither timestamp nor delay" in made.bad[0]


def test_mooncake_bad_rows(tmp_path):
    rows = [
        row(0, 512, 5, [1]),
        "{not json",
        "[1]",
        row(0, 512, 5, [1, 2]),
        row(0, 512, 5, [-1]),
        row(0, 512, 5, "x"),
        row(None, 5, 5),
        row(0, None, 5),
        row(float("nan"), 5, 5),
        row(0, 10**9, 5),
    ]
    made = Import(tmp_path, "mooncake", rows)
    words = " ".join(made.bad)
    for place in (
        "line 2: it is not JSON",
        "line 3: it is not a JSON object",
        "line 4: hash_ids do not cover",
    ):
        assert place in words
    assert made.made.bad_rows.total == 8
    assert made.tokens == [(512, 5), (10**9, 5)]
    with pytest.raises(SourceUnreadable, match="It looks like bailian"):
        Import(tmp_path, "mooncake", [{"chat_id": 1, "parent_chat_id": -1, "input_length": 3}], force=True)


def test_text_that_no_column_can_hold_is_null_and_counted(tmp_path):
    made = Import(tmp_path, "mooncake", ['{"session_id": "\\ud800", "input_length": 5, "output_length": 5}'])
    assert made.tokens == [(5, 5)]
    assert made.trace.provenance.not_seen.unfit_values == 0
    assert "?" in made.sessions[0]["conversation_id"]


def test_the_prefix_tree_is_the_longest_common_prefix():
    draw = random.Random(7)
    for _trial in range(50):
        tree, prompts = PrefixTree(), []
        for call in range(40):
            base = draw.choice(prompts)[: draw.randrange(30)] if prompts else []
            prompt = base + [draw.randrange(3) for _ in range(draw.randrange(8))]
            found = tree.add(block_ids(prompt), call)
            common = [sum(np.cumprod([a == b for a, b in zip(old, prompt, strict=False)])) for old in prompts]
            best = max(common, default=0)
            assert found.blocks == best
            assert found.call == (common.index(best) if best else None)
            prompts.append(prompt)


def agentic(name, **more):
    return {"request_id": name, "input_length": 128, "output_length": 5, "hash_ids": [1, 2], **more}


def test_agentic_mooncake_graph(tmp_path):
    event = {
        "tool_call_id": "c1", "tool_class": "Bash", "status": "ok", "started_at_unix_ms": 1_000_050,
        "ended_at_unix_ms": 1_000_090, "duration_ms": 40.0,
    }  # fmt: skip
    rows = [
        agentic("a1", session_id="a", timestamp=100, prefix_reset=True, branches=["b1"]),
        agentic("b1", session_id="b", timestamp=260, wait_for=["a1"], delay=10.0),
        agentic("a2", session_id="a", timestamp=350, wait_for=["a1"], delay=60, tool_wait_ms=40, tool_events=[event]),
        agentic("a3", session_id="a", timestamp=900, wait_for=["a2", "b1"], delay=5, tool_wait_ms=15, hash_ids=[1, 9]),
        agentic("x", timestamp=4000, hash_ids=[7, 8]),
    ]  # fmt: skip
    made = Import(tmp_path, "agentic-mooncake", rows, block_tokens=64)
    assert made.made.sessions == 2
    assert made.made.bad_rows.total == 0
    a1, b1, a2, a3, x = made.calls
    bash, unnamed = made.tools
    assert (bash["name"], bash["tool_call_id"], bash["end_ns"] - bash["start_ns"]) == ("Bash", "c1", 40 * MS)
    assert (bash["parents"], bash["call_id"]) == ([a1["row_id"]], a1["row_id"])
    assert (a2["parents"], b1["parents"]) == ([bash["row_id"]], [a1["row_id"]])
    assert (unnamed["parents"], a3["parents"]) == (
        [b1["row_id"], a2["row_id"]],
        [unnamed["row_id"]],
    )
    assert (a1["start_ns"], a1["end_ns"]) == (100 * MS, 250 * MS)
    assert (a2["end_ns"], x["end_ns"]) == (None, None)
    assert made.lags_s == [0, 0.01, 0.06, 0.005, 0]
    assert made.prefixes == [(None, 0), (0, 128), (0, 128), (0, 64), (None, 0)]


def test_agentic_mooncake_bad_rows_and_block_length(tmp_path):
    rows = [
        agentic("a"),
        agentic("a"),
        agentic("b", wait_for=["nobody"]),
        agentic("c", wait_for=["d"]),
        agentic("d", wait_for=["c"]),
        agentic("e", wait_for=["b"]),
        {"input_length": 1, "output_length": 1},
        agentic("f", wait_for="a"),
        agentic("g", wait_for=["a"], tool_events=["x"]),
    ]
    made = Import(tmp_path, "agentic-mooncake", rows)
    words = " ".join(made.bad)
    assert "line 2: its request_id was there before" in words
    assert "line 3: it waits for a request that is not in the file (it is 'nobody')" in words
    assert "line 4: it waits for itself, or for a request that cannot be used" in words
    assert made.made.bad_rows.total == 8
    assert made.calls[0]["prefix_block_tokens"] == 64
    with pytest.raises(SourceUnreadable, match="give --block-tokens"):
        Import(tmp_path, "agentic-mooncake", [agentic("a", input_length=10**6)], force=True)


def test_agentic_mooncake_there_and_back(tmp_path):
    rows = [
        agentic("a1", session_id="a", timestamp=100.25),
        agentic(
            "b1",
            session_id="a",
            timestamp=260,
            wait_for=["a1"],
            delay=10.0,
            hash_ids=[1, 3],
            input_length=100,
        ),
        agentic("a2", session_id="a", timestamp=350, wait_for=["a1"], delay=60.0, tool_wait_ms=40.000001),
        agentic(
            "a3",
            session_id="a",
            timestamp=900,
            wait_for=["a2", "b1"],
            delay=5,
            hash_ids=[1, 3],
            input_length=100,
        ),
        agentic("x", timestamp=4000, hash_ids=[7, 8]),
    ]
    there = Import(tmp_path, "agentic-mooncake", rows, block_tokens=64)
    exported = export_parts("agentic-mooncake", there.trace)
    lines = list(exported.parts)
    assert exported.notes[0] == "block length 64 tokens (DynoSim: --trace-block-size 64)"
    first = json.loads(lines[0])
    assert (first["timestamp"], first["hash_ids"], first["prefix_reset"]) == (0, [0, 1], True)
    (tmp_path / "back").mkdir()
    back = Import(tmp_path / "back", "agentic-mooncake", "".join(lines), block_tokens=64)
    for name, before in there.workload._asdict().items():
        if name not in ("duration_s", "session_tail_s"):
            np.testing.assert_allclose(getattr(back.workload, name), before, atol=1e-9, err_msg=name)
    assert back.prefixes == there.prefixes
    assert [tool["end_ns"] - tool["start_ns"] for tool in back.tools] == [40_000_001]


def test_an_export_spans_what_it_leaves_out(tmp_path):
    text = "start_s,duration_s,session,input_tokens,output_tokens\n0,1,s,10,5\n2,1,s,10,\n4,1,s,30,5\n"
    made = Import(tmp_path, "requests", text)
    exported = export_parts("agentic-mooncake", made.trace)
    first, last = (json.loads(line) for line in exported.parts)
    assert (last["wait_for"], last["delay"]) == ([first["request_id"]], 3000)
    assert not set(first["hash_ids"]) & set(last["hash_ids"])
    assert len(exported.notes) == 3


def test_bailian(tmp_path):
    base = {"type": "text", "turn": 1, "output_length": 3}
    rows = [
        base | {"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 40, "hash_ids": [1, 2, 3]},
        base | {"chat_id": 160, "parent_chat_id": 77, "timestamp": 62, "input_length": 16, "hash_ids": [1]},
        base | {"chat_id": 161, "parent_chat_id": 159, "timestamp": 63.114, "input_length": 48, "hash_ids": [1, 2, 4]},
        base | {"chat_id": 161, "parent_chat_id": 159, "timestamp": 64, "input_length": 16},
        base | {"chat_id": 162, "parent_chat_id": 159, "timestamp": 60, "input_length": 16},
        base | {"chat_id": 163, "parent_chat_id": 161, "timestamp": 70.114, "input_length": 16},
    ]  # fmt: skip
    made = Import(tmp_path, "bailian", rows)
    assert made.made.sessions == 2
    assert made.lags_s == [0, 2, 7, 0]
    assert made.prefixes == [(None, 0), (0, 16), (0, 32), (None, None)]
    assert made.calls[0]["start_ns"] == 61_114 * MS
    words = " ".join(made.bad)
    assert "line 4: its chat_id was there before (it is '161')" in words
    assert "line 5: it starts before its parent" in words
    assert made.calls[2]["start_ns"] - made.calls[0]["start_ns"] == 2 * S
