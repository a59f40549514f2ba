"""How long texts and tool runs are, so that means over calls come out as the shape has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tracekit.shapes.draws import Floats, gamma, lognormal, whole
from tracekit.shapes.rounds import Round, Session, mean_depth
from tracekit.shapes.shape import Pattern, Shape


class Lengths(NamedTuple):
    """Draws in the order in which they are used, and what every prompt begins with."""

    shared: int  # instruction and examples
    instruction: int
    user: Iterator[int]  # a session
    answer: Iterator[int]  # one answer
    thought: Iterator[int]  # what a round adds to its path of answers
    result: Iterator[int]  # and of tool results
    tool_s: Iterator[float]


def draw_lengths(random: np.random.Generator, shape: Shape, sessions: list[Session]) -> Lengths:
    """Lengths for these sessions.

    History grows with depth: a round adds the mean history over the mean depth, so that the mean over calls is
    the shape's whatever depths were drawn.
    """
    tokens, spread = shape.tokens, shape.spread
    rounds = [each for session in sessions for each in session]
    depth = mean_depth(sessions)
    thought, result = (
        history / depth if depth else 0.0 for history in (tokens.llm_history, tokens.tool_history)
    )
    count = len(rounds)
    return Lengths(
        shared=round(tokens.shared),
        instruction=round(tokens.instruction),
        user=_whole(random, gamma(random, tokens.user, spread.user, len(sessions)), 1 if tokens.user else 0),
        answer=_answers(random, shape, rounds),
        thought=_whole(random, gamma(random, thought, spread.output, count)),
        result=_whole(random, gamma(random, result, spread.tool_result, count)),
        tool_s=iter(_tool_s(random, shape, sessions).tolist()),
    )


def _answers(random: np.random.Generator, shape: Shape, rounds: list[Round]) -> Iterator[int]:
    """Tokens of each answer.

    Those of a round are equally long: then as many calls are in flight as the shape says, none waits for another.
    """
    drawn = gamma(random, shape.tokens.output / shape.choices, shape.spread.output, len(rounds))
    return _whole(random, np.repeat(drawn, [each.calls * shape.choices for each in rounds]), 1)


def _tool_s(random: np.random.Generator, shape: Shape, sessions: list[Session]) -> Floats:
    """Seconds of each tool, which together make the shape's wall seconds: of those side by side the longest counts."""
    groups = [each.tools for session in sessions for each in session if each.tools]
    if not groups:
        return np.zeros(0)
    raw = lognormal(random, 1.0, shape.spread.tool_s, sum(groups))
    starts = np.cumsum([0, *groups[:-1]])
    together = np.add if shape.pattern is Pattern.CHAIN else np.maximum
    wall = float(together.reduceat(raw, starts).sum())
    return np.asarray(raw * (shape.tool_wall_s * len(sessions) / wall), dtype=np.float64)


def _whole(random: np.random.Generator, values: Floats, least: int = 0) -> Iterator[int]:
    return iter(whole(random, values, least).tolist())
