"""The skeleton of sessions: rounds of calls and tools, and how deep in its path each round is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracekit.shapes.draws import lognormal, whole
from tracekit.shapes.shape import Pattern, Shape


class Round(NamedTuple):
    """Calls that are made at once, and the tools that follow; `depth` rounds of its path came before."""

    calls: int
    tools: int
    depth: int


Session = list[Round]


def draw_sessions(random: np.random.Generator, shape: Shape, count: int) -> list[Session]:
    """`count` sessions with the shape's mean calls and tools."""
    if shape.calls == 1:
        calls = np.ones(count, np.int64)
    else:
        calls = whole(random, lognormal(random, shape.calls, shape.spread.calls, count), least=1)
    if shape.pattern is Pattern.TREE:
        sizes = [_tree(random, shape, int(each)) for each in calls]
    else:
        sizes = [[(1, depth) for depth in range(each)] for each in calls]
    return _with_tools(random, shape, sizes)


def within_budget(shape: Shape, sessions: list[Session]) -> list[Session]:
    """The sessions, stopped after the shape's most rounds; nothing follows the last."""
    most = shape.most_rounds
    if most is None:
        return sessions
    return [
        session if len(session) <= most else [*session[: most - 1], session[most - 1]._replace(tools=0)]
        for session in sessions
    ]


def mean_depth(sessions: list[Session]) -> float:
    """Rounds before a call in its path, over all calls."""
    calls = sum(each.calls for session in sessions for each in session)
    return sum(each.calls * each.depth for session in sessions for each in session) / calls


def _tree(random: np.random.Generator, shape: Shape, calls: int) -> list[tuple[int, int]]:
    """Calls and depth of each round.

    A path is as deep as its history holds answers: then the chance to go on is depth / (1 + depth).
    """
    depth_wanted = shape.tokens.llm_history / (shape.tokens.output / shape.choices)
    goes_on = depth_wanted / (1.0 + depth_wanted)
    rounds: list[tuple[int, int]] = []
    while calls > 0:
        at_once = min(calls, int(whole(random, np.array([shape.parallel_calls]), least=1)[0]))
        depth = rounds[-1][1] + 1 if rounds and random.uniform() < goes_on else 0
        rounds.append((at_once, depth))
        calls -= at_once
    return rounds


def _with_tools(
    random: np.random.Generator, shape: Shape, sizes: list[list[tuple[int, int]]]
) -> list[Session]:
    """Tools after every round of a tree, else between two calls."""
    last = 0 if shape.pattern is Pattern.TREE else 1
    places = sum(len(session) - last for session in sizes)
    mean = shape.tools * len(sizes) / places if places else 0.0
    drawn = iter(whole(random, np.full(places, mean)).tolist())
    return [
        [
            Round(calls, next(drawn) if place < len(session) - last else 0, depth)
            for place, (calls, depth) in enumerate(session)
        ]
        for session in sizes
    ]
