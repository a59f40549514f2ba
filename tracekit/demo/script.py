"""Chooses the next assistant turn of a conversation from the script, and keeps nothing between requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tracekit.demo.questions import QUESTIONS
from tracekit.demo.stages import scripted
from tracekit.demo.turn import Turn

Message = dict[str, Any]

GENERIC_ANSWER: Final = Turn(
    "I am the demo model of tracekit: my weights are random and my words come from a script, which has no "
    "answer to this. Ask one of the demo's own questions to see a whole session."
)

_TURNS: Final[dict[str, tuple[Turn, ...]]] = {question.text: question.turns for question in QUESTIONS} | {
    line: turns for question in QUESTIONS for line, turns in scripted(question)
}


def next_turn(messages: Sequence[Message], *, tools_offered: bool) -> Turn:
    """The turn that follows these messages; off the script, or to call tools without any, a short generic answer.

    The conversation begins at the last user message whose first line the script knows; the assistant
    messages since then say how many turns are done.
    """
    start = _last_known_question(messages)
    if start is None:
        return GENERIC_ANSWER
    turns = _TURNS[_first_line(messages[start])]
    done: int = sum(message.get("role") == "assistant" for message in messages[start:])
    if done >= len(turns) or (turns[done].calls and not tools_offered):
        return GENERIC_ANSWER
    return turns[done]


def text_of(message: Message) -> str:
    """A message's text, whether its content is a string, a list of parts or absent."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _first_line(message: Message) -> str:
    return text_of(message).partition("\n")[0]


def _last_known_question(messages: Sequence[Message]) -> int | None:
    known = (
        index
        for index, message in enumerate(messages)
        if message.get("role") == "user" and _first_line(message) in _TURNS
    )
    return max(known, default=None)
