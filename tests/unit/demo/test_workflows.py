"""The workflows against the script alone: how many calls each makes, in what order, and how many at once."""

import threading
from contextlib import contextmanager

import pytest

from tracekit.demo import session as sessions
from tracekit.demo import stages
from tracekit.demo.questions import QUESTIONS
from tracekit.demo.script import GENERIC_ANSWER, next_turn
from tracekit.demo.session import Session
from tracekit.demo.workflows import WORKFLOWS

QUESTION = QUESTIONS[0]


class Scripted(Session):
    """A session whose model is the script, without an engine; three candidates wait for each other."""

    def __init__(self, question):
        super().__init__(None, question)
        self.prompts = []
        self.generic = 0
        self.at_once = self.most_at_once = 0
        self.meeting = threading.Barrier(stages.CANDIDATES)

    def ask(self, messages, *, tools=True):
        with self._counting:
            self.calls += 1
            self.prompts.append(messages[-1].get("content"))
        with self._beside(str(messages[-1].get("content"))):
            turn = next_turn(messages, tools_offered=tools)
        self.generic += turn is GENERIC_ANSWER
        calls = [
            {"id": f"{len(self.prompts)}-{n}", "function": {"name": call.name, "arguments": call.arguments}}
            for n, call in enumerate(turn.calls)
        ]
        return {"role": "assistant", "content": turn.text} | ({"tool_calls": calls} if calls else {})

    @contextmanager
    def _beside(self, prompt):
        if not prompt.startswith("Candidate"):
            yield
            return
        with self._counting:
            self.at_once += 1
        self.meeting.wait(30)
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.meeting.wait(30)
        with self._counting:
            self.at_once -= 1
        yield


@pytest.fixture
def ran(monkeypatch):
    monkeypatch.setattr(sessions, "run_tool", lambda name, arguments: f"{name} says so")

    def run(workflow, question=QUESTION):
        session = Scripted(question)
        return session, WORKFLOWS[workflow](session)

    return run


@pytest.mark.parametrize("workflow", [name for name in WORKFLOWS if name != "react"])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text[:20])
def test_every_question_has_an_answer_in_every_workflow(ran, workflow, question):
    session, answer = ran(workflow, question)
    assert session.generic == 0
    assert answer.endswith(stages.answer(question).text)


def test_chat_is_one_call_without_tools(ran):
    session, _answer = ran("chat")
    assert (session.calls, session.tools) == (1, 0)


def test_reflexion_tries_again_with_its_reflection(ran):
    session, _answer = ran("reflexion")
    rounds = len(stages.rounds(QUESTION))
    assert session.calls == 2 + 1 + 1 + rounds + 1 + 1
    (again,) = [prompt for prompt in session.prompts if str(prompt).startswith("Attempt 2")]
    assert "Next time" in again


def test_a_plan_runs_all_of_its_tools_between_two_calls(ran):
    session, _answer = ran("plan")
    assert session.calls == 2
    assert session.tools == sum(len(turn.calls) for turn in stages.rounds(QUESTION))


def test_a_tree_asks_for_three_candidates_at_once_and_rates_each(ran):
    session, _answer = ran("tree")
    steps = len(stages.rounds(QUESTION)) + 1
    assert session.calls == 2 * stages.CANDIDATES * steps
    assert session.most_at_once == stages.CANDIDATES


def test_stages_are_told_apart_by_their_first_line():
    lines = [line for question in QUESTIONS for line, _turns in stages.scripted(question)]
    assert len(set(lines)) == len(lines)
    assert not any("\n" in line for line in lines)
