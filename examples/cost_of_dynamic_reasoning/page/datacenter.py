"""Megawatts: Table IV, and what nobody printed beside it."""

from __future__ import annotations

from examples.cost_of_dynamic_reasoning.comparison import Row, number, table
from examples.cost_of_dynamic_reasoning.hardware import VLLM_2024
from examples.cost_of_dynamic_reasoning.page.energy import systems, table_wh
from examples.cost_of_dynamic_reasoning.page.targets import judged
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.results import Results
from tracekit.analyzers.catalog import facility
from tracekit.analyzers.demand import Demand
from tracekit.units import J_PER_WH

Range = tuple[float, float]


def megawatt_rows() -> list[Row]:
    """Table IV from Table III's Wh, by the formula alone."""
    rows = []
    for model, system in systems():
        session_j = judged("wh")[model][system] * J_PER_WH
        published = judged("mw")[model][system]
        for (demand, queries), mw in zip(taken("queries_per_day").items(), published, strict=True):
            rows.append(Row(f"{system}, {model}, {demand}", Demand(queries).megawatts(session_j), mw, "MW"))
    return rows


def context(results: Results) -> dict[str, str]:
    """The tables."""
    heads = ["", "by the formula", "published", "ratio"]
    return {
        "formula": table(heads, [row.cells() for row in megawatt_rows()]),
        "batched": _batched_table(results),
        "hosts": _words(host_watts()),
        "pues": _words(pue_range()),
    }


def host_watts() -> Range:
    """What a server draws besides its GPUs, by GPU: lowest and highest of the catalog."""
    watts = [host.host_w_per_gpu for host in facility.hosts()]
    return min(watts), max(watts)


def pue_range() -> Range:
    """Lowest and highest of the catalog."""
    pues = [each.pue for each in facility.pues()]
    return min(pues), max(pues)


def _batched_table(results: Results) -> str:
    lines = []
    for model, system in systems():
        found = results[f"batched/{model}-{system}"]
        alone_wh = results[f"energy/{model}-{system}-{VLLM_2024.key}"]["energy_j"] / J_PER_WH
        # Table III's requests are longer than the shapes': batching saves the same share of each
        longer = table_wh(results, model, system) / alone_wh
        wh, gpu_s = found["wh"] * longer, found["gpu_s"] * longer
        whole = facility_wh(wh, gpu_s)
        lines.append(
            [
                f"{system}, {model}",
                f"{number(alone_wh * longer)} Wh",
                f"{found['sessions_at_once']:.0f}",
                f"{number(wh)} Wh, {alone_wh / found['wh']:.0f}x less",
                f"{_words(whole)} Wh",
                *(_megawatts(Demand(queries), whole) for queries in taken("queries_per_day").values()),
            ]
        )
    demands = [f"MW, {queries / 1e6:,.4g} M a day" for queries in taken("queries_per_day").values()]
    heads = ["", "alone, GPUs", "at once", "batched, GPUs", "with server and building", *demands]
    return table(heads, lines)


def facility_wh(gpu_wh: float, gpu_s: float) -> Range:
    """With the host's watts and the building's overhead, lowest and highest of the catalog."""
    hosts, pues = host_watts(), pue_range()
    low, high = ((gpu_wh + host * gpu_s / J_PER_WH) * pue for host, pue in zip(hosts, pues, strict=True))
    return low, high


def _megawatts(demand: Demand, wh: Range) -> str:
    return _words((demand.megawatts(wh[0] * J_PER_WH), demand.megawatts(wh[1] * J_PER_WH)))


def _words(between: Range) -> str:
    return " to ".join(number(each) for each in between)
