"""The table of what-ifs."""

from __future__ import annotations

from statistics import fmean

from examples.cost_of_dynamic_reasoning.beyond import RECORDED, SETTINGS, WHAT_IFS, Setting
from examples.cost_of_dynamic_reasoning.claude_code import SOURCE
from examples.cost_of_dynamic_reasoning.comparison import number, table
from examples.cost_of_dynamic_reasoning.results import Results
from examples.cost_of_dynamic_reasoning.workspace import Result

BASE = "as it is"


def context(results: Results) -> dict[str, object]:
    """A table for each setting; of the recorded sessions None where they were missing."""
    recorded = f"beyond/{RECORDED.name}/{BASE}" in results.found
    return {
        "settings": [_setting(results, setting) for setting in SETTINGS],
        "recorded": _setting(results, RECORDED) if recorded else None,
        "source": SOURCE,
    }


def _setting(results: Results, setting: Setting) -> dict[str, object]:
    base = results[f"beyond/{setting.name}/{BASE}"]
    latency, of = ("session_p95_s", "session") if setting.pair else ("call_p95_s", "call")
    columns = {"usd": "$ a session", "wh": "Wh a session", latency: f"p95 of a {of}, s"}
    lines = []
    for name in WHAT_IFS:
        found = results[f"beyond/{setting.name}/{name}"]
        cells = [number(fmean(found[key])) if name == BASE else relative(found, base, key) for key in columns]
        lines.append([name, *cells])
    return {
        "name": setting.name,
        "qps": number(base["qps"]),
        "fleet": f"{setting.fleet.replicas} x {setting.fleet.pools[0].tp} {setting.fleet.pools[0].gpu}",
        "model": setting.fleet.pools[0].model,
        "sessions": setting.sessions,
        "refused": base["refused"],
        "table": table(["", *columns.values()], lines),
    }


def relative(found: Result, base: Result, key: str) -> str:
    """Change against the base: mean, lowest and highest over seeds, each against its own arrivals."""
    if found[key] == base[key]:
        return "no change"
    changes = [100.0 * (own / other - 1.0) for own, other in zip(found[key], base[key], strict=True)]
    return f"{fmean(changes):+.0f} % ({min(changes):+.0f} to {max(changes):+.0f})"
