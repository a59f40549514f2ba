"""A GBNF grammar that allows exactly one text, token by token.

A grammar of one string literal would let random weights spell the text in any tokens, mostly short ones.
Naming the tokens keeps the counts of an ordinary tokenization, and lets the engine's prefix cache recognise
its own output in the next prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Token:
    """A token's id in the engine's vocabulary and the bytes it stands for."""

    identifier: int
    spelled: bytes


def literal(text: str) -> str:
    """The text as a GBNF string literal (NUL has none: llama.cpp ends strings there)."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    return f"\\U{ord(character):08X}"


def exactly(tokens: Iterable[Token]) -> str:
    """A grammar whose only sentence is these tokens' text.

    llama.cpp matches a token by id only if it holds whole characters, so the tokens that share the bytes of
    one character are written as a string literal.
    """
    return "root ::= " + (" ".join(_terms(tokens)) or '""')


def freely(lead: str, longest: int, rest: str) -> str:
    """A grammar of one line of at most `longest` characters without tags after `lead`, then exactly `rest`."""
    words = f"[^<\\n ] [^<\\n]{{0,{longest - 1}}}"
    return "root ::= " + " ".join(
        [*([literal(f"{lead} ")] if lead else []), words, *([literal(rest)] if rest else [])]
    )


def _terms(tokens: Iterable[Token]) -> Iterable[str]:
    pending = b""
    for token in tokens:
        pending += token.spelled
        try:
            text = pending.decode()
        except UnicodeDecodeError:
            continue
        yield literal(text) if pending != token.spelled else f"<[{token.identifier}]>"
        pending = b""
    if pending:
        raise ValueError(f"the tokens end inside a character: {pending!r}")
