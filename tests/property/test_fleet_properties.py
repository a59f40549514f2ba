"""What holds of any fleet of pools, whatever its routers, queues, roles and prices."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.fleets import FleetScenario, fleet_crowd, fleet_scenarios, for_undrawn_calls
from tests.oracle.workloads import NEVER, TICK, twice_as_long
from tracekit.analyzers.kernels.layout import (
    ANY_CALL,
    Batching,
    Cause,
    Outcome,
    Pool,
    Role,
    Router,
    Rows,
    State,
    StepCost,
    StepKind,
    TokenTable,
)
from tracekit.analyzers.kernels.replay import replay_pools

any_fleet = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def pools_of_replicas(scenario: FleetScenario) -> list[Pool]:
    """Return the pool of each replica: those for some calls first, by the order of their rules, decoders last."""
    rules = [pool.limits.calls for pool in scenario.pools if pool.limits.calls != ANY_CALL] + [ANY_CALL]
    ordered = sorted(
        scenario.pools,
        key=lambda pool: (pool.limits.role == Role.DECODE, rules.index(pool.limits.calls)),
    )
    return [pool for pool in ordered for _ in range(pool.limits.replicas)]


def lengths(rows: Rows) -> np.ndarray:
    return rows["end_s"] - rows["start_s"]


def is_busy(rows: Rows) -> np.ndarray:
    return np.isin(rows["state"], [State.PREFILL, State.DECODE, State.MIXED])


def of_replica(scenario: FleetScenario, rows: Rows, quantity: str) -> np.ndarray:
    """Return a number of the pool of each row's replica."""
    numbers = {
        "usd_per_s": [pool.usd_per_s for pool in pools_of_replicas(scenario)],
        "idle_w": [pool.power.idle_w for pool in pools_of_replicas(scenario)],
    }[quantity]
    return np.array(numbers)[rows["replica"]]


@any_fleet
@given(fleet_scenarios())
def test_every_instant_of_every_replica_is_in_one_state(scenario: FleetScenario) -> None:
    outcome = replay_pools(*scenario)
    for replica in range(len(pools_of_replicas(scenario))):
        rows = outcome.segments[outcome.segments["replica"] == replica]
        boundaries = [0.0, *rows["end_s"]]
        assert rows["start_s"].tolist() == boundaries[:-1]
        assert boundaries[-1] == outcome.horizon_s
        assert (lengths(rows) >= 0).all()
    assert ((outcome.segments["state"] == State.IDLE) == (outcome.segments["cause"] != Cause.NONE)).all()


@any_fleet
@given(fleet_scenarios())
def test_only_elastic_pools_have_replicas_that_are_off(scenario: FleetScenario) -> None:
    outcome = replay_pools(*scenario)
    starts = np.unique(outcome.segments["start_s"])
    for number, pool in enumerate(outcome.pools):
        mine = np.isin(
            outcome.segments["replica"], pool["first_replica"] + np.arange(pool["replicas"])
        ) & np.isin(outcome.segments["state"], [State.OFF, State.STARTING])
        away = outcome.segments[mine & (lengths(outcome.segments) > 0)]
        most = pool["replicas"] - pool["min_replicas"] if pool["min_replicas"] else 0
        for at_s in starts:
            not_on = (away["start_s"] <= at_s) & (at_s < away["end_s"])
            assert np.count_nonzero(not_on) <= most, number


@any_fleet
@given(fleet_scenarios())
def test_seconds_joules_and_dollars_add_up(scenario: FleetScenario) -> None:
    outcome = replay_pools(*scenario)
    calls, sessions, rows = outcome.calls, outcome.sessions, outcome.segments
    close = {"rtol": 1e-9, "atol": 1e-9}
    busy, off = is_busy(rows), rows["state"] == State.OFF
    rest = rows[~busy & ~off]
    usd = lengths(rows) * of_replica(scenario, rows, "usd_per_s")
    np.testing.assert_allclose(calls["busy_s"].sum(), lengths(rows[busy]).sum(), **close)
    np.testing.assert_allclose(calls["energy_j"].sum(), rows["energy_j"][busy].sum(), **close)
    np.testing.assert_allclose(calls["busy_usd"].sum(), usd[busy].sum(), **close)
    np.testing.assert_allclose(sessions["idle_s"].sum() + outcome.null_idle_s, lengths(rest).sum(), **close)
    np.testing.assert_allclose(
        sessions["idle_j"].sum() + outcome.null_idle_j, rest["energy_j"].sum(), **close
    )
    np.testing.assert_allclose(
        sessions["idle_usd"].sum() + outcome.null_idle_usd, usd[~busy & ~off].sum(), **close
    )
    np.testing.assert_allclose(
        rest["energy_j"], lengths(rest) * of_replica(scenario, rest, "idle_w"), rtol=1e-9, atol=1e-9
    )
    assert not rows["energy_j"][off].any()


@any_fleet
@given(fleet_scenarios())
def test_idleness_has_a_cause_and_the_cause_an_owner(scenario: FleetScenario) -> None:
    outcome = replay_pools(*scenario)
    rows = outcome.segments
    idle = rows[rows["state"] == State.IDLE]
    for cause in list(Cause)[1:-1]:
        mine = idle[idle["cause"] == cause]
        for told, wanted in (("idle_s", lengths(mine)), ("idle_j", mine["energy_j"])):
            np.testing.assert_allclose(outcome.sessions[told][:, cause].sum(), wanted.sum(), atol=1e-9)
    assert not outcome.sessions["idle_s"][:, Cause.NO_DEMAND].any()
    is_tool = scenario.workload.kind[scenario.workload.kind != StepKind.CALL] == StepKind.TOOL
    for quantity in ("idle_s", "idle_j"):
        tools = outcome.waits[quantity][is_tool].sum()
        np.testing.assert_allclose(tools, outcome.sessions[quantity][:, Cause.TOOL_WAIT].sum(), atol=1e-9)
        assert not outcome.waits[quantity][~is_tool].any()


@any_fleet
@given(fleet_scenarios())
def test_no_replica_idles_with_a_call_in_its_queue(scenario: FleetScenario) -> None:
    """Where it is placed in tier 0 until its first token, and where it decodes from the arrival of its KV."""
    outcome = replay_pools(*scenario)
    rest = outcome.segments[~is_busy(outcome.segments)]
    pools = pools_of_replicas(scenario)
    for call in outcome.calls[outcome.calls["replica"] >= 0]:
        moves = call["decode_replica"] != call["replica"]
        until_s = call["first_token_s"] if moves else call["end_s"]
        present = [(call["replica"], call["queued_s"], until_s)]
        if moves:
            limits = pools[call["decode_replica"]].limits
            prompt = max(1, int(scenario.workload.input_tokens[call["step"]]))
            come_s = call["first_token_s"] + (limits.transfer_s + prompt * limits.transfer_token_s)
            present.append((call["decode_replica"], come_s, call["end_s"]))
        for replica, from_s, until_s in present:
            mine = rest[rest["replica"] == replica]
            assert not ((mine["start_s"] < until_s) & (mine["end_s"] > from_s)).any()


@any_fleet
@given(fleet_scenarios())
def test_calls_go_where_they_can_be_held_and_in_time(scenario: FleetScenario) -> None:
    outcome = replay_pools(*scenario)
    calls = outcome.calls
    assert (calls["queued_s"] <= calls["started_s"]).all()
    assert (calls["started_s"] <= calls["first_token_s"]).all()
    assert (calls["first_token_s"] <= calls["end_s"]).all()
    pools = pools_of_replicas(scenario)
    for call in calls[calls["replica"] >= 0]:
        prompt = max(1, int(scenario.workload.input_tokens[call["step"]]))
        output = max(1, int(scenario.workload.output_tokens[call["step"]]))
        for replica in (call["replica"], call["decode_replica"]):
            limits = pools[replica].limits
            assert prompt + output <= limits.max_model_len
            assert prompt + output - 1 <= limits.kv_capacity_tokens
        prefills = pools[call["replica"]].limits
        decodes = pools[call["decode_replica"]].limits
        moves = prefills.role == Role.PREFILL and output > 1
        assert moves == (call["decode_replica"] != call["replica"])
        assert decodes.role == (Role.DECODE if moves else prefills.role)
        if moves:
            come_s = call["first_token_s"] + decodes.transfer_s + prompt * decodes.transfer_token_s
            assert call["end_s"] >= come_s - 1e-12
    assert outcome.refused == np.count_nonzero(calls["replica"] < 0)
    assert outcome.horizon_s == outcome.sessions["end_s"].max()


@any_fleet
@given(fleet_scenarios())
def test_tokens_in_are_tokens_computed(scenario: FleetScenario) -> None:
    """With one tick per token and nothing else, busy time counts the tokens that the engines computed."""
    per_token = StepCost(0.0, TICK, 0.0, TICK, 0.0, 0.0, 0.0, 0.0, 0.0)
    roomy = [
        pool._replace(
            cost=per_token,
            limits=pool.limits._replace(num_blocks=NEVER),  # nothing is computed twice
            table=TokenTable(),
        )
        for pool in scenario.pools
    ]
    outcome = replay_pools(*scenario._replace(pools=roomy))
    calls = outcome.calls[outcome.calls["replica"] >= 0]
    assert not calls["preemptions"].any()
    work = scenario.workload
    prompts, outputs = (
        np.maximum(1, tokens[calls["step"]]) for tokens in (work.input_tokens, work.output_tokens)
    )
    computed = (prompts + outputs - 1 - calls["cached_tokens"]).sum()
    busy_s = lengths(outcome.segments[is_busy(outcome.segments)]).sum()
    np.testing.assert_allclose(busy_s, computed * TICK, rtol=1e-9, atol=1e-12)


@any_fleet
@given(fleet_scenarios())
def test_the_same_input_gives_the_same_rows(scenario: FleetScenario) -> None:
    first, second = replay_pools(*scenario), replay_pools(*scenario)
    for table in ("calls", "waits", "sessions", "segments", "pools"):
        np.testing.assert_array_equal(getattr(first, table), getattr(second, table))
    assert first[5:] == second[5:]


def twice_as_slow(pool: Pool) -> Pool:
    limits = pool.limits
    slow = {name: 2 * value for name, value in limits._asdict().items() if name.endswith("_s")}
    return pool._replace(
        cost=StepCost(*(2 * term for term in pool.cost)),
        power=twice_as_long(pool.power),
        limits=limits._replace(**slow),
        table=TokenTable(*(tuple(2 * term for term in terms) for terms in pool.table)),
    )


@any_fleet
@given(fleet_scenarios())
def test_twice_the_times_takes_twice_the_time(scenario: FleetScenario) -> None:
    """Doubling is exact in floating point, so every float doubles to the last bit."""
    work = scenario.workload
    slow = scenario._replace(
        workload=work._replace(
            session_arrival_s=2 * work.session_arrival_s,
            session_tail_s=2 * work.session_tail_s,
            duration_s=2 * work.duration_s,
            lag_s=2 * work.lag_s,
        ),
        pools=[twice_as_slow(pool) for pool in scenario.pools],
    )
    fast, twice = replay_pools(*scenario), replay_pools(*slow)
    assert twice.horizon_s == 2 * fast.horizon_s
    for table in ("calls", "waits", "sessions", "segments"):
        before, after = getattr(fast, table), getattr(twice, table)
        for field in before.dtype.names:
            factor = 2 if field.endswith(("_s", "_j", "_usd")) else 1
            np.testing.assert_array_equal(after[field], factor * before[field], err_msg=f"{table}.{field}")


@pytest.mark.parametrize("seed", range(1, 13))
def test_the_order_of_sessions_changes_nothing(seed: int) -> None:
    """Where nothing is drawn by number, and no two events fall on one instant: in seed 0 two prompts end in a step."""
    scenario = fleet_crowd(seed)
    if scenario.router == Router.POWER_OF_TWO:
        scenario = scenario._replace(router=int(Router.LEAST_OUTSTANDING))
    scenario = scenario._replace(pools=[for_undrawn_calls(pool) for pool in scenario.pools])
    order = np.random.default_rng(seed).permutation(scenario.workload.session_arrival_s.size)
    permuted, step_of = with_sessions_in(order, scenario)
    before, after = replay_pools(*scenario), replay_pools(*permuted)
    assert_same_sessions(before, after, order, step_of)


def with_sessions_in(order: np.ndarray, scenario: FleetScenario) -> tuple[FleetScenario, np.ndarray]:
    """Return the same with sessions in another order, and where each of its steps was before."""
    work = scenario.workload
    starts = work.session_step_start
    was = np.concatenate([np.arange(starts[session], starts[session + 1]) for session in order])
    now = np.argsort(was)
    edges = np.concatenate([np.arange(work.child_start[step], work.child_start[step + 1]) for step in was])
    counts = np.diff(work.child_start)[was]
    place = np.searchsorted(work.inner_edge, edges)
    is_inner = np.isin(edges, work.inner_edge)
    parent = work.prefix_parent[was]
    moved = work._replace(
        session_arrival_s=work.session_arrival_s[order],
        session_tail_s=work.session_tail_s[order],
        session_step_start=np.concatenate([[0], np.cumsum(np.diff(starts)[order])]),
        session=np.argsort(order)[work.session[was]],
        child_start=np.cumsum([0, *counts]),
        child_index=now[work.child_index[edges]],
        inner_edge=np.flatnonzero(is_inner),
        inner_token=work.inner_token[place[is_inner]],
        inner_fraction=work.inner_fraction[place[is_inner]],
        prefix_parent=np.where(parent < 0, parent, now[parent]),
        **{
            name: getattr(work, name)[was]
            for name in (
                "kind",
                "input_tokens",
                "output_tokens",
                "duration_s",
                "lag_s",
                "parent_count",
                "prefix_tokens",
                "model",
            )
        },
    )
    return scenario._replace(workload=moved), was


def assert_same_sessions(before: Outcome, after: Outcome, order: np.ndarray, step_of: np.ndarray) -> None:
    calls = after.calls[np.argsort(step_of[after.calls["step"]])]
    for field in before.calls.dtype.names:
        if field not in ("step", "session"):
            np.testing.assert_allclose(calls[field], before.calls[field], rtol=1e-9, atol=1e-9, err_msg=field)
    for field in before.sessions.dtype.names:
        np.testing.assert_allclose(
            after.sessions[field], before.sessions[field][order], rtol=1e-9, atol=1e-9, err_msg=field
        )
    np.testing.assert_array_equal(after.segments["state"], before.segments["state"])


@pytest.mark.parametrize("seed", range(6))
def test_one_pool_in_two_is_one_pool(seed: int) -> None:
    """Equal pools side by side are one, unless it grows and shrinks."""
    scenario = fleet_crowd(seed)
    whole = scenario.pools[0].limits._replace(
        replicas=3, role=Role.BOTH, min_replicas=0, batching=Batching.CONTINUOUS
    )
    parts = [scenario.pools[0]._replace(limits=whole._replace(replicas=replicas)) for replicas in (1, 2)]
    one = replay_pools(*scenario._replace(pools=[scenario.pools[0]._replace(limits=whole)]))
    two = replay_pools(*scenario._replace(pools=parts))
    for table in ("calls", "waits", "sessions", "segments"):
        np.testing.assert_array_equal(getattr(one, table), getattr(two, table))
