"""A sweep: every point of a grid on every trace and seed, each replayed once, wherever its replays run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.catalog.grid import Grid as PowerGrid
from tracekit.analyzers.sweep.figures import Figures, figures_of_all
from tracekit.analyzers.sweep.grid import Point
from tracekit.analyzers.sweep.interval import Interval, intervals, mean_figures
from tracekit.analyzers.sweep.quality import keeps_scores
from tracekit.analyzers.sweep.task import Costs, Released, Task
from tracekit.analyzers.workers.code import computer
from tracekit.analyzers.workers.engine import Engine
from tracekit.analyzers.workers.journal import Journal
from tracekit.units import J_PER_WH

Tell = Callable[[int, int], None]
CALLS_PER_PIECE = 100_000
LARGEST_PIECE = 16
PIECES_PER_WORKER = 4


class Swept(NamedTuple):
    """One point on one trace: the mean figures over the seeds with their intervals, or why there are none."""

    trace: int
    point: Point
    figures: Figures | None
    intervals: dict[str, Interval]


class Plan(NamedTuple):
    """What is to be replayed: each task by the name of its result, and the names that make up each point.

    `released` is by trace, then seed; `names` by trace, then point, one a seed; none of a point that cannot be.
    """

    released: list[Released]
    tasks: dict[str, Task]
    names: list[list[list[str]]]


def plan(points: Sequence[Point], released: Sequence[Sequence[Released]], seeds: Sequence[int]) -> Plan:
    """The replays of the points; what comes out the same by its numbers is one task, whatever it is called.

    `released` has for each trace its workload under each of the seeds.
    """
    flat = [one for of_trace in released for one in of_trace]
    digests = [one.digest() for one in flat]
    code = computer()
    tasks: dict[str, Task] = {}
    costs = Costs()
    names: list[list[list[str]]] = [[[] for _point in points] for _trace in released]
    for place, point in enumerate(points):
        if point.scenario is None:
            continue
        fleet = Task.of(0, point.scenario.fleet, point.scenario.changes, 0, costs)
        for trace, of_trace in enumerate(names):
            for index, seed in enumerate(seeds):
                which = trace * len(seeds) + index
                task = fleet._replace(released=which, seed=seed if _draws(point) else 0)
                name = task.key(digests[which], code)
                tasks.setdefault(name, task)
                of_trace[place].append(name)
    return Plan(flat, tasks, names)


def _draws(point: Point) -> bool:
    """Whether anything beside arrivals depends on the seed."""
    return point.scenario is not None and point.scenario.changes.speculative is not None


def computed(planned: Plan, engine: Engine, journal: Journal | None, tell: Tell) -> dict[str, Figures]:
    """The figures of every task by name: those that the journal has, and the others as the engine brings them.

    `tell` is told how many of how many are done. What is done is in the journal when an exception goes through here.
    """
    found = (
        {}
        if journal is None
        else {name: journal.kept[name] for name in planned.tasks if name in journal.kept}
    )
    # sessions that are changed alike come to the same worker, who changes them once
    missing = sorted(
        (name for name in planned.tasks if name not in found), key=lambda name: planned.tasks[name].sessions
    )
    tell(len(found), len(planned.tasks))
    pieces = list(_pieces(missing, _piece_size(planned, len(missing), engine.workers)))
    work = [[planned.tasks[name] for name in piece] for piece in pieces]
    if not work:
        return found
    with closing(engine.map(figures_of_all, engine.send(planned.released), work)) as arriving:
        for place, figures in arriving:
            done = dict(zip(pieces[place], figures, strict=True))
            if journal is not None:
                journal.keep(done.items())
            found |= done
            tell(len(found), len(planned.tasks))
    return found


def _piece_size(planned: Plan, tasks: int, workers: int) -> int:
    """How many replays go to a worker at once: few enough that little is lost and nobody waits long for the last."""
    calls = max(len(one.workload.kind) for one in planned.released)
    return max(1, min(LARGEST_PIECE, CALLS_PER_PIECE // calls, tasks // (PIECES_PER_WORKER * workers)))


def _pieces(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), size):
        yield names[start : start + size]


def swept(points: Sequence[Point], planned: Plan, found: dict[str, Figures]) -> list[Swept]:
    """Every point on every trace, in the order of the traces, then of the grid."""
    power_grid = catalog.grid(catalog.DEFAULT_GRID)
    told = []
    for trace, of_trace in enumerate(planned.names):
        for point, names in zip(points, of_trace, strict=True):
            if point.scenario is None:
                told.append(Swept(trace, point, None, {}))
                continue
            of_seeds = [_completed(found[name], point, power_grid) for name in names]
            told.append(Swept(trace, point, mean_figures(of_seeds), intervals(of_seeds)))
    return told


def _completed(figures: Figures, point: Point, power_grid: PowerGrid) -> Figures:
    """With grams of CO2e by the grid's range, and without a score that no longer holds."""
    energy_j = figures["energy_per_session_j"]
    assert energy_j is not None
    assert point.scenario is not None
    kwh = energy_j / J_PER_WH / 1000
    carbon: Figures = {
        "carbon_low_per_session_g": kwh * power_grid.low,
        "carbon_high_per_session_g": kwh * power_grid.high,
    }
    score = {} if keeps_scores(point.scenario, figures) else {"score": None, "sessions_scored": 0}
    return figures | carbon | score
