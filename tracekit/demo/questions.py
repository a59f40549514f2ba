"""What the demo's users ask, and what its scripted model does about it.

The facts are those of the bundled articles, and the figures are what the snippets print.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tracekit.demo.turn import ToolCall, Turn

SYSTEM_PROMPT: Final = """\
You are a careful research assistant for questions on computing, power and energy. Work in rounds: say in one \
sentence what you need, then call the tools that give it, then read what they return. Look facts up with search; \
never state a figure from memory. Do every calculation with python, and print the steps that matter. When two \
look-ups do not depend on each other, call them in the same round. Stop as soon as the question is answered, at \
the latest after six rounds.

The answer is for a reader in a hurry: two to four sentences, the figure first, with its unit, then how it was \
found and what it leaves out. Name the article a fact comes from. If the articles disagree or say nothing, say so."""

EXAMPLE: Final[tuple[dict[str, Any], ...]] = (
    {"role": "user", "content": "How much energy does a 60 W lamp use in an evening of five hours?"},
    {
        "role": "assistant",
        "content": "0.3 kWh: 60 W for 5 h is 300 Wh. The figure is the lamp's rated power; a dimmed lamp uses less.",
    },
)


@dataclass(frozen=True)
class FollowUp:
    """What the user asks next, after reading the answer for `reading_s` seconds."""

    text: str
    reading_s: float = 1.0


@dataclass(frozen=True)
class Question:
    """A question, the model's turns (all of them, in order), and what the user asks next."""

    text: str
    turns: tuple[Turn, ...]
    follow_ups: tuple[FollowUp, ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """Everything the user says."""
        return (self.text, *(follow_up.text for follow_up in self.follow_ups))


def _search(query: str, limit: int = 3) -> ToolCall:
    return ToolCall.of("search", query=query, limit=limit)


def _python(*lines: str) -> ToolCall:
    return ToolCall.of("python", code="\n".join(lines))
