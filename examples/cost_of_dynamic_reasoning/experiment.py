"""The experiments: each a name and a replay or more, which know nothing of each other nor of the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from examples.cost_of_dynamic_reasoning import beyond, claude_code, knee, memory, scaling, serving
from examples.cost_of_dynamic_reasoning.alone import replay_alone, without_sharing
from examples.cost_of_dynamic_reasoning.hardware import (
    FLEETS,
    NEWER,
    PROFILES,
    PROMPTS_FIRST,
    SMALL,
    VLLM_2024,
    Profile,
)
from examples.cost_of_dynamic_reasoning.pair import Pair, shape_of
from examples.cost_of_dynamic_reasoning.published import taken
from examples.cost_of_dynamic_reasoning.traces import every_pair
from examples.cost_of_dynamic_reasoning.ways import Way, ways
from examples.cost_of_dynamic_reasoning.workspace import Result, Workspace
from tracekit.analyzers.scenario import Fleet
from tracekit.shapes.shape import Shape

SERVED = (Pair("HotpotQA", "ReAct"), Pair("WebShop", "ReAct"), Pair("ShareGPT"))
SYSTEMS = {
    "ShareGPT": Pair("ShareGPT"),
    "Reflexion": Pair("HotpotQA", "Reflexion"),
    "LATS": Pair("HotpotQA", "LATS"),
}
"""Of Table III: its agents on HotpotQA."""

MOST_TIMES = 5
"""As many sessions in a what-if as in a load: it is short, and ends in an empty machine."""


class Experiment(NamedTuple):
    """What is run under which name."""

    name: str
    run: Callable[[Workspace], Result]


def experiments() -> list[Experiment]:
    """All of them, long ones first."""
    return [*_beyond(), *_batched(), *_scaling(), *_knees(), *_ways(), *_alone(), *_energy(), *_memory()]


def _alone() -> Iterator[Experiment]:
    for pair in every_pair():
        yield Experiment(f"alone/{pair.file}", partial(_run_alone, pair))


def _run_alone(pair: Pair, space: Workspace) -> Result:
    workload, choices = space.workload(pair), shape_of(pair).choices
    alone = without_sharing(workload, choices)
    return {
        "drawn": space.drawn(pair),
        "cached": replay_alone(workload, choices, SMALL, VLLM_2024).to_json(),
        "uncached": replay_alone(alone, choices, SMALL, VLLM_2024).to_json(),
        "newer": replay_alone(workload, choices, SMALL, NEWER).to_json(),
    }


def _energy() -> Iterator[Experiment]:
    for model, fleet in FLEETS.items():
        for system, pair in SYSTEMS.items():
            for profile in (VLLM_2024, NEWER):
                yield Experiment(
                    f"energy/{model}-{system}-{profile.key}", partial(_run_energy, pair, fleet, profile)
                )


def _run_energy(pair: Pair, fleet: Fleet, profile: Profile, space: Workspace) -> Result:
    return replay_alone(space.workload(pair), shape_of(pair).choices, fleet, profile).to_json()


def _knees() -> Iterator[Experiment]:
    for pair in SERVED:
        for how in ("cached", "uncached"):
            for profile in PROFILES:
                yield Experiment(
                    f"knee/{pair.benchmark}-{how}-{profile.key}", partial(_run_knee, pair, how, profile)
                )


def _run_knee(pair: Pair, how: str, profile: Profile, space: Workspace) -> Result:
    lowest_qps = taken("lowest_qps")[pair.benchmark][how]
    found = knee.find_knee(space.workload(pair), lowest_qps, how == "cached", profile, space.effort.load)
    return found.to_json()


def _ways() -> Iterator[Experiment]:
    for way in ways():
        yield Experiment(f"way/{way.key}", partial(_run_way, way))


def _run_way(way: Way, space: Workspace) -> Result:
    load = space.effort.load._replace(sessions=space.effort.load.sessions * way.times)
    workload = way.changed(space.workload_of(way.shape, f"way-{way.key}"))
    lowest_qps = taken("lowest_qps")[way.benchmark][way.how]
    return knee.find_knee(workload, lowest_qps, way.cached, PROMPTS_FIRST, load).to_json()


def _memory() -> Iterator[Experiment]:
    for benchmark, qps in taken("kv_qps").items():
        yield Experiment(f"memory/{benchmark}", partial(_run_memory, benchmark, qps))


def _run_memory(benchmark: str, qps: float, space: Workspace) -> Result:
    return memory.kv_in_use(space.workload(Pair(benchmark, "ReAct")), qps, space.effort.load)


def _batched() -> Iterator[Experiment]:
    for model, fleet in FLEETS.items():
        for system, pair in SYSTEMS.items():
            yield Experiment(f"batched/{model}-{system}", partial(_run_batched, pair, fleet))


def _run_batched(pair: Pair, fleet: Fleet, space: Workspace) -> Result:
    return serving.batched(space.workload(pair), fleet, space.load_of(shape_of(pair)))


def _scaling() -> Iterator[Experiment]:
    for name, shape in scaling.variants():
        yield Experiment(f"scaling/{name}", partial(_run_scaling, name, shape))


def _run_scaling(name: str, shape: Shape, space: Workspace) -> Result:
    workload = space.workload_of(shape, name.replace("/", "-"))
    return scaling.measured(workload, shape, space.load_of(shape))


def _beyond() -> Iterator[Experiment]:
    """On recorded sessions only where they are at hand."""
    recorded = (beyond.RECORDED,) if claude_code.session_files() else ()
    for setting in (*recorded, *beyond.SETTINGS):
        for name in beyond.WHAT_IFS:
            yield Experiment(f"beyond/{setting.name}/{name}", partial(_run_beyond, setting, name))


def _run_beyond(setting: beyond.Setting, name: str, space: Workspace) -> Result:
    if setting.pair is None:
        workload = beyond.without_long_pauses(space.recorded_workload())
    else:
        workload = space.workload(setting.pair)
    sessions = min(setting.sessions, MOST_TIMES * space.effort.load.sessions)
    seeds = beyond.SEEDS[: len(space.effort.load.seeds) + 2]
    return beyond.tried(workload, setting, beyond.WHAT_IFS[name], sessions, seeds)
