"""A sweep on threads, and on clusters that are stand-ins: what they bring, in whatever order, is the same."""

import numpy as np
import pytest

from tests.unit.crafted_trace import call_row, write_crafted
from tests.unit.workers.stand_ins import stand_in
from tracekit.analyzers.release import poisson_release
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.sweep.axis import axes_of_texts
from tracekit.analyzers.sweep.grid import grid
from tracekit.analyzers.sweep.sweep import computed, plan, swept
from tracekit.analyzers.sweep.task import Released
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.analyzers.workers.engine import engine_named
from tracekit.analyzers.workers.journal import Journal
from tracekit.analyzers.workload import compile_workload
from tracekit.trace import Trace


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    path = write_crafted(
        tmp_path_factory.mktemp("e") / "t.parquet", [call_row(1, 0, 500), call_row(2, 600, 900)]
    )
    compiled = compile_workload(Trace.open(path))
    base = Scenario(Fleet.of("H100", "Llama-3.1-8B").named())
    points = grid(base, axes_of_texts(["replicas=1,2,3", "tp=1,2,3", "tools.speculative=off,0.5"])).points
    released = [
        Released(poisson_release(compiled.workload, 9.0, 30, seed)[0], np.full(30, np.nan)) for seed in (1, 2)
    ]
    return points, plan(points, [released], [1, 2])


def figures(points, planned, engine, journal=None):
    told = []
    found = computed(planned, engine, journal, lambda done, total: told.append((done, total)))
    engine.close()
    assert told[0][1] == told[-1][0] == told[-1][1] == len(planned.tasks)
    return swept(points, planned, found)


@pytest.fixture(scope="module")
def expected(planned):
    return figures(*planned, engine_named("local", 1, None))


def test_every_point_is_there_in_the_grids_order(planned, expected):
    points, _plan = planned
    assert [one.point for one in expected] == list(points)
    assert [one.figures is None for one in expected] == [point.scenario is None for point in points]
    assert sum(one.figures is None for one in expected) == 6  # tp=3 divides no heads
    one, two = (
        one for one in expected if one.point.switches["tp"] == "1" and one.point.combination in (0, 6)
    )
    assert one.figures["cost_usd"] < two.figures["cost_usd"]
    assert one.intervals["cost_usd"].low < one.figures["cost_usd"] < one.intervals["cost_usd"].high


def test_two_threads(planned, expected):
    assert figures(*planned, engine_named("local", 2, None)) == expected


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_clusters(planned, expected, monkeypatch, name):
    cluster = stand_in(monkeypatch, name)
    engine = engine_named(name, 2, None)
    assert engine.workers == 3
    assert figures(*planned, engine) == expected
    assert (cluster.arrived, cluster.is_open) == (1, False)


class _CutOff:
    """Threads of which the user loses patience after so many pieces."""

    workers = 1

    def __init__(self, pieces):
        self.pieces = pieces

    def send(self, shared):
        return shared

    def map(self, work, shared, pieces):
        for place, piece in enumerate(pieces):
            if place == self.pieces:
                raise KeyboardInterrupt
            yield place, work(shared, piece)


def test_what_is_done_is_kept_and_not_done_again(planned, expected, tmp_path):
    points, plan_ = planned
    path = tmp_path / "j"
    with pytest.raises(KeyboardInterrupt):
        computed(plan_, _CutOff(2), Journal(path), lambda done, total: None)
    kept = Journal(path)
    kept_before, seen = len(kept.kept), []
    assert 0 < kept_before < len(plan_.tasks)

    class Counting(_CutOff):
        def map(self, work, shared, pieces):
            seen.extend(task for piece in pieces for task in piece)
            return super().map(work, shared, pieces)

        def close(self):
            pass

    assert figures(points, plan_, Counting(10**6), kept) == expected
    assert len(seen) == len(plan_.tasks) - kept_before
    assert set(Journal(path).kept) == set(plan_.tasks)
    nothing = Counting(0)
    seen.clear()
    assert figures(points, plan_, nothing, Journal(path)) == expected
    assert seen == []


def test_what_a_worker_raises_is_raised(planned):
    _points, plan_ = planned
    broken = plan_._replace(tasks={"x": next(iter(plan_.tasks.values()))._replace(released=9)})
    engine = engine_named("local", 2, None)
    with pytest.raises(IndexError):
        computed(broken, engine, None, lambda done, total: None)
    engine.close()
