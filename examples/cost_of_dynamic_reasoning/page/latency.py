"""Where the time of one request goes: Figs 5, 6 and 7."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import fmean, median

from examples.cost_of_dynamic_reasoning.comparison import Row, number, percent, table, within
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.pair import Pair, pairs
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.results import Results

SLOW_TOKEN_MS = 17.0
"""A token that takes longer is named: a fifth more than a single stream on an A100."""

SERVED = {
    "ShareGPT": Pair("ShareGPT"),
    "HotpotQA": Pair("HotpotQA", "ReAct"),
    "WebShop": Pair("WebShop", "ReAct"),
}


def e2e_rows(results: Results, how: str = "cached") -> list[Row]:
    """End to end, s, of the 17 pairs."""
    return [_e2e(pair, results.alone(pair)[how]["e2e_s"]) for pair in pairs()]


def _e2e(pair: Pair, seconds: float) -> Row:
    return Row(pair.name, seconds, judged("e2e_s")[pair.benchmark][pair.agent], "s")


def by_published_calls(results: Results) -> list[Row]:
    """End to end with Fig 9's latency of a call instead of ours, and our tools beside it."""
    rows = []
    for pair in pairs():
        benchmark, agent = pair
        at_once = taken("parallel_calls")[benchmark] if agent == "LATS" else 1.0
        call_s = judged("call_s")[benchmark][agent]["cached"]
        llm_s = taken("llm_calls")[benchmark][agent] * call_s / at_once
        rows.append(_e2e(pair, llm_s + results.cached(pair)["tool_s"]))
    return rows


def idle_rows(results: Results, *, windowed: bool = False) -> list[Row]:
    """GPU idle, % of the request; tools that use the GPU keep it busy."""
    return [
        Row(
            pair.name,
            idle_share(results, pair, windowed=windowed),
            judged("gpu_share")[pair.benchmark][pair.agent]["idle"],
            points=True,
        )
        for pair in pairs()
    ]


def idle_share(results: Results, pair: Pair, *, windowed: bool = False) -> float:
    """In percent of the end-to-end latency."""
    if pair.tools_use_the_gpu:
        return 0.0
    found = results.cached(pair)
    return 100.0 * float(found["idle_windowed_s" if windowed else "idle_s"]) / float(found["e2e_s"])


def mean_rows(results: Results) -> list[Row]:
    """The sentences about means over the 14 pairs with tools."""
    published = judged("means")
    users = [pair for pair in pairs() if pair.uses_tools]

    def mean(seconds: Callable[[Pair], float], of: Iterable[Pair] = users) -> float:
        return fmean(100.0 * seconds(pair) / results.cached(pair)["e2e_s"] for pair in of)

    def found(*keys: str) -> Callable[[Pair], float]:
        return lambda pair: sum(float(results.cached(pair)[key]) for key in keys)

    def decode_s(pair: Pair) -> float:
        return found("decode_s", "tool_s")(pair) if pair.tools_use_the_gpu else found("decode_s")(pair)

    planners = [pair for pair in users if pair.agent == "LLMCompiler"]
    idle, windowed = (max(row.ours for row in idle_rows(results, windowed=each)) for each in (False, True))
    values = {
        "LLM (overlap included)": (mean(found("llm_s", "overlap_s")), "llm"),
        "tool only": (mean(found("tool_s")), "tool"),
        "LLM and tool at once, 2 pairs": (mean(found("overlap_s"), planners), "overlap"),
        "prefill": (mean(found("prefill_s")), "prefill"),
        "decode, HumanEval's tools counted as decoding": (mean(decode_s), "decode"),
        "decode, without them": (mean(found("decode_s")), "decode"),
        "largest idle share (ReAct on MATH)": (idle, "max_idle"),
        "the same, by 100 ms windows": (windowed, "max_idle"),
    }
    return [Row(name, ours, published[key], points=True) for name, (ours, key) in values.items()]


def tail_rows(results: Results) -> list[Row]:
    """p95 of a request alone."""
    return [
        Row(f"p95, {pair.name}", results.cached(pair)["e2e_p95_s"], judged("p95_s")[name], "s")
        for name, pair in SERVED.items()
    ]


def token_ms(pair: Pair) -> float:
    """What Figs 8 and 9 make of a token: (call - prefill) / tokens of one answer."""
    benchmark, agent = pair
    decode_s = judged("call_s")[benchmark][agent]["cached"] - judged("prefill_s")[benchmark][agent]["cached"]
    tokens = taken("tokens")[benchmark][agent]["output"] / taken("choices").get(agent, 1)
    return 1e3 * float(decode_s) / float(tokens)


def context(results: Results) -> dict[str, object]:
    """Tables, counts and the figures that the text names."""
    e2e, idle, windowed = e2e_rows(results), idle_rows(results), idle_rows(results, windowed=True)
    slow = sorted((token_ms(pair), pair.name) for pair in pairs() if token_ms(pair) > SLOW_TOKEN_MS)
    usual = sorted(token_ms(pair) for pair in pairs() if token_ms(pair) <= SLOW_TOKEN_MS)
    cot = Pair("HotpotQA", "CoT")
    own_ms = 1e3 * results.cached(cot)["decode_s"] / results.alone(cot)["drawn"]["tokens"]["output"]
    compiler = ("WebShop", "LLMCompiler")
    calls, call_s = (
        taken("llm_calls")[compiler[0]][compiler[1]],
        judged("call_s")[compiler[0]][compiler[1]]["cached"],
    )
    newer = e2e_rows(results, "newer")
    return {
        "pairs": _pairs_table(e2e, idle, windowed),
        "e2e": _counts(e2e, 0.10, 0.20),
        "median": f"{100 * median(abs(row.difference) for row in e2e):.0f}",
        "idle": _counts(idle, 5, 8),
        "windowed": _counts(windowed, 5, 8),
        "by_calls": _counts(by_published_calls(results), 0.10, 0.20),
        "newer": _counts(newer, 0.10, 0.20),
        "tree_ms": f"{token_ms(Pair('MATH', 'LATS')):.1f}",
        "usual_ms": f"{usual[0]:.0f} to {usual[-1]:.0f}",
        "own_ms": f"{own_ms:.1f}",
        "slow": ", ".join(f"{name} {ms:.0f} ms" for ms, name in slow),
        "compiler": f"{calls:g} calls of {call_s:.2f} s make {calls * call_s:.1f} s",
        "compiler_e2e": f"{judged('e2e_s')[compiler[0]][compiler[1]]:g}",
        "means": table(
            ["% of a request, mean of the 14 pairs with tools", "ours", "published", "difference"],
            [row.cells() for row in mean_rows(results)],
        ),
        "tails": table(
            ["alone, one after the other", "ours", "published", "ratio"],
            [row.cells() for row in tail_rows(results)],
        ),
    }


def _counts(rows: list[Row], near: float, far: float) -> tuple[int, int]:
    return within(rows, near), within(rows, far)


def _pairs_table(e2e: list[Row], idle: list[Row], windowed: list[Row]) -> str:
    heads = ["pair", "e2e", "published", "", "idle %", "by 100 ms windows", "published", "points"]
    lines = [
        [
            row.name,
            f"{number(row.ours)} s",
            f"{number(row.published)} s",
            percent(row.difference),
            f"{by.ours:.1f}",
            f"{seen.ours:.1f}",
            f"{by.published:.1f}",
            f"{by.difference:+.1f} / {seen.difference:+.1f}",
        ]
        for row, by, seen in zip(e2e, idle, windowed, strict=True)
    ]
    return table(heads, lines)
