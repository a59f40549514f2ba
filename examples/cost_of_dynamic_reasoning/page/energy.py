"""Watts and Wh a query: Table III and Fig 17."""

from __future__ import annotations

from collections.abc import Iterator

from examples.cost_of_dynamic_reasoning.comparison import Row, number, percent, table, within
from examples.cost_of_dynamic_reasoning.experiment import SYSTEMS
from examples.cost_of_dynamic_reasoning.hardware import FLEETS, NEWER, VLLM_2024, Profile
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.results import Results
from tracekit.units import J_PER_WH


def gpus(model: str) -> int:
    """Of the machine that serves it."""
    return FLEETS[model].pools[0].tp


def idle_watts(model: str) -> float:
    """Of a GPU that holds the model and waits."""
    return FLEETS[model].pools[0].replica().gpu.warm_idle_w


def published_idle(system: str) -> float:
    """Share of a request on HotpotQA in which the GPU is idle, by Fig 6."""
    return 0.0 if system == "ShareGPT" else float(judged("gpu_share")["HotpotQA"][system]["idle"]) / 100.0


def watts(results: Results, model: str, system: str, profile: Profile = VLLM_2024) -> float:
    """Of one GPU, mean over a request alone."""
    found = results[f"energy/{model}-{system}-{profile.key}"]
    return float(found["energy_j"] / found["e2e_s"]) / gpus(model)


def with_published_idle(results: Results, model: str, system: str) -> float:
    """The same watts while busy and idle, by Fig 6's share of idle time."""
    found = results[f"energy/{model}-{system}-{VLLM_2024.key}"]
    busy_j = found["energy_j"] / gpus(model) - idle_watts(model) * found["idle_s"]
    busy_w = float(busy_j / (found["e2e_s"] - found["idle_s"]))
    idle = published_idle(system)
    return busy_w * (1.0 - idle) + idle_watts(model) * idle


def published_watts(model: str, system: str) -> float:
    """Of one GPU: Table III's Wh over its seconds."""
    wh, seconds = judged("wh")[model][system], taken("latency_s")[model][system]
    return float(wh * J_PER_WH / seconds / gpus(model))


def table_wh(results: Results, model: str, system: str) -> float:
    """Our watts over Table III's seconds."""
    seconds = taken("latency_s")[model][system]
    return float(watts(results, model, system) * gpus(model) * seconds / J_PER_WH)


def systems() -> Iterator[tuple[str, str]]:
    """The six of Table III."""
    for model in FLEETS:
        for system in SYSTEMS:
            yield model, system


def watt_rows(results: Results) -> list[Row]:
    """Mean watts of a GPU behind the six Wh."""
    return [
        Row(f"{system}, {model}", watts(results, model, system), published_watts(model, system), "W")
        for model, system in systems()
    ]


def times_rows(results: Results) -> list[Row]:
    """Wh of an agent as times ShareGPT's: what a wrong level of all watts does not touch."""
    rows = []
    for model, system in systems():
        if system != "ShareGPT":
            ours = table_wh(results, model, system) / table_wh(results, model, "ShareGPT")
            wh = judged("wh")[model]
            rows.append(Row(f"{system}, {model}, times ShareGPT", ours, wh[system] / wh["ShareGPT"], "x"))
    return rows


def design_rows(results: Results) -> dict[str, list[Row]]:
    """Wh at the 31 design points of Fig 17: our watts, the paper's seconds."""
    rows: dict[str, list[Row]] = {}
    for name, points in taken("scaling").items():
        system, model = name.split()
        power_w = watts(results, model, system) * gpus(model)
        rows[name] = [
            Row(f"{latency_s:g} s", power_w * latency_s / J_PER_WH, wh, "Wh")
            for (latency_s, _ktokens, _accuracy), wh in zip(points, judged("scaling_wh")[name], strict=True)
        ]
    return rows


def context(results: Results) -> dict[str, object]:
    """The tables and what the text names."""
    watt, design = watt_rows(results), design_rows(results)
    every = [row for rows in design.values() for row in rows]
    return {
        "systems": _systems_table(results, watt),
        "times": table(["", "ours", "published", "ratio"], [row.cells() for row in times_rows(results)]),
        "near": within(watt, 0.15),
        "near_otherwise": [within(rows, 0.15) for rows in _other_rows(results)],
        "level": f"{min(row.difference for row in watt):+.0%} to {max(row.difference for row in watt):+.0%}",
        "design": _design_table(design),
        "points": len(every),
        "design_near": (within(every, 0.15), within(every, 0.30)),
        "alone_w": f"{watts(results, '8B', 'ShareGPT'):.0f}",
        "elsewhere_w": judged("single_stream_w"),
        "published_w": f"{published_watts('8B', 'ShareGPT'):.0f}",
        "above": f"{100 * (published_watts('8B', 'ShareGPT') / judged('single_stream_w') - 1):.0f}",
        "idle_w": f"{idle_watts('8B'):g}",
        "implied_w": " and ".join(f"{_implied_busy(system):.0f}" for system in ("Reflexion", "LATS")),
        "large_w": [f"{published_watts('70B', system):.0f}" for system in ("ShareGPT", "Reflexion")],
    }


def _other_rows(results: Results) -> tuple[list[Row], list[Row]]:
    """The same six by the two other ways."""
    by_idle, by_newer = [], []
    for model, system in systems():
        name, published = f"{system}, {model}", published_watts(model, system)
        by_idle.append(Row(name, with_published_idle(results, model, system), published, "W"))
        by_newer.append(Row(name, watts(results, model, system, NEWER), published, "W"))
    return by_idle, by_newer


def _implied_busy(system: str) -> float:
    """Watts while busy that Table III and Fig 6's idle share imply for the 8B model."""
    idle = published_idle(system)
    return (published_watts("8B", system) - idle_watts("8B") * idle) / (1.0 - idle)


def _systems_table(results: Results, watt: list[Row]) -> str:
    lines = []
    for (model, system), row, *others in zip(systems(), watt, *_other_rows(results), strict=True):
        lines.append(
            [
                row.name,
                f"{number(table_wh(results, model, system))} / {number(judged('wh')[model][system])} Wh",
                f"{row.ours:.0f} / {row.published:.0f} W",
                percent(row.difference),
                *(f"{other.ours:.0f} W ({percent(other.difference)})" for other in others),
            ]
        )
    return table(
        ["ours / published", "Wh a query", "W a GPU", "", "with Fig 6's idle share", "vLLM 0.11"], lines
    )


def _design_table(design: dict[str, list[Row]]) -> str:
    lines = []
    for name, rows in design.items():
        ratios = [row.ours / row.published for row in rows]
        told = f"{min(ratios):.2f} to {max(ratios):.2f}"
        lines.append([name, str(len(rows)), str(within(rows, 0.15)), str(within(rows, 0.30)), told])
    return table(["Wh at the design points", "points", "within 15 %", "within 30 %", "ratio"], lines)
