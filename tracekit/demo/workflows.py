"""The demo's agents: chat, ReAct, Reflexion, a planner with parallel tools, and a small tree search.

Each takes a session to its answer. They differ in how often they call the model, in what order and how many at once;
the questions, the tools and the model are the same.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from tracekit.demo import stages
from tracekit.demo.questions import EXAMPLE, SYSTEM_PROMPT
from tracekit.demo.session import Message, Session

Result = TypeVar("Result")


def chat(session: Session) -> str:
    """One call, no tools: the baseline."""
    return _said(session, stages.from_memory(session.question))


def react(session: Session) -> str:
    """Thought, tools, observation, until it answers; then the user's follow-ups (arXiv 2210.03629)."""
    messages = _opening()
    answer = session.answer_to(messages, session.question.text)
    for follow_up in session.question.follow_ups:
        time.sleep(follow_up.reading_s)
        answer = session.answer_to(messages, follow_up.text)
    return answer


def reflexion(session: Session) -> str:
    """Attempts, each judged; a reflection on the failed one opens the next (arXiv 2303.11366)."""
    question, lessons, answer = session.question, "", ""
    for trial in range(1, stages.TRIALS + 1):
        answer = session.answer_to(_opening(), f"{stages.attempt(question, trial)}{lessons}")
        verdict = _said(session, f"{stages.judge(question, trial)}\n{answer}")
        if verdict.startswith("Supported"):
            break
        lessons += "\n" + _said(session, f"{stages.reflect(question, trial)}\n{answer}\n{verdict}")
    return answer


def plan(session: Session) -> str:
    """One plan, all of its tools at once, one join (LLMCompiler, arXiv 2312.04511)."""
    return session.answer_to(_opening(), stages.plan(session.question))


def tree(session: Session) -> str:
    """At each step several candidates at once, each tried and rated; the best goes on (LATS, arXiv 2310.04406)."""
    path: list[Message] = _opening()
    for step in range(1, len(stages.rounds(session.question)) + 2):
        branches = _at_once(partial(_branch, session, path, step))
        _rating, path = max(branches, key=lambda branch: branch[0])
    return str(path[-1]["content"])


def _branch(session: Session, path: list[Message], step: int, number: int) -> tuple[int, list[Message]]:
    """One candidate's rating and the messages with it."""
    messages = [*path, {"role": "user", "content": stages.candidate(session.question, step, number)}]
    reply = session.ask(messages)
    messages.append(reply)
    if "tool_calls" in reply:
        messages.extend(session.run_tools(reply["tool_calls"]))
    asked = {"role": "user", "content": stages.rate(session.question, step, number)}
    rating = str(session.ask([*messages, asked])["content"])
    return int(rating.split(" ", 1)[0]), messages


def _at_once(run: Callable[[int], Result]) -> list[Result]:
    """`run` for every candidate, in threads that know whose work it is."""
    with ThreadPoolExecutor(stages.CANDIDATES) as pool:
        running = [
            pool.submit(contextvars.copy_context().run, run, number)
            for number in range(1, stages.CANDIDATES + 1)
        ]
        return [one.result() for one in running]


def _opening() -> list[Message]:
    return [{"role": "system", "content": SYSTEM_PROMPT}, *EXAMPLE]


def _said(session: Session, text: str) -> str:
    """The answer to one message without tools."""
    return str(session.ask([*_opening(), {"role": "user", "content": text}], tools=False)["content"])


WORKFLOWS: Final[dict[str, Callable[[Session], str]]] = {
    "chat": chat,
    "react": react,
    "reflexion": reflexion,
    "plan": plan,
    "tree": tree,
}
