"""The 17 pairs of an agent and a benchmark, and ShareGPT, as shapes."""

from __future__ import annotations

from typing import NamedTuple

from examples.cost_of_dynamic_reasoning.published import taken
from tracekit.shapes.shape import Pattern, Shape, Spread, Tokens

PATTERNS = {"LLMCompiler": Pattern.PLAN, "LATS": Pattern.TREE}
SHAREGPT = "ShareGPT"


class Pair(NamedTuple):
    """An agent on a benchmark; ShareGPT has no agent."""

    benchmark: str
    agent: str = ""

    @property
    def name(self) -> str:
        return f"{self.agent} on {self.benchmark}" if self.agent else self.benchmark

    @property
    def file(self) -> str:
        return "-".join(word.lower() for word in self if word)

    @property
    def uses_tools(self) -> bool:
        return bool(self.agent) and taken("tool_calls")[self.benchmark][self.agent] > 0

    @property
    def tools_use_the_gpu(self) -> bool:
        return self.benchmark in taken("tools_use_the_gpu")


def pairs() -> list[Pair]:
    """The 17, in the paper's order."""
    return [Pair(benchmark, agent) for benchmark, agents in taken("llm_calls").items() for agent in agents]


def shape_of(pair: Pair) -> Shape:
    """What the paper says of its sessions."""
    if pair.benchmark == SHAREGPT:
        return _sharegpt()
    benchmark, agent = pair
    cv = taken("length_cv")
    return Shape(
        name=pair.name,
        calls=taken("llm_calls")[benchmark][agent],
        tokens=Tokens(**taken("tokens")[benchmark][agent]),
        tools=taken("tool_calls")[benchmark][agent],
        tool_wall_s=taken("tool_wall_s")[benchmark][agent],
        pattern=PATTERNS.get(agent, Pattern.CHAIN),
        parallel_calls=taken("parallel_calls")[benchmark] if agent == "LATS" else 1.0,
        choices=taken("choices").get(agent, 1),
        spread=Spread(calls=taken("calls_cv"), **cv),
    )


def _sharegpt() -> Shape:
    lengths, cv = taken("sharegpt"), taken("length_cv")
    spread = Spread(user=lengths["output_cv"], output=lengths["output_cv"], tool_result=cv["tool_result"])
    return Shape(SHAREGPT, 1.0, Tokens(lengths["output"], user=lengths["input"]), spread=spread)
