"""The bundled articles, and a search over their paragraphs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

# the usual constants of BM25 (Robertson and Zaragoza, 2009): saturation of repeats, weight of length
REPEATS = 1.2
LENGTH_WEIGHT = 0.75

WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Passage:
    """One paragraph of an article."""

    title: str
    text: str


def passages() -> Iterator[Passage]:
    """Every paragraph of every article, read from disk in file order; a file's first line is its title."""
    for file in sorted(files("tracekit.demo").joinpath("corpus").iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".txt"):
            title, *paragraphs = file.read_text(encoding="utf-8").strip().split("\n\n")
            yield from (Passage(title, " ".join(paragraph.split())) for paragraph in paragraphs)


def ranked(query: str, limit: int) -> list[Passage]:
    """The `limit` passages nearest to the query by BM25, best first; none without a word of it."""
    shelf = list(passages())
    bags = [Counter(_words(f"{passage.title} {passage.text}")) for passage in shelf]
    mean_length = sum(bag.total() for bag in bags) / len(bags)
    held_by = Counter(word for bag in bags for word in bag)
    rarity = {
        word: math.log(1 + (len(bags) - held_by[word] + 0.5) / (held_by[word] + 0.5))
        for word in _words(query)
    }
    scores = [_score(bag, rarity, mean_length) for bag in bags]
    order = sorted(range(len(shelf)), key=lambda index: -scores[index])
    return [shelf[index] for index in order[:limit] if scores[index] > 0]


def _score(bag: Counter[str], rarity: dict[str, float], mean_length: float) -> float:
    length = REPEATS * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * bag.total() / mean_length)
    return sum(weight * bag[word] * (REPEATS + 1) / (bag[word] + length) for word, weight in rarity.items())


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())
