"""A workload replayed under a scenario, and what its changes did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.analyzers.kernels.layout import Ints, StepKind, Workload
from tracekit.analyzers.replay import Replay, replay_on
from tracekit.analyzers.what_if.changed import Changed, changed
from tracekit.analyzers.what_if.scenario import Scenario


@dataclass(frozen=True)
class Speculation:
    """What guessing did: tools guessed right and wrong, and how long the wrong guesses ran, all tools together."""

    hits: int
    misses: int
    wasted_tool_s: float


@dataclass(frozen=True)
class ScenarioReplay:
    """A replay and what the scenario's changes did to the workload.

    `replay.workload` is the changed one; `step` (n,) is each of its steps in the workload given. `speculation` is
    None where no tool was to be guessed.
    """

    scenario: Scenario
    replay: Replay
    step: Ints
    speculation: Speculation | None
    sessions_cut: int
    labels: tuple[str, ...]
    warnings: tuple[str, ...]


def replay_scenario(workload: Workload, scenario: Scenario) -> ScenarioReplay:
    """The workload with the scenario's changes, replayed on its fleet.

    Raises
    ------
    UnknownName, ScenarioInvalid, ModelDoesNotFit, CalibrationInvalid : a fleet that cannot be.
    """
    told = changed(workload, scenario.changes, scenario.seed)
    return ScenarioReplay(
        scenario=scenario,
        replay=replay_on(told.workload, scenario.fleet),
        step=told.step,
        speculation=_speculation(told),
        sessions_cut=told.sessions_cut,
        labels=scenario.labels,
        warnings=(*scenario.warnings, *_without_effect(workload, told, scenario)),
    )


def _speculation(told: Changed) -> Speculation | None:
    if told.is_hit is None or told.is_miss is None:
        return None
    return Speculation(
        hits=int(np.count_nonzero(told.is_hit)),
        misses=int(np.count_nonzero(told.is_miss)),
        wasted_tool_s=float(told.workload.duration_s[told.is_miss].sum()),
    )


def _without_effect(workload: Workload, told: Changed, scenario: Scenario) -> list[str]:
    """What was asked of sessions that have nothing of the kind."""
    notes = []
    changes = scenario.changes
    if changes.speculative is not None and not (np.any(told.is_hit) or np.any(told.is_miss)):
        notes.append("tools.speculative: no call asks for a tool, so nothing is guessed")
    if changes.tool_time != 1.0 and not np.any(workload.kind == StepKind.TOOL):
        notes.append("tools.time: the trace holds no tools")
    if changes.iterations is not None and not told.sessions_cut:
        notes.append("iterations: no session has more rounds, so nothing is left out")
    return notes
