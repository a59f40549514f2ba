"""What a request is made of: Figs 4 and 8."""

from __future__ import annotations

from statistics import fmean

from examples.cost_of_dynamic_reasoning.comparison import Row, number, table
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.pair import pairs
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.results import Results

CLASSES = ("instruction", "few_shot", "user", "llm_history", "tool_history", "output")


def calls_rows() -> list[Row]:
    """The two sentences about calls, from the bars of Fig 4."""
    calls = {pair: taken("llm_calls")[pair.benchmark][pair.agent] for pair in pairs()}
    loops = [value for pair, value in calls.items() if pair.agent not in ("CoT", "LATS")]
    trees = [value for pair, value in calls.items() if pair.agent == "LATS"]
    stated = judged("calls")
    return [
        Row("calls, times CoT's one: mean of the 10 pairs without LATS", fmean(loops), stated["times_cot"]),
        Row("the same with LATS, 14 pairs", fmean(loops + trees), stated["times_cot"]),
        Row("calls of LATS, mean of 4 pairs", fmean(trees), stated["lats"]),
    ]


def context(results: Results) -> dict[str, str]:
    """The tables."""
    lines = []
    for pair in pairs():
        benchmark, agent = pair
        drawn, tokens = results.alone(pair)["drawn"], taken("tokens")[benchmark][agent]
        counts = {
            "calls": taken("llm_calls")[benchmark][agent],
            "tools": taken("tool_calls")[benchmark][agent],
        }
        lines.append(
            [
                pair.name,
                *(f"{number(drawn[key])} / {published:g}" for key, published in counts.items()),
                *(f"{drawn['tokens'][name]:.0f} / {tokens.get(name, 0):g}" for name in CLASSES),
            ]
        )
    heads = ["drawn / published", "calls", "tools", *(name.replace("_", " ") for name in CLASSES)]
    return {
        "calls": table(["from Fig 4", "ours", "published", "ratio"], [row.cells() for row in calls_rows()]),
        "drawn": table(heads, lines),
    }
