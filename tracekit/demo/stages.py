"""What the workflows' prompts begin with, and what the scripted model answers to each.

A prompt's first line names the stage and the question, and decides the answer; the lines below it are context that the
model has to read. The words are the same in every run; only their cost is real.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tracekit.demo.question import Question
from tracekit.demo.turn import Turn

CANDIDATES: Final = 3
TRIALS: Final = 2


def from_memory(question: Question) -> str:
    """A plain question: one answer, no tools."""
    return f"From memory: {question.text}"


def attempt(question: Question, trial: int) -> str:
    """An attempt with tools, the lessons of earlier ones below it."""
    return f"Attempt {trial}: {question.text}"


def judge(question: Question, trial: int) -> str:
    """Whether the answer below it is supported."""
    return f"Judge attempt {trial}: {question.text}"


def reflect(question: Question, trial: int) -> str:
    """What to do otherwise next time."""
    return f"Reflect on attempt {trial}: {question.text}"


def plan(question: Question) -> str:
    """All look-ups at once, then the answer."""
    return f"Plan: {question.text}"


def candidate(question: Question, step: int, number: int) -> str:
    """One of several next steps from the same state."""
    return f"Candidate {number} of {CANDIDATES} for step {step}: {question.text}"


def rate(question: Question, step: int, number: int) -> str:
    """How promising a candidate is."""
    return f"Rate candidate {number} of step {step}: {question.text}"


def rounds(question: Question) -> tuple[Turn, ...]:
    """The turns with tools before the first answer."""
    return question.turns[: _first_answer(question)]


def answer(question: Question) -> Turn:
    """The first answer."""
    return question.turns[_first_answer(question)]


def _first_answer(question: Question) -> int:
    return next(index for index, turn in enumerate(question.turns) if not turn.calls)


def scripted(question: Question) -> Iterator[tuple[str, tuple[Turn, ...]]]:
    """Every stage of a question and the turns that follow it."""
    yield from_memory(question), (answer(question),)
    yield from _reflexion(question)
    yield plan(question), _planned(question)
    for step, turn in enumerate((*rounds(question), answer(question)), 1):
        yield from _expanded(question, step, turn)


def _reflexion(question: Question) -> Iterator[tuple[str, tuple[Turn, ...]]]:
    for trial in range(1, TRIALS + 1):
        last = trial == TRIALS
        hasty = Turn("From what the first search says I can only give a rough answer, without a calculation.")
        turns = (*rounds(question), answer(question)) if last else (question.turns[0], hasty)
        verdict = (
            "Supported: every figure in the answer is in a passage or printed by the snippet."
            if last
            else "Not supported: the answer gives no figure, and nothing was calculated."
        )
        yield attempt(question, trial), turns
        yield (
            judge(question, trial),
            (Turn(verdict, lead=verdict.partition(" every" if last else " the")[0]),),
        )
        yield reflect(question, trial), (
            Turn(
                "I stopped after the first search and guessed. Next time I take the inputs from the passages, "
                "calculate with python, print each step, and name the article before I answer."
            ),
        )  # fmt: skip


def _planned(question: Question) -> tuple[Turn, ...]:
    calls = tuple(call for turn in rounds(question) for call in turn.calls)
    words = (
        f"The plan has {len(calls)} steps that do not wait for each other, so all run at once; then I join."
    )
    return Turn(words, calls), answer(question)


def _expanded(question: Question, step: int, turn: Turn) -> Iterator[tuple[str, tuple[Turn, ...]]]:
    for number in range(1, CANDIDATES + 1):
        text = turn.text or "The next tool gives what is missing."
        yield candidate(question, step, number), (Turn(f"Thought {number}: {text}", turn.calls),)
        yield (
            rate(question, step, number),
            (
                Turn(
                    f"{10 - 2 * number} of 10: it moves on from what is known and repeats nothing.",
                    lead=f"{10 - 2 * number} of 10:",
                ),
            ),
        )
