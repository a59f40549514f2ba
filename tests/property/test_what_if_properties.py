"""What holds under every combination of what-ifs: time, joules, dollars and grams add up, and tokens are conserved."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle.workloads import Costs, columns, workloads
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.kernels.layout import NOBODY, StepKind
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.timeline import BILLED
from tracekit.analyzers.what_if.registry import SWITCHES
from tracekit.analyzers.what_if.replayed import replay_scenario
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.errors import TracekitError
from tracekit.reports.document import replay_document

VALUES = {
    "split": ["off", "1:1", "2:1"],
    "router": ["round-robin", "least-outstanding", "session-affine", "power-of-two", "prefix-aware"],
    "queue_order": ["fcfs", "session-fcfs", "least-attained"],
    "gpu": ["H100", "L40S", "A100-40"],
    "model": ["Llama-3.1-8B", "Qwen3-30B-A3B"],
    "precision": ["bf16", "fp8"],
    "tp": [1, 2],
    "replicas": [1, 2, 3],
    "power_cap_w": ["off", 280],
    "prefix_cache": ["on", "off"],
    "retention": ["lru", "keep", "ttl", "evict", "offload"],
    "retention_s": [0.01, 300],
    "offload_gb": [0.01, 100],
    "kv_compression": [0.25, 1, 2],
    "batching": ["continuous", "static"],
    "max_num_seqs": ["engine", 1, 2],
    "max_num_batched_tokens": ["engine", 16, 64],
    "min_replicas": ["off", 1],
    "startup_s": [0, 0.05],
    "tools.speculative": ["off", 0, 0.5, 1],
    "tools.async": ["off", "on"],
    "tools.time": [0, 0.5, 1, 3],
    "calls.parallel": ["off", "on"],
    "calls.sequential": ["off", "on"],
    "iterations": ["off", 1, 2, 3],
    "few_shot": [-50, 0, 40],
}
BASE = Scenario(Fleet.of("H100", "Llama-3.1-8B", replicas=2, kv_tokens=400).named())
any_what_if = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def test_all_switches_are_drawn():
    assert set(VALUES) == set(SWITCHES)


@st.composite
def what_ifs(draw):
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=8))
    return {name: draw(st.sampled_from(VALUES[name])) for name in names}


def possible(asked, seed=0):
    """The scenario; or None where the combination is refused, which has to say of what."""
    try:
        return Scenario(BASE.fleet, seed=seed).switched(asked)
    except TracekitError as error:
        words = str(error)
    assert any(name in words or str(value) in words for name, value in asked.items()), words
    return None


@any_what_if
@given(workloads(Costs.ANY), what_ifs(), st.integers(0, 3))
def test_everything_adds_up(work, asked, seed):
    scenario = possible(asked, seed)
    if scenario is None:
        return
    told = replay_scenario(work, scenario)
    timeline = told.replay.timeline
    assert sum(timeline.state_ns.values()) == timeline.replicas * timeline.horizon_ns
    assert sum(timeline.idle_ns.values()) == timeline.state_ns[next(s for s in BILLED if s.name == "IDLE")]
    for account, total in ((timeline.energy, timeline.total_j), (timeline.dollars, timeline.total_usd)):
        assert account.direct.sum() + account.null == pytest.approx(total, rel=1e-9, abs=1e-9)
        assert account.loaded.sum() == pytest.approx(total, rel=1e-9, abs=1e-9)
    if len(timeline.session_end_ns) and timeline.outcome.calls.size:
        document = replay_document(told.replay, None)
        kwh = document["energy_j"]["total"] / 3.6e6
        grid = catalog.grid(document["carbon_g"]["grid"])
        assert document["carbon_g"]["high"] == pytest.approx(kwh * grid.high)
        assert sum(document["energy_j"]["by_phase"].values()) == pytest.approx(document["energy_j"]["total"])


@any_what_if
@given(workloads(Costs.ANY), what_ifs())
def test_sessions_keep_what_is_not_switched(work, asked):
    scenario = possible(asked)
    if scenario is None:
        return
    told = replay_scenario(work, scenario)
    changed, step = told.replay.workload, told.step
    assert [array.dtype for array in columns(changed).values()] == [
        array.dtype for array in columns(work).values()
    ]
    assert len(changed.session_tail_s) == len(work.session_tail_s)
    assert (np.diff(step) > 0).all()
    np.testing.assert_array_equal(changed.output_tokens, work.output_tokens[step])
    np.testing.assert_array_equal(changed.session, work.session[step])
    np.testing.assert_array_equal(changed.lag_s, work.lag_s[step])
    np.testing.assert_array_equal(changed.kind, work.kind[step])
    if not scenario.changes.few_shot_tokens:
        np.testing.assert_array_equal(changed.input_tokens, work.input_tokens[step])
    if scenario.changes.iterations is None:
        assert len(step) == len(work.kind)
    parents = np.repeat(np.arange(len(changed.kind)), np.diff(changed.child_start))
    assert (parents < changed.child_index).all()
    assert (changed.session[parents] == changed.session[changed.child_index]).all()
    np.testing.assert_array_equal(
        changed.parent_count, np.bincount(changed.child_index, minlength=len(changed.kind))
    )
    known = changed.prefix_parent != NOBODY
    assert (changed.kind[changed.prefix_parent[known]] == StepKind.CALL).all()


@any_what_if
@given(workloads(Costs.ANY), what_ifs())
def test_switches_at_their_present_values_change_no_number(work, asked):
    """Twice the same what-if is once; and as it was, switched to what it is, is as it was."""
    scenario = possible(asked)
    if scenario is None:
        return
    again = scenario.switched(asked)
    assert again == scenario
    once, twice = (replay_scenario(work, one).replay for one in (scenario, again))
    for name in ("calls", "waits", "sessions", "segments"):
        np.testing.assert_array_equal(
            getattr(once.timeline.outcome, name), getattr(twice.timeline.outcome, name)
        )


@any_what_if
@given(workloads(Costs.ANY), st.floats(0, 1), st.integers(0, 5))
def test_guesses_leave_no_call_earlier_than_what_it_waited_for_before(work, probability, seed):
    """Whatever waited for a tool still starts after the steps that the tool started after."""
    told = replay_scenario(work, Scenario(BASE.fleet, seed=seed).switched({"tools.speculative": probability}))
    steps = told.replay.timeline.outcome.steps
    inner = set(work.inner_edge.tolist())
    children = [
        [(int(work.child_index[edge]), edge in inner) for edge in range(first, last)]
        for first, last in zip(work.child_start[:-1], work.child_start[1:], strict=True)
    ]
    for asking in np.flatnonzero(work.kind == StepKind.CALL):
        for through, is_inner in children[asking]:
            if is_inner or work.kind[through] != StepKind.TOOL:
                continue
            for child, starts_inside in children[through]:
                if work.kind[child] != StepKind.TOOL and not starts_inside:
                    assert steps["start_s"][child] >= steps["end_s"][asking] - 1e-12
