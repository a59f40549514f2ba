"""The shape of one scripted session: what the user asks and what the model does about it."""

from __future__ import annotations

from dataclasses import dataclass

from tracekit.demo.turn import Turn


@dataclass(frozen=True)
class FollowUp:
    """What the user asks next, after reading the answer for `reading_s` seconds."""

    text: str
    reading_s: float = 3.0


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
