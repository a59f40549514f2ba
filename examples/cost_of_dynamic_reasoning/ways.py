"""Other ways to read what the paper leaves open, and what each does to a knee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from examples.cost_of_dynamic_reasoning.pair import Pair, shape_of
from examples.cost_of_dynamic_reasoning.published import taken
from tracekit.analyzers.kernels.layout import NOBODY, Workload
from tracekit.shapes.shape import Shape


def _unchanged(workload: Workload) -> Workload:
    return workload


def _own_prefixes(workload: Workload) -> Workload:
    """Sessions share nothing with each other, not even instructions and examples."""
    parent = workload.prefix_parent
    is_own = (parent != NOBODY) & (workload.session[parent] == workload.session)
    return workload._replace(prefix_parent=np.where(is_own, parent, NOBODY).astype(np.int32))


class Way(NamedTuple):
    """One reading: a shape, what becomes of its workload, how many sessions arrive (times the usual)."""

    key: str
    name: str
    shape: Shape
    cached: bool
    benchmark: str
    changed: Callable[[Workload], Workload] = _unchanged
    times: int = 1

    @property
    def how(self) -> str:
        return "cached" if self.cached else "uncached"


def ways() -> list[Way]:
    """All of them, of ReAct."""
    hotpotqa, webshop = (shape_of(Pair(name, "ReAct")) for name in ("HotpotQA", "WebShop"))
    wide = replace(webshop, spread=replace(webshop.spread, calls=taken("calls_cv_webshop")))
    return [
        Way("histories", "histories of twice the length", _longer(hotpotqa), False, "HotpotQA"),
        Way("apart", "requests share no examples", hotpotqa, True, "HotpotQA", _own_prefixes),
        Way("many", "four times as many requests", hotpotqa, True, "HotpotQA", times=4),
        Way("wide", "calls spread as Fig 7 has WebShop's latencies", wide, True, "WebShop"),
        Way("wide-uncached", "the same", wide, False, "WebShop"),
    ]


def _longer(shape: Shape) -> Shape:
    tokens = shape.tokens
    longer = replace(tokens, llm_history=2 * tokens.llm_history, tool_history=2 * tokens.tool_history)
    return replace(shape, tokens=longer)
