"""Which evidence makes a tool, a session or an edge, where several kinds meet or the best is missing."""

from tests.unit.spool_story import Story

ASK = [("system", "You are an agent."), ("user", "Who?")]
ANSWERED = [*ASK, ("assistant", "", ("a",)), ("tool", "found", "a")]


def by_start(rows):
    return sorted(rows, key=lambda row: (row["start_ns"], row["row_id"]))


def ms(row):
    return row["start_ns"] / 1e6, row["end_ns"] / 1e6


def sessions_of(story):
    return [row["session_id"] for row in by_start(story.rows("llm_call"))]


# tools inside tools


def test_a_mark_in_a_frameworks_tool_is_the_same_work():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    outer = story.tool(12, 48, "search", tool_call_id="a", adapter="langchain_core")
    story.tool(15, 45, "search", tool=outer)
    story.call(50, 60, ANSWERED)
    (span,) = story.rows("tool_span")
    assert (ms(span), span["tool_call_id"], span["tool_source"]) == ((12, 48), "a", "framework")


def test_a_frameworks_tool_in_a_mark_gives_it_the_id():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    outer = story.tool(12, 48, "search")
    story.tool(15, 45, "search", tool_call_id="a", tool=outer, adapter="langchain_core")
    story.call(50, 60, ANSWERED)
    first, second = by_start(story.rows("llm_call"))
    (span,) = story.rows("tool_span")
    assert (ms(span), span["tool_call_id"], span["call_id"]) == ((12, 48), "a", first["row_id"])
    assert second["parents"] == [span["row_id"]]


def test_an_mcp_call_in_a_frameworks_tool_is_the_same_work():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "library_search")])
    outer = story.tool(12, 48, "library_search", tool_call_id="a", adapter="agents")
    story.tool(15, 45, "search", tool=outer, adapter="mcp")
    story.call(50, 60, ANSWERED)
    assert len(story.rows("tool_span")) == 1


def test_other_work_in_a_tool_is_a_part_of_it_and_no_step():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    outer = story.tool(12, 48, "search", tool_call_id="a")
    inner = story.tool(15, 30, "download", tool=outer)
    story.tool(16, 20, "unzip", tool=inner)
    story.call(50, 60, ANSWERED)
    search, download, unzip = by_start(story.rows("tool_span"))
    assert [row["inside_id"] for row in (search, download, unzip)] == [
        None,
        search["row_id"],
        download["row_id"],
    ]
    assert len({row["session_id"] for row in (search, download, unzip)}) == 1
    assert (download["parents"], unzip["parents"]) == ([], [])
    assert by_start(story.rows("llm_call"))[1]["parents"] == [search["row_id"]]


def test_two_calls_of_one_tool_by_id_stay_two_even_when_nested():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search"), ("b", "search")])
    outer = story.tool(12, 48, "search", tool_call_id="a")
    story.tool(15, 45, "search", tool_call_id="b", tool=outer)
    assert len(story.rows("tool_span")) == 2


def test_what_a_tool_left_running_is_not_inside_it():
    story = Story()
    story.call(0, 10, ASK, answer="x")
    outer = story.tool(12, 20, "start")
    story.tool(30, 40, "start", tool=outer)
    story.call(50, 60, [("system", "Background."), ("user", "u")], tool=outer)
    spans = story.rows("tool_span")
    assert [(row["inside_id"], row["frame"]) for row in spans] == [(None, False), (None, False)]


def test_parts_of_a_sub_agent_are_steps():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "delegate")])
    outer = story.tool(12, 60, "delegate", tool_call_id="a")
    helper = [("system", "Helper."), ("user", "sub")]
    story.call(15, 20, helper, tool=outer, tools=[("b", "search")])
    story.tool(21, 40, "search", tool_call_id="b", tool=outer)
    story.call(42, 50, [*helper, ("assistant", "", ("b",)), ("tool", "x", "b")], tool=outer)
    story.call(65, 70, ANSWERED)
    delegate, search = by_start(story.rows("tool_span"))
    asked, first, second, last = by_start(story.rows("llm_call"))
    assert (delegate["frame"], search["frame"], search["inside_id"]) == (True, False, None)
    assert search["parents"] == [first["row_id"]]
    assert second["parents"] == [search["row_id"]]
    assert (first["parents"], last["parents"]) == ([asked["row_id"]], [second["row_id"]])
    assert len(set(sessions_of(story))) == 1


def test_a_window_in_which_the_waiting_thread_itself_calls_is_a_frame():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "delegate")], scope="one")
    story.call(20, 40, [("system", "Helper."), ("user", "sub")], answer="part", scope="one")
    story.call(55, 60, ANSWERED, scope="one")
    (span,) = story.rows("tool_span")
    asked, inner, last = by_start(story.rows("llm_call"))
    assert (span["tool_source"], span["frame"]) == ("tool_id", True)
    assert (inner["parents"], last["parents"]) == ([asked["row_id"]], [inner["row_id"]])


def test_a_title_made_meanwhile_in_another_task_makes_no_frame():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")], scope="one", task="main")
    story.call(20, 40, [("system", "Title."), ("user", "u")], answer="T", scope="one", task="title")
    story.call(55, 60, ANSWERED, scope="one", task="main")
    (span,) = story.rows("tool_span")
    assert span["frame"] is False
    assert by_start(story.rows("llm_call"))[2]["parents"] == [span["row_id"]]


# whose tool


def test_a_tool_known_by_another_name_answers_the_only_call():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    story.tool(15, 45, "look up")
    story.call(50, 60, ANSWERED)
    (span,) = story.rows("tool_span")
    assert (span["name"], span["tool_call_id"], ms(span)) == ("look up", "a", (15, 45))


def test_tools_of_another_name_and_number_answer_nothing():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    story.tool(15, 25, "log in")
    story.tool(26, 45, "fetch")
    story.call(50, 60, ANSWERED)
    assert sorted(row["tool_source"] for row in story.rows("tool_span")) == [
        "framework",
        "framework",
        "tool_id",
    ]


def test_an_id_that_nobody_gave_does_not_hide_the_name():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")])
    story.tool(15, 45, "search", tool_call_id="the framework's own")
    story.call(50, 60, ANSWERED)
    (span,) = story.rows("tool_span")
    assert span["tool_call_id"] == "a"


def test_tools_of_tasks_side_by_side_go_by_their_flow():
    story = Story()
    for scope, shift in (("one", 0), ("two", 1)):
        question = [("system", "You are an agent."), ("user", scope)]
        story.call(shift, 10 + shift, question, tools=[(scope, "search")], scope=scope, task=f"t{scope}")
        more = [*question, ("assistant", "", (scope,)), ("tool", "x", scope)]
        story.call(60 + shift, 70 + shift, more, scope=scope, task=f"t{scope}")
    story.tool(15, 45, "search", scope="two", task="tool of two")
    story.tool(16, 40, "search", scope="one", task="tool of one")
    calls = {row["row_id"]: row for row in story.rows("llm_call")}
    for span in story.rows("tool_span"):
        asked = calls[span["call_id"]]
        assert span["task_name"] == f"tool of {asked['task_name'][1:]}"
        assert span["session_id"] == asked["session_id"]


# windows without ids


def test_results_in_plain_text_leave_a_window_of_lower_confidence():
    story = Story()
    story.call(0, 10, ASK, answer="I look.", tools=[("a", "search"), ("b", "read")])
    story.call(42, 50, [*ASK, ("assistant", "I look."), ("user", "Observation: x")], answer="She.")
    first, second = by_start(story.rows("llm_call"))
    spans = story.rows("tool_span")
    assert {(row["tool_source"], row["confidence"], ms(row)) for row in spans} == {
        ("prefix_chain", 0.6, (10, 42))
    }
    assert {row["name"] for row in spans} == {"search", "read"}
    assert [row["parents"] for row in spans] == [[first["row_id"]]] * 2
    assert second["parents"] == [row["row_id"] for row in spans]


def test_an_answer_that_asked_for_nothing_leaves_a_gap():
    story = Story()
    story.call(0, 10, ASK, answer="Thought: search")
    story.call(42, 50, [*ASK, ("assistant", "Thought: search"), ("user", "Observation: x")])
    assert story.rows("tool_span") == []


def test_a_marked_tool_answers_a_call_whose_result_is_plain_text():
    story = Story()
    story.call(0, 10, ASK, answer="I look.", tools=[("a", "search")])
    story.tool(12, 40, "search")
    story.call(42, 50, [*ASK, ("assistant", "I look."), ("user", "Observation: x")], answer="She.")
    (span,) = story.rows("tool_span")
    assert (ms(span), span["tool_call_id"], span["tool_source"]) == ((12, 40), "a", "framework")


def test_a_prompt_written_anew_leaves_a_window_by_neighbourhood():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(1, 10, ASK, tools=[("a", "search")], session="s")
    story.call(42, 50, [("system", "You are an agent."), ("user", "Notes: x. Who?")], session="s")
    (span,) = story.rows("tool_span")
    assert (span["tool_source"], span["confidence"], ms(span)) == ("adjacency", 0.3, (10, 42))
    assert by_start(story.rows("llm_call"))[1]["edge_source"] == "timing"


def test_neighbours_under_other_instructions_or_in_another_task_leave_none():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(1, 10, ASK, tools=[("a", "search")], session="s")
    story.call(42, 50, [("system", "Title."), ("user", "Who?")], session="s")
    story.call(60, 70, [("system", "You are an agent."), ("user", "new")], session="s", thread=2)
    assert story.rows("tool_span") == []


def test_the_wait_for_the_next_task_is_no_tool():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "final_result")], agent_run="r1")
    story.call(9000, 9010, [*ANSWERED, ("user", "And when?")], agent_run="r2")
    assert story.rows("tool_span") == []
    assert len(set(sessions_of(story))) == 1


def test_outputs_alone_behind_a_response_id():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search"), ("b", "read")], response={"response_id": "r1"})
    story.call(
        50, 60, [("tool", "x", "a"), ("tool", "y", "b")], request={"previous_response_id": "r1"}, thread=2
    )
    spans = story.rows("tool_span")
    second = by_start(story.rows("llm_call"))[1]
    assert {(row["tool_source"], ms(row)) for row in spans} == {("tool_id", (10, 50))}
    assert (sorted(second["parents"]), second["edge_source"]) == (
        sorted(row["row_id"] for row in spans),
        "tool_id",
    )


# sessions


def test_one_run_of_an_agent_is_one_session_whatever_begins_in_it():
    story = Story()
    story.add("run_start", 0, id="r1", thread=1)
    story.call(1, 10, ASK, agent_run="r1", task="a", scope="a")
    story.call(20, 30, ASK, agent_run="r1", task="b", scope="b")
    story.call(40, 50, [("system", "Other."), ("user", "u")], agent_run="r1", task="c", scope="c")
    (session,) = story.rows("session")
    assert session["session_source"] == "run"


def test_the_same_agent_run_again_is_a_new_session():
    story = Story()
    for number in range(3):
        story.add("run_start", 100 * number, id=f"r{number}", thread=1)
        question = [("system", "You are an agent."), ("user", f"q{number}")]
        story.call(100 * number + 1, 100 * number + 10, question, agent_run=f"r{number}", scope="one")
    assert [row["session_source"] for row in story.rows("session")] == ["run"] * 3


def test_runs_side_by_side_that_a_planner_started_are_branches():
    story = Story()
    story.call(0, 10, [("system", "Plan."), ("user", "u")], scope="one", task="main")
    for number in range(2):
        story.add("run_start", 11, id=f"r{number}", thread=1, task=f"t{number}")
        story.call(12, 20, ASK, agent_run=f"r{number}", scope="one", task=f"t{number}")
    story.call(30, 40, [("system", "Join."), ("user", "u")], scope="one", task="main")
    assert len(story.rows("session")) == 1


def test_a_run_that_goes_on_with_a_conversation_belongs_to_its_session():
    story = Story()
    story.call(0, 10, ASK, answer="She.", agent_run="r1")
    story.call(500, 510, [*ASK, ("assistant", "She."), ("user", "When?")], agent_run="r2", thread=2)
    story.call(520, 530, [("system", "Title."), ("user", "u")], agent_run="r2", thread=3)
    assert len(set(sessions_of(story))) == 1


def test_tracing_beats_the_conversation_and_a_mark_beats_tracing():
    story = Story()
    story.add("session_start", 0, id="s", name="task")
    story.call(1, 10, ASK, session="s", trace_session="c1")
    story.call(20, 30, ASK, trace_session="c1", request={"conversation_id": "x"})
    story.call(40, 50, ASK, trace_session="c1", request={"conversation_id": "y"}, thread=2)
    story.call(60, 70, ASK, request={"conversation_id": "x"}, thread=3)
    sessions = {row["row_id"]: row["session_source"] for row in story.rows("session")}
    found = sessions_of(story)
    assert [sessions[row_id] for row_id in found] == ["explicit", "explicit", "explicit", "explicit"]


def test_a_trace_joins_what_was_made_in_it():
    story = Story()
    for thread in (1, 2):
        story.call(thread, 10 + thread, ASK, trace=f"t{thread}", thread=thread)
        story.call(20 + thread, 30 + thread, ASK, trace=f"t{thread}", thread=thread + 10)
    assert [(row["session_source"], row["conversation_id"]) for row in story.rows("session")] == [
        ("trace", "t1"),
        ("trace", "t2"),
    ]


def test_a_trace_around_single_requests_says_nothing():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")], trace="t1")
    story.call(20, 30, ANSWERED, trace="t2")
    assert [row["session_source"] for row in story.rows("session")] == ["task"]


def test_a_session_named_in_the_request():
    story = Story()
    for name, thread in (("x", 1), ("y", 2), ("x", 3)):
        story.call(thread * 10, thread * 10 + 5, ASK, request={"client_session": name}, thread=thread)
    found = sessions_of(story)
    assert (found[0] == found[2], found[0] == found[1]) == (True, False)
    assert story.rows("llm_call")[0]["prompt_bytes"] is not None


def test_a_sub_agents_conversation_belongs_to_its_parents_session():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "delegate")], scope="one")
    outer = story.tool(12, 60, "delegate", tool_call_id="a", scope="one")
    story.call(15, 20, ASK, tool=outer, request={"conversation_id": "sub"}, scope="one")
    story.call(70, 80, ANSWERED, scope="one")
    assert len(set(sessions_of(story))) == 1


def test_jobs_of_one_thread_are_branches():
    story = Story()
    story.call(0, 10, ASK, scope="one")
    for number in range(3):
        story.call(20 * number + 20, 20 * number + 30, ASK, scope="one", thread=2, job=f"j{number}")
    assert len(story.rows("session")) == 1


# processes


def child(story, at_ms, pid, ppid=1, told_by=None, **facts):
    story.records.append({"t": "process", "ns": int(at_ms * 1e6), "pid": pid, "ppid": ppid})
    if facts:
        story.add("child", at_ms + 1, child_pid=told_by or pid, **facts)


def test_a_child_process_belongs_to_what_started_it():
    story = Story()
    story.call(0, 10, ASK, scope="one")
    tool = story.tool(12, 90, "delegate", scope="one")
    child(story, 20, pid=7, scope="one", tool=tool)
    story.call(30, 40, ASK, pid=7, scope="7's own")
    story.call(100, 110, [("system", "Join."), ("user", "u")], scope="one")
    (session,) = story.rows("session")
    (span,) = story.rows("tool_span")
    assert (span["frame"], span["session_id"]) == (True, session["row_id"])


def test_a_shell_between_is_bridged_and_so_is_a_silent_process():
    story = Story()
    story.call(0, 10, ASK, scope="one", agent_run="r")
    child(story, 20, pid=8, ppid=7, told_by=7, scope="one", agent_run="r")
    child(story, 25, pid=9, ppid=8)
    story.call(30, 40, ASK, pid=8, scope="8's own")
    story.call(50, 60, ASK, pid=9, scope="9's own")
    assert len(story.rows("session")) == 1


def test_a_process_that_nobody_started_is_its_own():
    story = Story()
    story.call(0, 10, ASK, scope="one")
    child(story, 20, pid=7, ppid=99)
    story.call(30, 40, ASK, pid=7, scope="7's own")
    assert len(story.rows("session")) == 2


def test_an_id_used_again_belongs_to_the_latest_start():
    story = Story()
    story.call(0, 10, ASK, scope="one")
    story.call(2, 12, ASK, scope="two", thread=2)
    child(story, 20, pid=7, scope="one")
    story.call(30, 40, ASK, pid=7, scope="first life")
    child(story, 120, pid=7, scope="two")
    story.call(130, 140, ASK, pid=7, scope="second life")
    found = sessions_of(story)
    assert (found[2], found[3]) == (found[0], found[1])
    assert found[0] != found[1]


# edges


def test_a_broken_off_call_and_a_title_are_leaves():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search")], scope="one")
    story.call(11, 14, [("system", "Title."), ("user", "u")], answer="T", scope="one", thread=2)
    story.call(12, None, [("system", "Guess."), ("user", "u")], scope="one", thread=3)
    story.call(50, 60, ANSWERED, scope="one")
    calls = by_start(story.rows("llm_call"))
    (span,) = story.rows("tool_span")
    assert calls[3]["parents"] == [span["row_id"]]
    assert all(row["row_id"] not in calls[3]["parents"] for row in calls[1:3])


def test_a_question_that_was_broken_off_and_goes_on_is_one_conversation():
    story = Story()
    story.call(0, 10, ASK, answer="half", scope="one")
    story.records[-1]["status"] = "cancelled"
    story.call(20, 30, [*ASK, ("user", "No, the other one.")], scope="one")
    first, second = by_start(story.rows("llm_call"))
    assert (second["parents"], second["edge_source"]) == ([first["row_id"]], "prefix_chain")
    assert len(story.rows("session")) == 1


def test_a_new_trial_with_a_reflection_behind_the_question_is_the_same_task():
    story = Story()
    story.call(0, 10, ASK, answer="He.", scope="one")
    story.call(20, 30, [("system", "Reflect."), ("user", "He. Wrong.")], answer="Not a he.", scope="one")
    story.call(40, 50, [*ASK, ("user", "Not a he.")], answer="She.", scope="one")
    story.call(60, 70, [("system", "You are an agent."), ("user", "What?")], scope="one")
    found = sessions_of(story)
    assert len(set(found[:3])) == 1
    assert found[3] != found[0]


def test_the_same_question_alone_is_another_task():
    story = Story()
    for number in range(3):
        story.call(20 * number, 20 * number + 10, ASK, answer="She.", scope="one")
    assert len(story.rows("session")) == 3


def test_every_choice_of_an_answer_may_ask_for_tools():
    story = Story()
    story.call(0, 10, ASK, tools=[("a", "search"), ("b", "search")], request={"choice_count": 2})
    story.call(50, 60, [*ASK, ("assistant", "", ("b",)), ("tool", "found", "b")])
    (span,) = story.rows("tool_span")
    assert span["tool_call_id"] == "b"
