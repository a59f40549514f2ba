"""More compute for one answer: Figs 14 to 17."""

from __future__ import annotations

from examples.cost_of_dynamic_reasoning.comparison import number, table
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.results import Results
from examples.cost_of_dynamic_reasoning.scaling import SESSIONS_AT_ONCE
from examples.cost_of_dynamic_reasoning.workspace import Result
from tracekit.units import J_PER_WH

HEADS = ["accuracy %", "mean s", "p95 s", "Wh", "Wh a right answer", "KV peak, busy", "preemptions, busy"]


def wh_per_correct(energy_j: float, accuracy: float) -> float | None:
    """Wh spent for each right answer, wrong ones included; accuracy in %."""
    return energy_j / J_PER_WH / accuracy * 100.0 if accuracy else None


def most_efficient(points: dict[str, tuple[float, float]]) -> str:
    """Of (seconds, accuracy) by name: the one with most accuracy a second, the paper's efficiency."""
    return max(points, key=lambda name: points[name][1] / points[name][0])


def context(results: Results) -> dict[str, object]:
    """The tables and what the text names."""
    points = taken("scaling")["Reflexion 8B"]
    latency_s, ktokens, _accuracy = max(points, key=lambda point: point[1])
    return {
        "at_once": f"{SESSIONS_AT_ONCE:g}",
        "budgets": [_budget(results, benchmark) for benchmark in taken("budget_accuracy")],
        "failing": f"{100 - max(taken('budget_accuracy')['HotpotQA'].values()):.0f}",
        "few_shots": [_few_shot(results, benchmark) for benchmark in taken("few_shot_accuracy")],
        "reflexion": _design(results, "reflections", "Reflexion 8B"),
        "lats": _design(results, "iterations", "LATS 8B"),
        "reflexion_rate": f"{ktokens:,.0f} k tokens in {latency_s:,.0f} s are {ktokens / latency_s:.1f} k a second",
        "reflexion_times": _times(results, "reflections", "Reflexion 8B"),
        "lats_times": _times(results, "iterations", "LATS 8B"),
        "children": _children(results),
        "per_correct": _per_correct(),
    }


def _cells(found: Result, accuracy: float | None) -> list[str]:
    wh = found["energy_j"] / J_PER_WH
    return [
        "-" if accuracy is None else f"{accuracy:g}",
        number(found["e2e_s"]),
        number(found["e2e_p95_s"]),
        number(wh),
        "-" if accuracy is None else number(wh_per_correct(found["energy_j"], accuracy)),
        f"{100 * found['busy_kv_peak']:.0f} %",
        number(found["busy_preemptions"]),
    ]


def _budget(results: Results, benchmark: str) -> dict[str, str]:
    accuracy, published = taken("budget_accuracy")[benchmark], judged("budget_s")[benchmark]
    found = results.series(f"budget-{benchmark}")
    lines = [
        [budget, *_cells(found[budget], share), " / ".join(number(each) for each in published[budget])]
        for budget, share in accuracy.items()
    ]
    return {
        "benchmark": benchmark,
        "table": table([f"budget, {benchmark}", *HEADS, "published mean / p95 s"], lines),
        "ours": most_efficient({each: (found[each]["e2e_s"], accuracy[each]) for each in accuracy}),
        "published": most_efficient({each: (published[each][0], accuracy[each]) for each in accuracy}),
    }


def _few_shot(results: Results, benchmark: str) -> str:
    accuracy, published = taken("few_shot_accuracy")[benchmark], judged("few_shot_s")[benchmark]
    found = results.series(f"few_shot-{benchmark}")
    lines = [
        [shots, *_cells(found[shots], share), number(published[shots])] for shots, share in accuracy.items()
    ]
    return table([f"examples, {benchmark}", *HEADS, "published mean s"], lines)


def _children(results: Results) -> str:
    found = results.series("children")
    return table(["children of LATS", *HEADS], [[name, *_cells(each, None)] for name, each in found.items()])


def _design(results: Results, series: str, name: str) -> str:
    found, wh = results.series(series), judged("scaling_wh")[name]
    lines = [
        [f"{ktokens:g} k tokens", *_cells(found[str(place)], accuracy), f"{latency_s:g}", f"{wh[place]:g}"]
        for place, (latency_s, ktokens, accuracy) in enumerate(taken("scaling")[name])
    ]
    return table([name, *HEADS, "published s", "published Wh"], lines)


def _times(results: Results, series: str, name: str) -> str:
    """Our seconds over the published ones, lowest and highest."""
    found, points = results.series(series), taken("scaling")[name]
    times = [found[str(place)]["e2e_s"] / latency_s for place, (latency_s, _, _) in enumerate(points)]
    return f"{min(times):.1f} to {max(times):.1f}"


def _per_correct() -> str:
    """Table III's own Wh by right answer."""
    lines = []
    for model, by_system in taken("table_accuracy").items():
        for system, accuracy in by_system.items():
            wh = judged("wh")[model][system]
            lines.append(
                [
                    f"{system}, {model}",
                    f"{accuracy}",
                    number(wh),
                    number(wh_per_correct(wh * J_PER_WH, accuracy)),
                ]
            )
    return table(["Table III", "accuracy %", "Wh a query", "Wh a right answer"], lines)
