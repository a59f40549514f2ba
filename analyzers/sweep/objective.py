"""What a sweep is judged by: a column of its points, and whether little or much of it is good."""

from __future__ import annotations

from typing import NamedTuple

from tracekit.analyzers.sweep.figures import LATENCIES, STATISTICS
from tracekit.errors import SweepInvalid, UnknownName

QUALITY = "quality"


class Objective(NamedTuple):
    """One of them: its name on the command line, its column, its words, and whether more is better."""

    name: str
    column: str
    words: str
    unit: str
    is_maximised: bool = False


_LATENCY_WORDS = {
    "session": "session",
    "e2e": "call",
    "ttft": "time to first token",
    "tpot": "time per output token",
    "queue": "wait in queue",
}
OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("cost", "cost_per_session_usd", "cost of a session", "USD"),
        Objective("energy", "energy_per_session_j", "energy of a session", "J"),
        Objective("carbon", "carbon_high_per_session_g", "CO2e of a session, high", "g"),
        Objective("makespan", "makespan_s", "makespan", "s"),
        Objective("gpus", "gpus", "GPUs", "GPUs"),
        Objective(QUALITY, "score", "score", "", is_maximised=True),
        *(
            Objective(
                f"{name}_{statistic}", f"{name}_{statistic}_s", f"{_LATENCY_WORDS[name]}, {statistic}", "s"
            )
            for name in LATENCIES
            for statistic in STATISTICS
        ),
    )
}
"""By name."""
DEFAULT = "cost,session_p95,energy"


def objectives_of(text: str) -> tuple[Objective, ...]:
    """The objectives of a text such as `cost,session_p95`. Raises UnknownName, SweepInvalid."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in OBJECTIVES:
            raise UnknownName.among("objective", name, OBJECTIVES)
    if not names:
        raise SweepInvalid.no_objective()
    return tuple(OBJECTIVES[name] for name in names)
