"""The bound beside every measured figure, against power that is known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.oracle.measured_energy import Charged, attribute
from tests.property.sampled_power import Driver, Power, random_steps, sampled
from tracekit.analyzers.metering.measured import MeasuredEnergy, attributed
from tracekit.analyzers.metering.serving import Serving
from tracekit.analyzers.metering.steps import Steps

TRACES = 500
"""With a counter, and as many without one."""
PROMISE = 0.95
SERVES = [Serving(frozenset({0}), "--serves")]


def truth(power: Power, steps: Steps, span_ns: tuple[int, int]) -> Charged:
    calls = [
        {
            "row_id": int(row),
            "session_id": int(session),
            "start_ns": int(start),
            "first_token_ns": int(token),
            "end_ns": int(end),
            "served": True,
            "model": "made up",
        }
        for row, session, start, token, end in zip(
            *(getattr(steps.calls, name) for name in ("row_id", "session", "start_ns", "first_token_ns", "end_ns")),
            strict=True,
        )
    ]  # fmt: skip
    tools = [
        {"row_id": int(row), "session_id": int(session), "start_ns": int(start), "end_ns": int(end)}
        for row, session, start, end in zip(*steps.tools, strict=True)
    ]
    window = {"row_id": -1, "session_id": -1, "start_ns": steps.begin_ns, "end_ns": steps.end_ns}
    charged = Charged()

    def joules(start_ns: int, end_ns: int) -> float:
        return float(np.diff(power.joules(np.array([start_ns, end_ns]) / 1e9))[0])

    attribute(charged, joules, span_ns, calls, [*tools, window], {})
    return charged


def misses(energy: MeasuredEnergy, charged: Charged) -> list[tuple[str, float, float]]:
    """Each figure's kind, how far it is off, and its bound."""
    phases, causes = energy.phases.items(), energy.causes.items()
    told = [("phase", charged.phases[phase.name.lower()], figure) for phase, figure in phases]
    told += [("cause", charged.causes[cause.name.lower()], figure) for cause, figure in causes]
    told += [("total", sum(charged.phases.values()), energy.total)]
    found = [(kind, figure.energy_j - true_j, figure.bound_j) for kind, true_j, figure in told]
    for kind, rows, key, value in (
        ("call", energy.calls, "call_id", "energy_j"),
        ("session", energy.sessions, "session_id", "direct_j"),
    ):
        true = charged.calls if kind == "call" else charged.sessions
        found += [(kind, row[value] - true[row[key]], row["bound_j"]) for row in rows.iter_rows(named=True)]
    return [(kind, abs(off), bound) for kind, off, bound in found]


@pytest.mark.parametrize("has_counter", [True, False], ids=["counter", "watts"])
def test_the_bound_holds(has_counter: bool) -> None:
    """In at least 95 of 100 traces for the total, and in at least 95 of 100 figures of each kind."""
    random = np.random.default_rng(20)
    within: dict[str, list[bool]] = {}
    for _ in range(TRACES):
        power, driver, steps = Power.random(random), Driver.random(random), random_steps(random)
        reads = sampled(random, power, driver, has_counter=has_counter)
        energy = attributed([reads], SERVES, steps)
        charged = truth(power, steps, (int(reads.t_ns[0]), int(reads.t_ns[-1])))
        for kind, off_j, bound_j in misses(energy, charged):
            within.setdefault(kind, []).append(off_j <= bound_j + 1e-9)
    shares = {kind: float(np.mean(held)) for kind, held in within.items()}
    assert set(shares) == {"phase", "cause", "total", "call", "session"}
    assert min(shares.values()) >= PROMISE, shares


def test_the_bound_is_no_idle_talk() -> None:
    """At 20 Hz a counter's bound is a fraction of a call's joules, and it falls with the interval."""
    random = np.random.default_rng(5)
    relative: dict[float, list[float]] = {0.05: [], 0.5: []}
    for _ in range(100):
        power, steps = Power.random(random), random_steps(random)
        driver = Driver(0.1, 0.03, 0.1, 0.0, 0.0)
        for interval_s, found in relative.items():
            reads = sampled(_Fixed(interval_s), power, driver, has_counter=True)
            total = attributed([reads], SERVES, steps).total
            found.append(total.bound_j / total.energy_j)
    assert np.median(relative[0.05]) < 0.02
    assert np.median(relative[0.05]) < np.median(relative[0.5]) / 2


class _Fixed:
    """A generator that chooses this interval, without jitter."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s

    def choice(self, _values: Any) -> float:
        return self._interval_s

    def uniform(self, _low: float, _high: float, count: int) -> np.ndarray:
        return np.zeros(count)

    def random(self) -> float:
        return 1.0
