"""One assistant turn of the script, and how it is spelled for the engine and unfolded for the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ToolCall:
    """A tool's name and its arguments as JSON text."""

    name: str
    arguments: str

    @classmethod
    def of(cls, name: str, **arguments: str | int) -> ToolCall:
        """A call with the arguments as a JSON object."""
        return cls(name, json.dumps(arguments, ensure_ascii=False))


@dataclass(frozen=True)
class Turn:
    """A thought or an answer, then tool calls (none: the turn is an answer).

    The text starts with no white space: llama.cpp strips it from an answer. `lead` is what programs read at its
    beginning, so it stays where the rest is sampled.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    lead: str = ""


@dataclass(frozen=True)
class Piece:
    """A run of the engine's output: what it means on the wire, and which call it belongs to."""

    kind: Literal["content", "opening", "arguments", "closing"]
    text: str
    call: int = 0


def pieces(turn: Turn) -> tuple[Piece, ...]:
    """The turn as the model spells it, in the form that the chat template gives it in later prompts."""
    spelled = [Piece("content", turn.text)] if turn.text else []
    for index, call in enumerate(turn.calls):
        line = "\n" if spelled else ""
        opening = f'{line}<tool_call>{{"name": "{call.name}", "arguments": '
        spelled.append(Piece("opening", opening, index))
        spelled.append(Piece("arguments", call.arguments, index))
        spelled.append(Piece("closing", "}</tool_call>", index))
    return tuple(spelled)


def spelling(turn: Turn) -> str:
    """The turn's whole text, as the engine has to emit it."""
    return "".join(piece.text for piece in pieces(turn))


@dataclass(frozen=True)
class Fragment:
    """Newly emitted text of one piece; `last` if the piece is complete with it."""

    piece: Piece
    text: str
    last: bool


class Unfolding:
    """Follows the engine's output through a turn's pieces."""

    def __init__(self, turn: Turn) -> None:
        self._follow(pieces(turn))

    def _follow(self, spelled: tuple[Piece, ...]) -> None:
        self._pieces = spelled
        self._index = 0
        self._offset = 0

    @property
    def complete(self) -> bool:
        """Whether the engine has emitted the whole turn."""
        return self._index == len(self._pieces)

    def feed(self, text: str) -> Iterator[Fragment]:
        """What `text`, the engine's next output, adds to which piece."""
        while text and not self.complete:
            piece = self._pieces[self._index]
            taken = text[: len(piece.text) - self._offset]
            text = text[len(taken) :]
            self._offset += len(taken)
            last = self._offset == len(piece.text)
            if last:
                self._index, self._offset = self._index + 1, 0
            yield Fragment(piece, taken, last)


class SampledUnfolding(Unfolding):
    """Follows output whose text is the model's own: one line of it, then the turn's calls."""

    def __init__(self, turn: Turn) -> None:
        self._follow(calls_after_text(turn))
        self._in_text = True

    def feed(self, text: str) -> Iterator[Fragment]:
        """What `text`, the engine's next output, adds to which piece."""
        if self._in_text:
            own, newline, rest = text.partition("\n")
            self._in_text = not newline
            if own:
                yield Fragment(Piece("content", own), own, bool(newline))
            text = newline + rest
        yield from super().feed(text)


def calls_after_text(turn: Turn) -> tuple[Piece, ...]:
    """The pieces of the turn's calls, as they follow some text."""
    return pieces(Turn("text", turn.calls))[1:]
