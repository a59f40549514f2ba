import numpy as np
from hypothesis import HealthCheck, given, settings

from tests.oracle.workloads import NEVER, TICK, Scenario, scenarios, twice_as_long
from tracekit.analyzers.kernels.layout import Cause, Outcome, State, StepCost, StepKind, Workload
from tracekit.analyzers.kernels.replay import replay
from tracekit.analyzers.timeline import Timeline

any_scenario = settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def placed(outcome: Outcome) -> np.ndarray:
    return outcome.calls[outcome.calls["replica"] >= 0]


@any_scenario
@given(scenarios())
def test_every_instant_of_every_replica_is_in_one_state(scenario: Scenario) -> None:
    outcome = replay(*scenario)
    replicas = scenario.limits.replicas
    timeline = Timeline.of(outcome)
    for replica in range(replicas):
        mine = outcome.segments["replica"] == replica
        boundaries = [0, *timeline.segment_end_ns[mine]]
        assert timeline.segment_start_ns[mine].tolist() == boundaries[:-1]
        assert boundaries[-1] == timeline.horizon_ns
        assert (timeline.segment_end_ns[mine] - timeline.segment_start_ns[mine]).sum() == timeline.horizon_ns
    assert sum(timeline.state_ns.values()) == timeline.billed_ns == replicas * timeline.horizon_ns
    assert sum(timeline.idle_ns.values()) == timeline.state_ns[State.IDLE]
    assert (np.diff(outcome.segments["replica"]) >= 0).all()


@any_scenario
@given(scenarios())
def test_shares_add_up_to_the_meter_and_to_the_bill(scenario: Scenario) -> None:
    outcome = replay(*scenario, usd_per_s=2.5 / 3600)
    timeline = Timeline.of(outcome)
    for account, total in ((timeline.energy, timeline.total_j), (timeline.dollars, timeline.total_usd)):
        assert (account.direct >= 0).all()
        np.testing.assert_allclose(account.total, total, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(account.loaded.sum(), total, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(timeline.busy_j, outcome.calls["energy_j"].sum(), rtol=1e-9, atol=1e-12)
    for cause in list(Cause)[1:-1]:
        np.testing.assert_allclose(
            outcome.sessions["idle_j"][:, cause].sum(), timeline.idle_j[cause], atol=1e-9
        )
    tools_s = outcome.steps["idle_s"][scenario.workload.kind == StepKind.TOOL].sum()
    np.testing.assert_allclose(tools_s, outcome.sessions["idle_s"][:, Cause.TOOL_WAIT].sum(), atol=1e-12)
    assert not outcome.steps["idle_s"][scenario.workload.kind != StepKind.TOOL].any()


def assert_starts_follow(work: Workload, outcome: Outcome) -> None:
    """A step starts its lag after its last edge opens; inside a call that is between two times we know."""
    steps = outcome.steps
    first_token_s = np.zeros(len(steps))
    first_token_s[outcome.calls["step"]] = outcome.calls["first_token_s"]
    parent = np.repeat(np.arange(len(steps)), np.diff(work.child_start))
    earliest, latest = steps["end_s"][parent], steps["end_s"][parent]
    inner, around = work.inner_edge, parent[work.inner_edge]
    in_call = work.kind[around] == StepKind.CALL
    told = np.maximum(1, work.output_tokens[around])
    known = [work.inner_token <= 0, work.inner_token == 1, work.inner_token >= told]
    times = [steps[name][around] for name in ("start_s", "end_s")]
    into = np.minimum(times[0] + work.inner_fraction * work.duration_s[around], times[1])
    after = np.select(known, [times[0], first_token_s[around], times[1]], first_token_s[around])
    before = np.select(known, [times[0], first_token_s[around], times[1]], times[1])
    earliest[inner] = np.where(in_call, after, into)
    latest[inner] = np.where(in_call, before, into)
    for edge_s, holds in ((earliest, np.greater_equal), (latest, np.less_equal)):
        begin = np.full(len(steps), -np.inf)
        np.maximum.at(begin, work.child_index, edge_s)
        begin = np.where(work.parent_count == 0, work.session_arrival_s[work.session], begin)
        assert holds(steps["start_s"], begin + work.lag_s).all()


@any_scenario
@given(scenarios())
def test_causality(scenario: Scenario) -> None:
    work, limits = scenario.workload, scenario.limits
    outcome = replay(*scenario)
    calls, steps = outcome.calls, outcome.steps
    assert (calls["queued_s"] <= calls["started_s"]).all()
    assert (calls["started_s"] <= calls["first_token_s"]).all()
    assert (calls["first_token_s"] <= calls["end_s"]).all()
    np.testing.assert_array_equal(steps["start_s"][calls["step"]], calls["queued_s"])
    np.testing.assert_array_equal(steps["end_s"][calls["step"]], calls["end_s"])
    assert_starts_follow(work, outcome)
    assert outcome.kv_peak_tokens <= limits.kv_capacity_tokens
    assert outcome.refused == np.count_nonzero(calls["replica"] < 0)
    assert outcome.horizon_s == outcome.sessions["end_s"].max()


@any_scenario
@given(scenarios())
def test_no_replica_idles_with_a_call_in_its_queue(scenario: Scenario) -> None:
    outcome = replay(*scenario)
    idle = outcome.segments[outcome.segments["state"] == State.IDLE]
    for call in placed(outcome):
        mine = idle[idle["replica"] == call["replica"]]
        assert not ((mine["start_s"] < call["end_s"]) & (mine["end_s"] > call["queued_s"])).any()


@any_scenario
@given(scenarios())
def test_the_same_input_gives_the_same_rows(scenario: Scenario) -> None:
    first, second = replay(*scenario), replay(*scenario)
    for table in ("calls", "waits", "sessions", "segments", "pools"):
        np.testing.assert_array_equal(getattr(first, table), getattr(second, table))
    assert first[5:] == second[5:]


@any_scenario
@given(scenarios())
def test_twice_the_times_takes_twice_the_time(scenario: Scenario) -> None:
    """Doubling is exact in floating point, so every float doubles to the last bit."""
    work = scenario.workload
    slow = scenario._replace(
        workload=work._replace(
            session_arrival_s=2 * work.session_arrival_s,
            session_tail_s=2 * work.session_tail_s,
            duration_s=2 * work.duration_s,
            lag_s=2 * work.lag_s,
        ),
        cost=StepCost(*(2 * term for term in scenario.cost)),
        power=twice_as_long(scenario.power),
    )
    fast, twice = replay(*scenario), replay(*slow)
    assert twice.horizon_s == 2 * fast.horizon_s
    assert twice.engine_steps == fast.engine_steps
    for table in ("calls", "steps", "sessions", "segments"):
        before, after = getattr(fast, table), getattr(twice, table)
        for field in before.dtype.names:
            factor = 2 if field.endswith(("_s", "_j")) else 1
            np.testing.assert_array_equal(after[field], factor * before[field], err_msg=f"{table}.{field}")


@any_scenario
@given(scenarios())
def test_tokens_in_are_tokens_computed(scenario: Scenario) -> None:
    """With one tick per token and nothing else, busy time counts the tokens that the engines computed."""
    per_token = StepCost(0.0, TICK, 0.0, TICK, 0.0, 0.0, 0.0, 0.0, 0.0)
    roomy = scenario.limits._replace(num_blocks=NEVER)  # so that nothing is computed twice
    outcome = replay(*scenario._replace(cost=per_token, limits=roomy))
    calls = placed(outcome)
    assert not calls["preemptions"].any()
    work = scenario.workload
    prompts, outputs = (
        np.maximum(1, tokens[calls["step"]]) for tokens in (work.input_tokens, work.output_tokens)
    )
    computed = (prompts + outputs - 1).sum()
    computed -= calls["cached_tokens"].sum()
    busy = outcome.segments[outcome.segments["state"] != State.IDLE]
    np.testing.assert_allclose(
        (busy["end_s"] - busy["start_s"]).sum(), computed * TICK, rtol=1e-9, atol=1e-12
    )
