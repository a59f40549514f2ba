"""The script: which turn follows which messages, and that its figures are what its snippets print."""

import json

import pytest

from tracekit.demo.library import passages, ranked
from tracekit.demo.questions import EXAMPLE, QUESTIONS
from tracekit.demo.script import GENERIC_ANSWER, next_turn
from tracekit.demo.tools import DEFINITIONS, TOOLS, run_tool
from tracekit.demo.turn import ToolCall, Turn, Unfolding, pieces, spelling

FIRST = QUESTIONS[0]


def user(text):
    return {"role": "user", "content": text}


def replies(count):
    return [{"role": "assistant", "content": "..."}] * count


@pytest.mark.parametrize("done", range(len(FIRST.turns)))
def test_the_next_turn_is_counted_from_the_question(done):
    messages = [{"role": "system", "content": "..."}, *EXAMPLE, user(FIRST.text), *replies(done)]
    assert next_turn(messages, tools_offered=True) is FIRST.turns[done]


def test_content_may_be_a_list_of_parts():
    messages = [{"role": "user", "content": [{"type": "text", "text": FIRST.text}]}]
    assert next_turn(messages, tools_offered=True) is FIRST.turns[0]


@pytest.mark.parametrize(
    ("messages", "tools_offered"),
    [
        ([user("What is the weather?")], True),
        ([user(FIRST.text)], False),
        ([user(FIRST.text), *replies(len(FIRST.turns))], True),
        ([{"role": "user"}], True),
    ],
)
def test_off_the_script_the_answer_is_generic(messages, tools_offered):
    assert next_turn(messages, tools_offered=tools_offered) is GENERIC_ANSWER


def test_the_script_has_the_shapes_a_recorder_should_see():
    assert len(QUESTIONS) >= 6
    assert any(len(turn.calls) >= 2 for question in QUESTIONS for turn in question.turns)
    assert any(question.follow_ups for question in QUESTIONS)
    assert any(not turn.text for question in QUESTIONS for turn in question.turns)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text[:20])
def test_every_session_is_whole(question):
    answers = [turn for turn in question.turns if not turn.calls]
    assert 3 <= len(question.turns) <= 5
    assert len(answers) == 1 + len(question.follow_ups)
    assert answers[-1] is question.turns[-1]
    assert {call.name for turn in question.turns for call in turn.calls} <= TOOLS.keys()


def test_search_gives_passages_and_titles():
    assert len({passage.title for passage in passages()}) >= 20
    best = ranked("ENIAC programmers", 2)
    assert [passage.title for passage in best] == ["ENIAC and its programmers"] * 2
    assert ranked("xyzzy", 3) == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text[:20])
def test_titles_named_in_an_answer_exist_and_are_found_by_its_searches(question):
    titles = {passage.title for passage in passages()}
    named = {title for title in titles for turn in question.turns if title in turn.text}
    searches = [
        json.loads(call.arguments) for turn in question.turns for call in turn.calls if call.name == "search"
    ]
    found = {passage.title for search in searches for passage in ranked(search["query"], search["limit"])}
    assert named
    assert named <= found


@pytest.mark.parametrize(
    ("snippet_of", "printed"),
    [(0, "at most 209 tokens/s"), (1, "saved 82.9%"), (2, "ratio 1.6e+12"), (3, "6.77 million dollars")],
)
def test_snippets_print_the_figures_of_the_answers(snippet_of, printed):
    snippets = [
        call.arguments for turn in QUESTIONS[snippet_of].turns for call in turn.calls if call.name == "python"
    ]
    assert printed in run_tool("python", snippets[0])


def test_tools_answer_mistakes_with_text():
    assert run_tool("fly", "{}").startswith("There is no tool named fly")
    assert "do not fit" in run_tool("search", '{"wrong": 1}')
    assert "do not fit" in run_tool("search", "not JSON")
    assert "ZeroDivisionError" in run_tool("python", json.dumps({"code": "1/0"}))


def test_definitions_name_the_tools_and_what_they_need():
    assert {tool["function"]["name"] for tool in DEFINITIONS} == TOOLS.keys()
    assert DEFINITIONS[0]["function"]["parameters"]["required"] == ["query"]


TURN = Turn("I look.", (ToolCall.of("search", query="é\n"), ToolCall.of("python", code="print()")))


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_unfolding_gives_back_the_pieces_however_they_are_cut(step):
    text = spelling(TURN)
    unfolding = Unfolding(TURN)
    fragments = [
        fragment
        for start in range(0, len(text), step)
        for fragment in unfolding.feed(text[start : start + step])
    ]
    for piece in pieces(TURN):
        assert "".join(fragment.text for fragment in fragments if fragment.piece == piece) == piece.text
    assert sum(fragment.last for fragment in fragments) == len(pieces(TURN))
    assert unfolding.complete
