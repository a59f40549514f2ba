"""A small byte-pair vocabulary, trained on the spot over the demo's own texts.

Byte-level BPE as in GPT-2: every byte has a printable stand-in, words carry their leading space, and the most
frequent neighbouring pair becomes the next token. The same text always gives the same vocabulary.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

# GPT-2's pre-tokenizer, without \p classes: what llama.cpp calls "gpt-2"
WORD: Final = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")

CONTROL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

Pair = tuple[str, str]


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in id order (control tokens last) and the merges that build them."""

    tokens: tuple[str, ...]
    merges: tuple[Pair, ...]

    def identifier(self, token: str) -> int:
        """The token's id."""
        return self.tokens.index(token)


def printable_bytes() -> tuple[str, ...]:
    """The 256 stand-ins, by byte value: the byte's own character if printable, else one from U+0100 on."""
    plain = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte) if byte in plain else chr(next(others)) for byte in range(256))


def train(text: str, size: int) -> Vocabulary:
    """A vocabulary of `size` tokens, control tokens included (fewer if the text has no more pairs)."""
    alphabet = printable_bytes()
    merges = _Merging(text, alphabet).merges(size - len(alphabet) - len(CONTROL))
    merged = dict.fromkeys(left + right for left, right in merges)
    return Vocabulary((*alphabet, *merged, *CONTROL), tuple(merges))


class _Merging:
    """Words as lists of symbols, and for each neighbouring pair its count and the words that hold it."""

    def __init__(self, text: str, alphabet: tuple[str, ...]) -> None:
        counts = Counter(WORD.findall(text))
        self.words = [[alphabet[byte] for byte in word.encode()] for word in counts]
        self.frequency = list(counts.values())
        self.count: Counter[Pair] = Counter()
        self.holders: dict[Pair, set[int]] = {}
        for index in range(len(self.words)):
            self._add(index, +1)

    def merges(self, limit: int) -> list[Pair]:
        """At most `limit` merges, the most frequent pair first; ties go to the pair seen first."""
        found: list[Pair] = []
        while len(found) < limit and self.count:
            best = max(self.count, key=self.count.__getitem__)
            if self.count[best] < 2:
                break
            found.append(best)
            self._merge(best)
        return found

    def _merge(self, pair: Pair) -> None:
        for index in sorted(self.holders[pair]):
            self._add(index, -1)
            self.words[index] = _joined(self.words[index], pair)
            self._add(index, +1)

    def _add(self, index: int, sign: int) -> None:
        word = self.words[index]
        for pair in pairwise(word):
            self.count[pair] += sign * self.frequency[index]
            if sign > 0:
                self.holders.setdefault(pair, set()).add(index)
            else:
                self.holders[pair].discard(index)
            if not self.count[pair]:
                del self.count[pair]


def _joined(word: list[str], pair: Pair) -> list[str]:
    joined: list[str] = []
    for symbol in word:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined
