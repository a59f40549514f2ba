"""Chooses the next assistant turn of a conversation from the script, and keeps nothing between requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tracekit.demo.questions import QUESTIONS
from tracekit.demo.turn import Turn

Message = dict[str, Any]

GENERIC_ANSWER: Final = Turn(
    "I am the demo model of tracekit: my weights are random and my words come from a script, which has no "
    "answer to this. Ask one of the demo's own questions to see a whole session."
)

_TURNS: Final = {question.text: question.turns for question in QUESTIONS}


def next_turn(messages: Sequence[Message], *, tools_offered: bool) -> Turn:
    """The turn that follows these messages; without tools, or off the script, a short generic answer.

    The conversation begins at the last user message that the script knows (earlier ones are examples); the
    assistant messages since then say how many turns are done.
    """
    start = _last_known_question(messages)
    if start is None or not tools_offered:
        return GENERIC_ANSWER
    turns = _TURNS[text_of(messages[start])]
    done = sum(message.get("role") == "assistant" for message in messages[start:])
    return turns[done] if done < len(turns) else GENERIC_ANSWER


def text_of(message: Message) -> str:
    """A message's text, whether its content is a string, a list of parts or absent."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _last_known_question(messages: Sequence[Message]) -> int | None:
    known = (
        index
        for index, message in enumerate(messages)
        if message.get("role") == "user" and text_of(message) in _TURNS
    )
    return max(known, default=None)
