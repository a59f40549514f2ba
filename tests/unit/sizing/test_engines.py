"""A sizing on threads, and on clusters that are stand-ins: the same replays with the same words, wherever they run."""

import pickle
from collections import Counter
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.sizing.loads import agents
from tests.unit.workers.stand_ins import stand_in
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.daily_profile import DailyProfile
from tracekit.analyzers.kernels.layout import CallRule
from tracekit.analyzers.sizing import horizon
from tracekit.analyzers.sizing.arriving import AtRate, OverDay
from tracekit.analyzers.sizing.basis import Load
from tracekit.analyzers.sizing.candidate import Space, candidates
from tracekit.analyzers.sizing.crew import Crew, observation_of
from tracekit.analyzers.sizing.day import DailyLoad
from tracekit.analyzers.sizing.drawn import DRAWN, Drawn
from tracekit.analyzers.sizing.replayer import Candidate, Replayer, Run
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.size import Question, size
from tracekit.analyzers.sizing.slo import parse_slos
from tracekit.analyzers.sizing.task import Recorded, observed
from tracekit.analyzers.workers.engine import engine_named
from tracekit.analyzers.workers.journal import Journal
from tracekit.analyzers.workers.local_engine import LocalEngine

SLOS = parse_slos(["session_p95<8s", "ttft_p90<1s"])
RECORDED = agents()
RATE_PER_S = 6.0
SPACE = Space(
    gpus=("H100", "L40S"),
    models=("Llama-3.1-8B",),
    tps=(1,),
    routers=("least-outstanding",),
    with_split=True,
)
DAILY = DailyLoad(DailyProfile(np.array([0.0, 8.0, 12.0]), np.array([0.02, 1.0, 0.02]), False), 0.05, 30.0)


@pytest.fixture(autouse=True)
def _short_replays(monkeypatch):
    monkeypatch.setattr(horizon, "PRECISION", 1.0)


def question(**more):
    load = Load(RECORDED, RATE_PER_S, SLOS)
    return Question(
        load, candidates(SPACE, RECORDED), most_replicas=6, replicates=20, only_verdict=True, **more
    )


def whole():
    """With headroom, sensitivity, savings and a day."""
    asked = question(daily=DAILY)
    (kind,) = (
        kind for kind in asked.candidates.kinds if kind.name.startswith("H100") and len(kind.pools) == 1
    )
    return replace(asked, only_verdict=False, existing=Candidate(kind, 3))


def said(sizing):
    """Everything that a sizing found, as text: floats in full."""
    parts = (
        sizing.scan and [(one.kind, one.replicas, one.observation) for one in sizing.scan.found],
        {name: (best.verdict.candidate, best.verdict.observations) for name, best in sizing.best.items()},
        sizing.headroom,
        sizing.front,
        sizing.savings,
        [
            (one.shift, one.same.observations, one.needed and one.needed.observations)
            for one in sizing.sensitivities
        ],
        sizing.elasticity,
        sizing.replays,
    )
    return repr(parts)


def sized(asked, engine, journal=None):
    with closing(engine):
        return said(size(asked, engine, journal))


@pytest.fixture(scope="module")
def expected():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(horizon, "PRECISION", 1.0)
        return sized(question(), LocalEngine(1))


@pytest.mark.parametrize("name", ["dask", "ray"])
def test_clusters_say_what_one_thread_says(monkeypatch, expected, name):
    cluster = stand_in(monkeypatch, name)
    assert sized(question(), engine_named(name, 2, None)) == expected
    assert cluster.arrived == 1
    assert cluster.ran > 20


class Eager(LocalEngine):
    """A thread that says it is as many workers as one likes, and remembers what it was asked for."""

    def __init__(self, workers):
        super().__init__(1)
        self.workers = workers
        self.asked = []

    def map(self, work, sent, pieces):
        self.asked.append(len(pieces))
        return super().map(work, sent, pieces)


def test_workers_that_would_stand_idle_replay_ahead_and_change_nothing(expected):
    eager = Eager(64)
    assert sized(question(), eager) == expected
    assert max(eager.asked) == 20  # all replicates of a verdict
    two = Eager(2)
    assert sized(question(), two) == expected
    assert max(two.asked) == 10
    assert sum(eager.asked) >= sum(two.asked)


def test_everything_around_the_answer_runs_there_too(monkeypatch):
    cluster = stand_in(monkeypatch, "dask")
    on_threads = sized(whole(), LocalEngine(2))
    assert "Elasticity" in on_threads
    assert "Saving" in on_threads
    assert sized(whole(), engine_named("dask", 2, None)) == on_threads
    # the recorded sessions, with tools of half and twice the time, and with each what-if that changes them
    assert 3 <= cluster.arrived <= 12


def test_a_worker_needs_numbers_alone(monkeypatch):
    sent = []

    class Listening(LocalEngine):
        def map(self, work, shared, pieces):
            sent.extend(pickle.dumps((work, shared, piece)) for piece in pieces)
            return super().map(work, shared, pieces)

    assert "Elasticity" in sized(question(daily=DAILY), Listening(1))

    def refuse(*words):
        raise AssertionError(f"a worker asks the catalog for {words}")

    for name in ("gpu", "model", "engine", "grid"):
        monkeypatch.setattr(catalog, name, refuse)
    told = Counter()
    for one in sent[:: len(sent) // 40 + 1] + sent[:3] + sent[-3:]:
        work, shared, piece = pickle.loads(one)
        work(shared, piece)
        told[work.__name__, type(getattr(piece, "release", None))] += 1
    assert set(told) == {("alone_s", type(None)), ("observed", AtRate), ("observed", OverDay)}


class CutOff(LocalEngine):
    """Threads of which the user loses patience after so many replays."""

    def __init__(self, replays=10**9):
        super().__init__(1)
        self.left, self.ran = replays, 0

    def map(self, work, sent, pieces):
        for done in super().map(work, sent, pieces):
            if work is observed:
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
                self.ran += 1
            yield done


@pytest.mark.parametrize("after", [0, 3, 25])
def test_what_was_replayed_is_not_replayed_again(tmp_path, expected, after):
    path = tmp_path / "j"
    with closing(CutOff(after)) as engine:
        cut = size(question(), engine, Journal(path))
    assert cut.is_interrupted
    assert cut.example is not None
    assert len(Journal(path).kept) == after
    going_on, at_once = CutOff(), CutOff()
    assert sized(question(), going_on, Journal(path)) == expected
    assert sized(question(), at_once) == expected
    assert going_on.ran == at_once.ran - after
    assert len(Journal(path).kept) == at_once.ran
    again = CutOff(0)
    assert sized(question(), again, Journal(path)) == expected


def test_a_day_is_kept_too(tmp_path):
    path = tmp_path / "j"
    first, again = CutOff(), CutOff(0)
    assert sized(question(daily=DAILY), first, Journal(path)) == sized(
        question(daily=DAILY), again, Journal(path)
    )


@pytest.fixture
def task():
    """One replay of a fleet of two pools."""
    tasks = []

    class Listening(LocalEngine):
        def map(self, work, sent, pieces):
            tasks.extend(pieces)
            return super().map(work, sent, pieces)

    kind = next(kind for kind in question().candidates.kinds if len(kind.pools) > 1)
    with closing(Listening(1)) as engine:
        Replayer(question().load, Crew(engine)).observe([Run(Candidate(kind, 3), Replicate(0, 7))])
    return tasks[-1]


def with_pool(task, **changes):
    first, *others = task.pools
    return task._replace(pools=(first._replace(**changes), *others))


def test_a_results_name_says_all_that_it_comes_from(task):
    pool = task.pools[0]
    others = [
        task._replace(replicate=Replicate(0, 8)),
        task._replace(replicate=Replicate(1, 7)),
        task._replace(release=task.release._replace(rate_per_s=41.0)),
        task._replace(release=task.release._replace(sessions=task.release.sessions + 1)),
        task._replace(release=task.release._replace(alone_p95_s=task.release.alone_p95_s + 1)),
        task._replace(release=OverDay.of(DAILY.profile, 0.05)),
        task._replace(release=OverDay.of(DAILY.profile, 0.06)),
        with_pool(task, cost=pool.cost._replace(base_s=pool.cost.base_s * 2)),
        with_pool(task, power=pool.power._replace(idle_w=1.0)),
        with_pool(task, usd_per_s=9.0),
        with_pool(task, table=pool.table._replace(step_s=(1.0, *pool.table.step_s[1:]))),
        with_pool(task, limits=pool.limits._replace(replicas=9)),
        with_pool(task, limits=pool.limits._replace(calls=CallRule(share=0.5))),
        task._replace(gpus=(2, 2)),
        task._replace(router=task.router + 1),
        task._replace(queue_order=1),
        task._replace(slos=SLOS[:1]),
        task._replace(slos=(*SLOS[:1], replace(SLOS[1], percent=91.0))),
    ]
    names = {one.key("recorded", "code") for one in (task, *others)}
    names |= {task.key("another", "code"), task.key("recorded", "other code")}
    assert len(names) == len(others) + 3
    assert task._replace(slos=(replace(SLOS[0], limit_s=1.0), SLOS[1])).key("r", "c") == task.key("r", "c")


def test_what_is_kept_comes_back_as_it_was(tmp_path, task):
    found = observed(Recorded.of(RECORDED), task)._replace(slo_s=(float("inf"), 1 / 3))
    Journal(tmp_path / "j").keep([("a", found._asdict())])
    (kept,) = Journal(tmp_path / "j").kept.values()
    assert repr(observation_of(kept)) == repr(found)


def test_draws_are_kept_by_all_that_they_depend_on():
    at_rate, day = AtRate(2.0, 30, 1.0), OverDay.of(DAILY.profile, 0.005)
    releases = (
        *(at_rate, at_rate._replace(rate_per_s=3.0), at_rate._replace(sessions=31)),
        *(day, day._replace(mean_per_s=0.006), day._replace(level=(1.0, 0.02, 0.02))),
    )
    of = (Recorded.of(agents(seed=3)), Recorded.of(agents(seed=4)))
    asked = [
        (recorded, Replicate(seed, number), release)
        for recorded in of
        for seed, number in ((0, 0), (0, 1), (1, 0))
        for release in releases
    ]
    DRAWN.forget()
    kept = [recorded.arriving(replicate, release) for recorded, replicate, release in asked]
    for (recorded, replicate, release), there in zip(asked, kept, strict=True):
        anew = release.workload(recorded.workload, replicate)
        np.testing.assert_array_equal(there.session_arrival_s, anew.session_arrival_s)
        np.testing.assert_array_equal(there.input_tokens, anew.input_tokens)
        assert recorded.arriving(replicate, release) is there
    nominal = of[0].arriving(Replicate(0, 0, is_nominal=True), at_rate._replace(alone_p95_s=2.0))
    assert nominal is kept[0]
    DRAWN.forget()


def test_only_so_many_steps_are_kept():
    kept, workload = Drawn(most_steps=3 * 120), RECORDED
    for key in (1, 2, 3, 1, 4):
        kept.of(key, lambda: workload)
    missed = []
    for key in (3, 1, 4, 2):
        kept.of(key, lambda key=key: missed.append(key) or workload)
    assert missed == [2]
