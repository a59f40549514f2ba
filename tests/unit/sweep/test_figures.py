"""One row a replay: the same numbers as the document of `tracekit replay`."""

import numpy as np
import pytest

from tests.unit.crafted_trace import call_row, session_row, tool_row, write_crafted
from tracekit.analyzers.kernels.prepare import pool_rows
from tracekit.analyzers.release import poisson_release
from tracekit.analyzers.replay import pools_of
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.sweep.figures import figures_of_all
from tracekit.analyzers.sweep.objective import OBJECTIVES
from tracekit.analyzers.sweep.quality import keeps_scores, session_scores
from tracekit.analyzers.sweep.task import Costs, Released, Task
from tracekit.analyzers.what_if.registry import SWITCHES
from tracekit.analyzers.what_if.replayed import replay_scenario
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.analyzers.workload import compile_workload
from tracekit.reports.document import replay_document
from tracekit.trace import Trace


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    calls = [
        call_row(1, 0, 500, input_tokens=2000, output_tokens=80),
        call_row(2, 800, 1500, parents=[3], input_tokens=3000, output_tokens=1),
        call_row(12, 100, 900, session=10, output_tokens=200),
    ]
    sessions = [session_row(0, 0, 1500, score=0.5), session_row(10, 100, 900)]
    path = write_crafted(
        tmp_path_factory.mktemp("f") / "t.parquet", calls, [tool_row(3, 500, 800, parents=[1])], sessions
    )
    return Trace.open(path)


def scenario_of(**switches):
    return Scenario(Fleet.of("H100", "Llama-3.1-8B").named(), seed=3).switched(switches)


def figures_under(trace, scenario, sessions=40):
    compiled = compile_workload(trace)
    workload, drawn = poisson_release(compiled.workload, 5.0, sessions, 1)
    scores = session_scores(trace, compiled.session_row_id)
    task = Task.of(0, scenario.fleet, scenario.changes, scenario.seed)
    released = Released(workload, scores[drawn])
    return workload, figures_of_all([released], [task])[0]


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"tools.speculative": 0.5, "replicas": 2},
        {"split": "1:2", "router": "session-affine"},
        {"replicas": 3, "min_replicas": 1, "queue_order": "least-attained", "prefix_cache": "off"},
        {"iterations": 1},
    ],
)
def test_figures_are_those_of_the_document(trace, switches):
    scenario = scenario_of(**switches)
    workload, figures = figures_under(trace, scenario)
    under = replay_scenario(workload, scenario)
    document = replay_document(under.replay, None)
    for name in ("calls", "calls_failed", "sessions", "makespan_s", "prefix_hit_fraction", "preemptions"):
        assert figures[name] == document[name], name
    for name in ("session", "e2e", "ttft", "tpot", "queue"):
        for statistic in ("mean", "p50", "p90", "p95", "p99"):
            assert figures[f"{name}_{statistic}_s"] == document[f"{name}_s"][statistic]
    assert figures["cost_usd"] == document["cost_usd"]["total"]
    assert figures["cost_per_session_usd"] == document["cost_usd"]["per_session"]
    assert figures["energy_j"] == document["energy_j"]["total"]
    assert figures["energy_per_session_j"] == document["energy_j"]["per_session"]
    assert figures["gpu_billed_s"] == document["gpu_s"]["billed"]
    assert figures["gpu_idle_fraction"] == document["gpu_s"]["idle"] / document["gpu_s"]["billed"]
    assert figures["kv_peak_fraction"] == document["kv_fraction"]["max"]
    assert figures["gpus"] == scenario.fleet.replicas
    assert figures["sessions_cut"] == under.sessions_cut
    wasted = None if under.speculation is None else under.speculation.wasted_tool_s
    assert figures["wasted_tool_s"] == wasted
    assert all(value is None or type(value) in (int, float) for value in figures.values())


def test_scores_are_of_the_drawn_sessions(trace):
    _workload, figures = figures_under(trace, scenario_of())
    assert figures["score"] == 0.5
    assert 0 < figures["sessions_scored"] < 40
    compiled = compile_workload(trace)
    scores = session_scores(trace, compiled.session_row_id)
    assert scores[0] == 0.5
    assert np.isnan(scores[1])


@pytest.mark.parametrize(
    ("switches", "holds"),
    [
        ({}, True),
        ({"replicas": 2, "tools.speculative": 0.5, "gpu": "L40S"}, True),
        ({"model": "Llama-3.2-1B"}, False),
        ({"model": "Llama-3.1-8B"}, True),  # it was so before
        ({"precision": "fp8"}, False),
        ({"few_shot": -10}, False),
        ({"kv_compression": 0.5}, False),
        ({"iterations": 1}, False),
        ({"iterations": 5}, True),  # nobody has so many rounds
    ],
)
def test_where_scores_still_hold(trace, switches, holds):
    scenario = scenario_of(**switches)
    _workload, figures = figures_under(trace, scenario)
    assert keeps_scores(scenario, figures) is holds


def test_a_result_is_named_by_all_that_it_depends_on(trace):
    workload, _figures = figures_under(trace, scenario_of())
    base = scenario_of()
    digest = Released(workload, np.zeros(40)).digest()

    def key(scenario, *, digest=digest, code="1", seed=0):
        return Task.of(0, scenario.fleet, scenario.changes, seed).key(digest, code)

    others = [
        key(base, code="2"),
        key(base, seed=1),
        key(base, digest="other"),
        *(
            key(scenario_of(**switches))
            for switches in (
                {"replicas": 2},
                {"router": "round-robin"},
                {"queue_order": "session-fcfs"},
                {"power_cap_w": 500},
                {"tools.time": 2},
                {"retention": "keep"},
                {"split": "1:1"},
                {"gpu": "L40S"},
                {"max_num_seqs": 7},
                {"tp": 2},
            )
        ),
    ]
    assert key(base) == key(scenario_of())
    assert len({key(base), *others}) == len(others) + 1
    moved = workload._replace(lag_s=workload.lag_s + 1e-9)
    assert Released(moved, np.zeros(40)).digest() != digest
    assert Released(workload, np.ones(40)).digest() != digest


@pytest.mark.parametrize(
    "switches",
    [
        {"replicas": 3, "min_replicas": 2, "startup_s": 9},
        {"max_num_seqs": 3, "max_num_batched_tokens": 999, "batching": "static"},
        {"prefix_cache": "off"},
        {"retention": "offload", "offload_gb": 7},
        {"retention": "ttl", "retention_s": 7},
        {"tp": 2, "power_cap_w": 400, "kv_compression": 0.5, "precision": "fp8"},
        {"split": "1:2", "decode.tp": 2, "prefill.gpu": "L40S"},
    ],
)
def test_costs_that_are_kept_are_those_that_a_replay_works_out(switches):
    costs = Costs()
    for fleet in (scenario_of().fleet, scenario_of(**switches).fleet, scenario_of(gpu="A100").fleet):
        kept, anew = pool_rows(costs.pools_of(fleet)), pool_rows(pools_of(fleet))
        assert kept.tobytes() == anew.tobytes()
        assert [pool.limits for pool in costs.pools_of(fleet)] == [pool.limits for pool in pools_of(fleet)]


def test_changes_are_made_once_for_tasks_in_a_row_and_anew_for_others(trace):
    workload, figures = figures_under(trace, scenario_of())
    released = [
        Released(workload, np.full(40, np.nan)),
        Released(workload._replace(lag_s=workload.lag_s + 1), np.zeros(40)),
    ]
    tasks = [
        Task.of(which, scenario_of(**switches).fleet, scenario_of(**switches).changes, seed)
        for which, switches, seed in (
            (0, {}, 0),
            (0, {"tools.speculative": 0.5}, 0),
            (0, {"tools.speculative": 0.5, "replicas": 2}, 0),
            (0, {"tools.speculative": 0.5}, 1),
            (1, {"tools.speculative": 0.5}, 1),
            (0, {}, 0),
        )
    ]
    together = figures_of_all(released, tasks)
    assert together == [figures_of_all(released, [task])[0] for task in tasks]
    assert together[0] == figures | {"score": None, "sessions_scored": 0}
    assert together[1] != together[3] != together[4]


def test_no_column_is_called_as_a_switch(trace):
    _workload, figures = figures_under(trace, scenario_of())
    assert not {*figures, "trace", "on_front", "error"} & set(SWITCHES)
    assert {objective.column for objective in OBJECTIVES.values()} - set(figures) == {
        "carbon_high_per_session_g"
    }
