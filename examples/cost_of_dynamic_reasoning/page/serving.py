"""How many requests a second one GPU holds, and the memory they take: Figs 11 and 12."""

from __future__ import annotations

from statistics import fmean

from examples.cost_of_dynamic_reasoning.comparison import Row, number, percent, table
from examples.cost_of_dynamic_reasoning.hardware import OF_2024, PROFILES, PROMPTS_FIRST, Profile
from examples.cost_of_dynamic_reasoning.knee import Knee, knee_of_curve
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.pair import Pair, pairs
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.results import Results
from examples.cost_of_dynamic_reasoning.ways import ways

CURVES = [(name, how) for name in ("HotpotQA", "WebShop", "ShareGPT") for how in ("cached", "uncached")]


def published_knee(name: str, how: str) -> float:
    """Of the paper's curve, by our rule."""
    return knee_of_curve(judged("p95_curve")[name][how])


def knee_rows(results: Results, profile: Profile = PROMPTS_FIRST) -> list[Row]:
    """Requests a second."""
    return [
        Row(f"{name}, {how}", results.knee(name, how, profile).mean, published_knee(name, how), "/s")
        for name, how in CURVES
    ]


def interval(results: Results, name: str, how: str) -> tuple[float, float]:
    """Over the profiles of 2024 and their seeds."""
    found = [qps for profile in OF_2024 for qps in results.knee(name, how, profile).qps]
    return min(found), max(found)


def gain_rows(results: Results, profile: Profile = PROMPTS_FIRST) -> list[Row]:
    """Throughput with a prefix cache over that without."""

    def gain(name: str) -> float:
        return results.knee(name, "cached", profile).mean / results.knee(name, "uncached", profile).mean

    stated, both = judged("throughput_gain"), [gain("HotpotQA"), gain("WebShop")]
    return [
        Row("ReAct, mean of HotpotQA and WebShop", fmean(both), stated["ReAct"]),
        Row("ShareGPT", gain("ShareGPT"), stated["ShareGPT"]),
    ]


def memory_rows(results: Results) -> list[Row]:
    """What caching saves of the KV in use, %, and what a request holds."""
    stated = judged("kv_ratio")

    def saved(key: str) -> float:
        found = [results[f"memory/{benchmark}"] for benchmark in taken("kv_qps")]
        return fmean(100.0 * (each["cached"][key] / each["uncached"][key] - 1.0) for each in found)

    return [
        Row(
            "KV in use, mean over time: change by caching, %",
            saved("avg"),
            stated["caching_avg"],
            points=True,
        ),
        Row("the most at once: change by caching, %", saved("max"), stated["caching_max"], points=True),
        *_ratios(results),
    ]


def _ratios(results: Results) -> list[Row]:
    """KV that a request holds while the GPU works on it, times CoT's on the same benchmark, no cache."""

    def kv_tokens(pair: Pair) -> float:
        return float(results.alone(pair)["uncached"]["kv_tokens"])

    times = {
        pair: kv_tokens(pair) / kv_tokens(Pair(pair.benchmark, "CoT"))
        for pair in pairs()
        if pair.uses_tools and "CoT" in taken("llm_calls")[pair.benchmark]
    }
    worst, stated = max(times, key=lambda pair: times[pair]), judged("kv_ratio")
    return [
        Row(
            f"KV of a request, times CoT's: mean of {len(times)} pairs",
            fmean(times.values()),
            stated["mean"],
            "x",
        ),
        Row(f"the worst, {worst.name}", times[worst], stated["worst"], "x"),
    ]


def _ways_table(results: Results) -> str:
    lines = []
    for way in ways():
        usual = results.knee(way.benchmark, way.how, PROMPTS_FIRST).mean
        found = Knee.of(results[f"way/{way.key}"]).mean
        published = published_knee(way.benchmark, way.how)
        words = [f"{number(each)} ({percent(each / published - 1)})" for each in (usual, found)]
        lines.append([f"{way.benchmark}, {way.how}: {way.name}", *words])
    return table(["reading", "knee as above", "so"], lines)


def _off(results: Results, how: str) -> str:
    """How far the knees of the three workloads are off."""
    return ", ".join(percent(row.difference) for row in knee_rows(results) if row.name.endswith(f", {how}"))


def _gb(results: Results) -> str:
    words = []
    for benchmark in taken("kv_qps"):
        found, published = results[f"memory/{benchmark}"], judged("kv_gb")["avg"][benchmark]
        words.append(
            f"{benchmark} {found['uncached']['avg']:.3f} GB, cached {found['cached']['avg']:.3f} "
            f"(published {published['without']:.3f} and {published['with']:.3f})"
        )
    return "; ".join(words)


def context(results: Results) -> dict[str, object]:
    """The tables and what the text names."""
    lines = []
    for (name, how), row in zip(CURVES, knee_rows(results), strict=True):
        low, high = interval(results, name, how)
        lines.append([*row.cells()[:3], percent(row.difference), f"{number(low)} to {number(high)}"])
    by_profile = []
    for profile in PROFILES:
        knees = [f"{number(row.ours)} ({percent(row.difference)})" for row in knee_rows(results, profile)]
        by_profile.append([profile.name, *knees, number(gain_rows(results, profile)[0].ours)])
    prefill_s = judged("prefill_s")["HotpotQA"]["ReAct"]["uncached"]
    bound_qps = 1.0 / (taken("llm_calls")["HotpotQA"]["ReAct"] * prefill_s)
    gains, memory = ([row.cells() for row in rows(results)] for rows in (gain_rows, memory_rows))
    return {
        "knees": table(["knee", "ours", "published curve", "", "profiles of 2024, all seeds"], lines),
        "profiles": table(
            ["engine profile", *(f"{name} {how}" for name, how in CURVES), "gain, ReAct"], by_profile
        ),
        "gains": table(["throughput, cached / not", "ours", "published", "ratio"], gains),
        "off": {how: _off(results, how) for how in ("cached", "uncached")},
        "gain": number(gain_rows(results)[0].ours),
        "saved": f"{memory_rows(results)[0].ours:.0f}",
        "ways": _ways_table(results),
        "prefill": f"{prefill_s:g} s a call (Fig 9) would allow {bound_qps:.2f} requests/s",
        "memory": table(["", "ours", "published", "ratio or difference"], memory),
        "gb": _gb(results),
    }
