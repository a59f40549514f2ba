"""Attempts become calls, calls sessions and edges, gaps tool spans; each with its evidence."""

import pytest

from tests.unit.spool_story import Story

ASK = [("system", "You are an agent."), ("user", "Who?")]


def by_start(rows):
    return sorted(rows, key=lambda row: row["start_ns"])


def test_a_tool_call_id_makes_a_window_an_edge_and_a_session():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search"), ("b", "python")])
    follow_up = [*ASK, ("assistant", "", ("a", "b")), ("tool", "found", "a"), ("tool", "42", "b")]
    story.call(60, 80, follow_up, answer="She.")
    first, second = by_start(story.rows("llm_call"))
    search, python = sorted(story.rows("tool_span"), key=lambda row: row["tool_call_id"])
    assert [(row["start_ns"], row["end_ns"], row["name"]) for row in (search, python)] == [
        (10_000_000, 60_000_000, "search"),
        (10_000_000, 60_000_000, "python"),
    ]
    assert search["parents"] == python["parents"] == [first["row_id"]]
    assert search["tool_source"] == "tool_id"
    assert second["parents"] == [search["row_id"], python["row_id"]]
    assert second["edge_source"] == "tool_id"
    assert len(story.rows("session")) == 1
    assert (first["parents"], first["edge_source"]) == ([], None)


def test_only_the_latest_results_are_parents():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    two = [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")]
    story.call(20, 30, two, tools=[("b", "search")])
    story.call(40, 50, [*two, ("assistant", "", ("b",)), ("tool", "y", "b")], answer="done")
    spans = story.rows("tool_span")
    assert sorted((row["start_ns"] // 1_000_000, row["tool_call_id"]) for row in spans) == [
        (10, "a"),
        (30, "b"),
    ]
    third = by_start(story.rows("llm_call"))[2]
    assert third["parents"] == [row["row_id"] for row in spans if row["tool_call_id"] == "b"]


def test_a_second_question_follows_the_answer_not_the_older_tools():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    story.call(20, 30, [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")], answer="She.")
    more = [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a"), ("assistant", "She."), ("user", "And when?")]
    story.call(500, 520, more, answer="Then.")
    _first, second, third = by_start(story.rows("llm_call"))
    assert (third["parents"], third["edge_source"]) == ([second["row_id"]], "prefix_chain")
    assert len(story.rows("tool_span")) == 1


def test_ids_that_repeat_across_conversations_stay_apart():
    story = Story()
    other = [("system", "You are an agent."), ("user", "What?")]
    for thread, question, shift in ((1, ASK, 0), (2, other, 1)):
        story.call(shift, 10 + shift, question, tools=[("call_0", "search")], thread=thread)
        more = [*question, ("assistant", "", ("call_0",)), ("tool", "x", "call_0")]
        story.call(30 + shift, 40 + shift, more, thread=thread)
    calls = story.rows("llm_call")
    assert len(story.rows("session")) == 2
    for session in {row["session_id"] for row in calls}:
        ours = by_start([row for row in calls if row["session_id"] == session])
        assert len(ours) == 2
        (span,) = [row for row in story.rows("tool_span") if row["session_id"] == session]
        assert span["call_id"] == ours[0]["row_id"]


def test_a_marked_tool_replaces_the_window():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    story.tool(15, 45, "search")
    story.call(50, 60, [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")])
    (span,) = story.rows("tool_span")
    assert (span["start_ns"], span["end_ns"]) == (15_000_000, 45_000_000)
    assert (span["tool_source"], span["confidence"], span["tool_call_id"]) == ("framework", 1.0, "a")


def test_results_in_plain_text_are_found_by_the_prefix_chain():
    story = Story()
    story.call(0, 10, ASK, answer="Thought: search")
    story.tool(12, 40, "search")
    story.call(42, 50, [*ASK, ("assistant", "Thought: search"), ("user", "Observation: x")], answer="She.")
    second = by_start(story.rows("llm_call"))[1]
    (span,) = story.rows("tool_span")
    assert second["edge_source"] == "prefix_chain"
    assert second["parents"] == [span["row_id"]]


def test_a_response_id_continues_its_session():
    story = Story()
    story.call(0, 10, ASK, response={"response_id": "resp_1"})
    story.call(20, 30, [("user", "And then?")], request={"previous_response_id": "resp_1"}, thread=9)
    first, second = by_start(story.rows("llm_call"))
    assert second["parents"] == [first["row_id"]]
    assert second["edge_source"] == "response_id"
    assert len(story.rows("session")) == 1


def test_retries_are_attempts_of_one_call():
    story = Story()
    story.call(0, 5, ASK, status=429, retry=0, body="same")
    story.call(1005, 1040, ASK, answer="She.", retry=1, body="same")
    (call,) = story.rows("llm_call")
    attempts = by_start(story.rows("http_attempt"))
    assert (call["start_ns"], call["end_ns"], call["attempt_count"], call["status"]) == (
        0,
        1_040_000_000,
        2,
        "ok",
    )
    assert [(row["attempt_index"], row["http_status"], row["status"]) for row in attempts] == [
        (0, 429, "error"),
        (1, 200, "ok"),
    ]


def test_the_same_question_twice_is_two_calls():
    story = Story()
    story.call(0, 5, ASK, body="same", answer="x")
    story.call(10, 15, ASK, body="same", answer="x")
    assert len(story.rows("llm_call")) == 2


def test_an_unfinished_call_is_interrupted_and_counted():
    story = Story()
    story.call(0, 10, ASK, answer="x")
    story.call(20, None, [*ASK, ("assistant", "x"), ("user", "go on")])
    story.tool(11, None, "search")
    merged = story.merged()
    calls = by_start(story.rows("llm_call"))
    assert (calls[1]["status"], calls[1]["end_ns"]) == ("interrupted", None)
    assert story.rows("session")[0]["status"] == "interrupted"
    assert merged.provenance.not_seen.interrupted_calls == 1
    assert merged.provenance.not_seen.interrupted_tools == 1


def test_overlapping_calls_are_siblings_joined_by_timing():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(0, 10, ASK, session="s")
    story.call(12, 30, ASK, session="s", thread=2)
    story.call(13, 25, ASK, session="s", thread=3)
    story.call(35, 40, ASK, session="s")
    story.add("session_end", 50, id="s", status="ok", score=0.5)
    plan, left, right, join = by_start(story.rows("llm_call"))
    assert left["parents"] == right["parents"] == [plan["row_id"]]
    assert sorted(join["parents"]) == [left["row_id"], right["row_id"]]
    assert join["edge_source"] == "timing"
    (session,) = story.rows("session")
    assert (session["start_ns"], session["end_ns"], session["score"]) == (0, 50_000_000, 0.5)


def test_a_new_conversation_of_the_same_agent_is_a_new_session():
    story = Story()
    story.call(0, 10, ASK, answer="She.")
    story.call(20, 30, [("system", "You are an agent."), ("user", "What?")], answer="That.")
    story.call(40, 50, [("system", "You write titles."), ("user", "That.")], answer="Title")
    sessions = {row["row_id"]: row["session_source"] for row in story.rows("session")}
    calls = by_start(story.rows("llm_call"))
    assert [sessions[row["session_id"]] for row in calls] == ["task", "lineage", "lineage"]


def test_branches_in_asyncio_tasks_belong_to_the_flow_that_started_them():
    story = Story()
    story.call(0, 10, ASK, answer="plan", task="Task-1", scope="one")
    story.call(12, 30, ASK, answer="left", task="Task-2", scope="one")
    story.call(12, 31, ASK, answer="right", task="Task-3", scope="one")
    story.call(11, 33, ASK, answer="else", task="Task-4", scope="two")
    assert sorted(row["session_source"] for row in story.rows("session")) == ["task", "task"]
    calls = by_start(story.rows("llm_call"))
    assert len({row["session_id"] for row in calls if row["task_name"] != "Task-4"}) == 1


def test_a_call_inside_a_tool_makes_the_tool_a_frame():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "delegate")])
    key = story.tool(12, 50, "delegate")
    story.call(20, 40, [("system", "Helper."), ("user", "sub")], tool=key, answer="part")
    story.call(55, 60, [*ASK, ("assistant", "", ("a",)), ("tool", "part", "a")])
    (span,) = story.rows("tool_span")
    asked, inner, last = by_start(story.rows("llm_call"))
    assert span["frame"] is True
    assert inner["session_id"] == asked["session_id"]
    assert inner["parents"] == [asked["row_id"]]
    assert inner["row_id"] in last["parents"]


def test_token_classes_sum_to_the_prompt():
    story = Story()
    story.call(0, 10, ASK, answer="I look.")
    prompt = [
        ("system", "S" * 7),
        ("user", "example question"),
        ("assistant", "example answer"),
        ("user", "Who?"),
        ("assistant", "I look."),
        ("tool", "found", "z"),
    ]
    story.call(20, 30, prompt)
    row = by_start(story.rows("llm_call"))[1]
    sizes = {
        name: row[f"{name}_bytes"]
        for name in ("instruction", "few_shot", "user", "llm_history", "tool_history")
    }
    assert sizes == {
        "instruction": 7,
        "few_shot": len("example question") + len("example answer"),
        "user": 4,
        "llm_history": 7,
        "tool_history": 5,
    }
    assert sum(sizes.values()) == row["prompt_bytes"]


def test_marks_keep_numbers_and_texts():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(1, 5, ASK, session="s")
    for at_ms, value in ((2, 1.5), (3, "late"), (4, True), (5, None)):
        story.add("mark", at_ms, name="m", value=value, session="s")
    rows = by_start(story.rows("mark"))
    assert [(row["value"], row["text"]) for row in rows] == [
        (1.5, None),
        (None, "late"),
        (1.0, None),
        (None, None),
    ]
    assert {row["session_id"] for row in rows} == {story.rows("session")[0]["row_id"]}


def test_power_and_notes():
    story = Story()
    story.call(0, 10, ASK)
    story.add("power", 1, gpu_index=0, gpu_name="H100", power_w=110.5, power_source="instant", reason=None)
    story.add("note", 2, what="process_not_followed", detail="node")
    story.add("note", 3, what="power_unavailable", detail="NVML_ERROR_LIBRARY_NOT_FOUND")
    (sample,) = story.rows("power_sample")
    assert (sample["power_w"], sample["gpu_name"], sample["energy_counter_j"]) == (110.5, "H100", None)
    seen = story.merged().provenance.not_seen
    assert seen.processes_not_followed == {"node": 1}
    assert seen.power == "NVML_ERROR_LIBRARY_NOT_FOUND"


def test_a_tool_after_the_end_of_a_marked_session_belongs_to_none():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(5, 10, ASK, session="s")
    story.add("session_end", 20, id="s", status="error", error_type="RuntimeError")
    story.tool(50, 80, "late")
    (session,) = story.rows("session")
    assert (session["end_ns"], session["error_type"]) == (20_000_000, "RuntimeError")
    assert story.rows("tool_span")[0]["session_id"] is None


def test_a_tool_around_calls_is_a_frame_in_a_marked_session_too():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    key = story.tool(5, 60, "delegate", session="s")
    story.call(10, 50, ASK, session="s", tool=key)
    story.add("session_end", 90, id="s", status="ok")
    assert story.rows("tool_span")[0]["frame"] is True


def test_a_marked_session_without_a_call_keeps_its_score():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.add("session_end", 90, id="s", status="ok", score=0.25)
    (session,) = story.rows("session")
    assert (session["score"], session["start_ns"], session["end_ns"]) == (0.25, 0, 90_000_000)


def test_edges_are_transitively_reduced_where_one_ends_as_the_other_starts():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(0, 10, ASK, session="s")
    story.call(10, 20, ASK, session="s")
    story.call(20, 30, ASK, session="s")
    first, second, third = by_start(story.rows("llm_call"))
    assert (second["parents"], third["parents"]) == ([first["row_id"]], [second["row_id"]])


def test_calls_cut_off_without_tokens_are_counted():
    story = Story()
    story.call(0, 10, ASK, status=200, response={"usage": None, "usage_source": "missing"})
    story.records[-1]["status"] = "cancelled"
    assert story.merged().provenance.not_seen.calls_without_tokens == 1


def test_a_command_that_no_recorder_ran_in_is_named():
    assert Story().merged().provenance.not_seen.processes_not_followed == {"agent": 1}
    story = Story()
    story.add("process", 0, ppid=0)
    assert story.merged().provenance.not_seen.processes_not_followed == {}


def turn(*earlier):
    """A conversation that asked for tool call_0 in each turn so far."""
    messages = list(ASK)
    for number in earlier:
        messages += [("assistant", f"look {number}", ("call_0",)), ("tool", f"found {number}", "call_0")]
    return messages


def test_ids_that_repeat_within_a_conversation_make_one_window_a_turn():
    story = Story()
    for number in range(4):
        story.call(
            100 * number,
            100 * number + 10,
            turn(*range(number)),
            answer=f"look {number}",
            tools=[("call_0", "search")],
        )
    spans = by_start(story.rows("tool_span"))
    assert [(row["start_ns"] // 10**6, row["end_ns"] // 10**6) for row in spans] == [
        (10, 100),
        (110, 200),
        (210, 300),
    ]
    calls = by_start(story.rows("llm_call"))
    assert [row["parents"] for row in calls[1:]] == [[row["row_id"]] for row in spans]


def test_two_requests_with_one_result_share_its_window():
    story = Story()
    results = [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")]
    story.call(0, 10, ASK, tools=[("a", "search")])
    story.call(20, 30, results, answer="left", thread=2)
    story.call(22, 40, results, answer="right", thread=3)
    (span,) = story.rows("tool_span")
    assert (span["start_ns"], span["end_ns"]) == (10_000_000, 20_000_000)
    assert [row["parents"] for row in by_start(story.rows("llm_call"))[1:]] == [[span["row_id"]]] * 2


def test_the_agents_own_retry_is_an_attempt_of_the_same_call():
    story = Story()
    story.call(0, 5, ASK, status=500, retry=0, body="same")
    story.call(105, 140, ASK, answer="x", retry=0, body="same")
    (call,) = story.rows("llm_call")
    assert (call["attempt_count"], call["status"]) == (2, "ok")
    assert len(story.rows("session")) == 1


def test_marked_tools_of_concurrent_sessions_stay_apart():
    story = Story()
    for thread, shift in ((1, 0), (2, 1)):
        story.call(
            shift, 10 + shift, [*ASK, ("user", str(thread))], tools=[(f"id{thread}", "search")], thread=thread
        )
        more = [
            *ASK,
            ("user", str(thread)),
            ("assistant", "", (f"id{thread}",)),
            ("tool", "x", f"id{thread}"),
        ]
        story.call(60 + shift, 70 + shift, more, thread=thread)
    story.tool(15, 45, "search", thread=1)
    story.tool(13, 40, "search", thread=2)
    calls = {row["row_id"]: row for row in story.rows("llm_call")}
    for span in story.rows("tool_span"):
        assert calls[span["call_id"]]["thread_id"] == span["thread_id"]
        assert calls[span["call_id"]]["session_id"] == span["session_id"]


def test_a_few_shot_text_that_equals_an_answer_joins_nothing():
    story = Story()
    for thread in (1, 2, 3):
        prompt = [
            ("system", "Classify."),
            ("user", "good"),
            ("assistant", "positive"),
            ("user", f"text {thread}"),
        ]
        story.call(100 * thread, 100 * thread + 10, prompt, answer="positive", thread=thread)
    assert len(story.rows("session")) == 3
    assert all(row["few_shot_bytes"] == len("good" + "positive") for row in story.rows("llm_call"))


def test_embeddings_open_no_session_and_lack_no_tokens():
    story = Story()
    for number in range(3):
        story.call(
            100 * number,
            100 * number + 5,
            request={"api": "embeddings", "parts": []},
            response={"usage": {"input": 4}},
        )
        story.call(
            100 * number + 10,
            100 * number + 40,
            [*ASK, *([("assistant", "a"), ("user", "b")] * number)],
            answer="a",
        )
    assert len(story.rows("session")) == 1
    assert story.merged().provenance.not_seen.calls_without_tokens == 0


def test_reasoning_is_history_and_makes_no_examples():
    story = Story()
    story.call(0, 5, [("user", "Who?"), ("reasoning", "hm"), ("assistant", "", ("x",)), ("tool", "y", "x")])
    (row,) = story.rows("llm_call")
    assert (row["user_bytes"], row["few_shot_bytes"], row["tool_history_bytes"]) == (4, 0, 1)


def test_a_prompt_that_the_server_holds_has_no_classes():
    story = Story()
    story.call(0, 5, ASK, response={"response_id": "r1"})
    story.call(10, 15, [("tool", "y", "x")], request={"previous_response_id": "r1"})
    row = by_start(story.rows("llm_call"))[1]
    assert (row["prompt_bytes"], row["user_bytes"], row["part_hashes"]) == (None, None, None)


def test_a_branch_does_not_wait_for_anothers_tool():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(0, 100, ASK, answer="A1", session="s", thread=1)
    story.tool(102, 105, "search", thread=2, session="s")
    story.call(110, 120, [*ASK, ("assistant", "A1"), ("user", "on")], session="s", thread=1)
    first, second = by_start(story.rows("llm_call"))
    assert second["parents"] == [first["row_id"]]


def test_edges_stay_within_their_session():
    story = Story()
    for number in range(2):
        story.add("session_start", 100 * number, id=f"s{number}", name=f"turn {number}")
        history = [*ASK, *([("assistant", "She."), ("user", "And?")] if number else [])]
        story.call(100 * number + 1, 100 * number + 50, history, answer="She.", session=f"s{number}")
        story.add("session_end", 100 * number + 60, id=f"s{number}", status="ok")
    assert [row["parents"] for row in story.rows("llm_call")] == [[], []]


def test_a_call_after_a_marked_session_is_no_part_of_it():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(1, 10, ASK, session="s", scope="x")
    story.add("session_end", 20, id="s", status="ok")
    story.call(500, 510, [("system", "Other."), ("user", "u")], scope="x")
    assert {(row["start_ns"], row["end_ns"]) for row in story.rows("session")} == {
        (0, 20_000_000),
        (500_000_000, 510_000_000),
    }


def test_steps_of_no_length_order_by_row_and_never_in_a_circle():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(0, 10, ASK, session="s", tools=[("a", "search")])
    story.call(10, 20, [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")], session="s")
    for name in ("one", "two"):
        story.tool(25, 25, name, session="s")
    rows = {row["row_id"]: row for kind in ("llm_call", "tool_span") for row in story.rows(kind)}
    for row_id, row in rows.items():
        seen, ahead = set(), list(row["parents"])
        while ahead:
            parent = ahead.pop()
            assert parent != row_id
            if parent not in seen:
                seen.add(parent)
                ahead += rows[parent]["parents"]


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"request": {"choice_count": 2**40}}, "choice_count"),
        ({"response": {"usage": {"input": 10**20, "output": 3}}}, "input_tokens"),
        ({"request": {"model": 7}}, "model"),
        ({"response": {"response_id": {"a": 1}}}, "response_id"),
    ],
)
def test_a_value_that_no_column_holds_is_null_and_counted(change, column):
    story = Story()
    story.call(0, 10, ASK, **change)
    story.call(20, 30, ASK, answer="y")
    odd, fine = by_start(story.rows("llm_call"))
    assert odd[column] is None
    assert fine["output_tokens"] == 3
    assert story.merged().provenance.not_seen.unfit_values == 1


def test_text_that_is_no_text_is_mended():
    story = Story()
    story.add("mark", 1, name="file", value="caf\udce9.txt")
    assert story.rows("mark")[0]["text"] == "caf?.txt"


def test_the_same_question_at_the_same_time_stays_with_its_own_task():
    story = Story()
    for thread in (1, 2):
        shift = 100 * thread
        story.call(shift, 300 + shift, ASK, tools=[("a", "search")], thread=thread)
        more = [*ASK, ("assistant", "", ("a",)), ("tool", "x", "a")]
        story.call(900 + shift, 1400 + shift, more, answer="done", thread=thread)
    assert len(story.rows("session")) == 2
    assert len(story.rows("tool_span")) == 2
