"""The shape of an agent's sessions: means that a publication tells, and how far sessions spread around them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from tracekit.errors import ShapeInvalid


class Pattern(StrEnum):
    """How the steps of a session hang together."""

    CHAIN = "chain"
    """One call after the other, tools one after the other between two calls (ReAct, Reflexion)."""
    PLAN = "plan"
    """The same, but a call's tools start while it streams, and run side by side (LLMCompiler)."""
    TREE = "tree"
    """Rounds of calls side by side, then their tools side by side; a round extends the path of the one before,
    or begins at the root again (LATS)."""


@dataclass(frozen=True)
class Tokens:
    """Mean tokens of an LLM call by class; `output` is of all answers sampled in it."""

    output: float
    instruction: float = 0.0
    few_shot: float = 0.0
    user: float = 0.0
    llm_history: float = 0.0
    tool_history: float = 0.0

    @property
    def input(self) -> float:
        """Of a prompt."""
        return self.instruction + self.few_shot + self.user + self.llm_history + self.tool_history

    @property
    def shared(self) -> float:
        """Of what every prompt begins with."""
        return self.instruction + self.few_shot


@dataclass(frozen=True)
class Spread:
    """Standard deviation over mean: of calls in a session, lengths of texts and of tool runs."""

    calls: float = 0.6
    user: float = 0.3
    tool_result: float = 0.5
    output: float = 0.5
    tool_s: float = 0.5


@dataclass(frozen=True)
class Shape:
    """Means over sessions.

    `calls`, `tools` : LLM calls and tool runs a session
    `tool_wall_s` : seconds of a session in which a tool runs, parallel ones counted once
    `parallel_calls` : calls of a round of a tree
    `choices` : answers sampled in one call, which become rows of their own with one `response_id`
    `most_rounds` : an iteration budget, where longer sessions stop; the means are those without it
    """

    name: str
    calls: float
    tokens: Tokens
    tools: float = 0.0
    tool_wall_s: float = 0.0
    pattern: Pattern = Pattern.CHAIN
    parallel_calls: float = 1.0
    choices: int = 1
    most_rounds: int | None = None
    spread: Spread = Spread()

    def __post_init__(self) -> None:
        for name, value, least in (
            ("calls", self.calls, 1.0),
            ("tools", self.tools, 0.0),
            ("tool_wall_s", self.tool_wall_s, 0.0),
            ("parallel_calls", self.parallel_calls, 1.0),
            ("choices", self.choices, 1),
            ("most_rounds", 1 if self.most_rounds is None else self.most_rounds, 1),
            ("output tokens", self.tokens.output, self.choices),
            ("input tokens", self.tokens.input, 1.0),
            *((each.name, getattr(self.tokens, each.name), 0.0) for each in fields(Tokens)),
            *((each.name, getattr(self.spread, each.name), 0.0) for each in fields(Spread)),
        ):
            if not least <= value < float("inf"):
                raise ShapeInvalid.too_small(self.name, name, value, least)
        if self.calls == 1 and (self.tokens.llm_history or self.tokens.tool_history):
            raise ShapeInvalid.history_of_one_call(self.name)
        if self.calls == 1 and self.pattern is not Pattern.TREE and (self.tools or self.tool_wall_s):
            raise ShapeInvalid.tools_of_one_call(self.name)
        if (self.tools == 0) != (self.tool_wall_s == 0):
            raise ShapeInvalid.tools_without_time(self.name, self.tools, self.tool_wall_s)
