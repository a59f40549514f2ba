"""Random fleets of several pools, for random workloads, and what of it all comes up in a replay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from tests.oracle.workloads import (
    BUSY_COST,
    EXPERTS,
    FLAT,
    Costs,
    busy_limits,
    busy_workload,
    costs,
    roofy,
    seconds_in,
    tight_limits,
    workloads,
)
from tracekit.analyzers.kernels.layout import (
    ANY_CALL,
    BLOCK_TOKENS,
    MANY_TOKENS,
    Batching,
    CallRule,
    Cause,
    FleetLimits,
    Outcome,
    Pool,
    QueueOrder,
    Retention,
    Role,
    Router,
    State,
    StepCost,
    StepKind,
    TokenTable,
    Workload,
)

MODELS = ("large", "small")
INNER_PARENTS = ("call", "tool", "preempted call")


class FleetScenario(NamedTuple):
    workload: Workload
    pools: list[Pool]
    router: int
    queue_order: int
    seed: int


def is_split(scenario: FleetScenario) -> bool:
    return any(pool.limits.role == Role.DECODE for pool in scenario.pools)


@st.composite
def call_rules(draw: st.DrawFn) -> CallRule:
    """Rules that random calls may meet or not."""
    told = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "models": st.sampled_from([("small",), ("small", "large")]),
                "input_tokens": st.sampled_from([(0, 20), (21, MANY_TOKENS), (10, 60)]),
                "output_tokens": st.sampled_from([(0, 1), (2, MANY_TOKENS), (0, 5)]),
                "share": st.sampled_from([0.3, 0.7]),
            },
        ).filter(bool)
    )
    return CallRule(**told)


@st.composite
def lane_roles(draw: st.DrawFn, most: int) -> list[Role]:
    """The roles of up to so many pools for each part of a call."""
    some = st.integers(1, most)
    if draw(st.booleans()):
        return [Role.BOTH] * draw(some)
    return [Role.PREFILL] * draw(some) + [Role.DECODE] * draw(some)


@st.composite
def pools(draw: st.DrawFn, role: Role, kind: Costs, rule: CallRule) -> Pool:
    room = draw(tight_limits(3))
    seconds = seconds_in(kind)
    is_elastic = draw(st.booleans())
    room = room._replace(
        role=int(role),
        retention=int(draw(st.sampled_from(list(Retention)))),
        retention_s=draw(seconds),
        transfer_s=draw(seconds) if role == Role.DECODE else 0.0,
        transfer_token_s=draw(seconds) / 64 if role == Role.DECODE else 0.0,
        min_replicas=draw(st.integers(1, room.replicas)) if is_elastic else 0,
        startup_s=draw(seconds) if is_elastic else 0.0,
        scale_up_calls=draw(st.sampled_from([0, 1, 2])) if is_elastic else 0,
        scale_down_s=draw(seconds) if is_elastic else 0.0,
        calls=rule,
    )
    batching = draw(st.sampled_from([Batching.CONTINUOUS, *Batching]))
    room = batched(room, batching, draw(st.sampled_from([80, 128, 500])))
    cost = draw(costs(kind))
    power = draw(st.sampled_from([FLAT, roofy(cost)]))._replace(idle_w=draw(st.sampled_from([60.0, 100.0])))
    usd_per_s = draw(st.sampled_from([0.0, 1e-3, 0.25]))
    return Pool(cost, power, room, usd_per_s, draw(st.sampled_from([TokenTable(), EXPERTS])))


@st.composite
def fleet_scenarios(draw: st.DrawFn) -> FleetScenario:
    """Up to 7 sessions on up to 4 pools; half of them in ticks, so that many events coincide."""
    kind = draw(st.sampled_from(list(Costs)))
    workload = draw(workloads(kind))
    models = draw(st.lists(st.integers(-1, 1), min_size=len(workload.kind), max_size=len(workload.kind)))
    rules = draw(st.lists(call_rules(), max_size=2, unique=True))
    told = [(role, rule) for rule in [*rules, ANY_CALL] for role in draw(lane_roles(2 - bool(rules)))]
    return FleetScenario(
        workload._replace(model=np.array(models, np.int32), models=MODELS),
        [draw(pools(role, kind, rule)) for role, rule in draw(st.permutations(told))],
        int(draw(st.sampled_from(list(Router)))),
        int(draw(st.sampled_from(list(QueueOrder)))),
        draw(st.integers(0, 2**40)),
    )


def fleet_crowd(seed: int, sessions: int = 25) -> FleetScenario:
    """Return many agents on one or two pools a tier, seeded; queues form and pools grow and shrink.

    Routers and splits take turns by seed, and every third has pools for some of the calls; the rest is drawn.
    """
    draw = np.random.default_rng([seed, 1])
    workload = busy_workload(draw, sessions)
    pools_each = int(draw.integers(1, 3))
    roles = [Role.BOTH] if seed // len(Router) % 2 else [Role.DECODE, Role.PREFILL]
    pools = [a_pool(draw, role) for _ in range(pools_each) for role in roles]
    queue_order, draws = int(draw.integers(len(QueueOrder))), int(draw.integers(2**60))
    models = draw.integers(-1, len(MODELS), len(workload.kind))
    if seed % 3 == 0:
        rule = SOME_CALLS[seed // 3 % len(SOME_CALLS)]
        role = [Role.BOTH] if draw.random() < 0.7 else [Role.PREFILL, Role.DECODE]
        pools += [a_pool(draw, part, rule) for part in role]
    return FleetScenario(
        workload._replace(model=models.astype(np.int32), models=MODELS),
        pools,
        seed % len(Router),
        queue_order,
        draws,
    )


SOME_CALLS = (
    CallRule(models=("small",)),
    CallRule(output_tokens=(0, 12)),
    CallRule(input_tokens=(100, MANY_TOKENS), share=0.6),
    CallRule(share=0.4),
)


def a_pool(draw: np.random.Generator, role: Role, rule: CallRule = ANY_CALL) -> Pool:
    replicas = int(draw.integers(1, 4))
    is_elastic = draw.random() < 0.5
    room = busy_limits(draw, replicas)._replace(
        role=int(role),
        retention=int(draw.integers(len(Retention))),
        retention_s=float(draw.choice([0.0, 0.02, 0.1, 0.5])),
        transfer_s=float(draw.choice([0.0, 0.003, 0.2])),
        transfer_token_s=float(draw.choice([0.0, 1e-5, 2e-3])),
        min_replicas=int(draw.integers(1, replicas + 1)) if is_elastic else 0,
        startup_s=float(draw.choice([0.0, 0.05, 0.4])),
        scale_up_calls=int(draw.integers(0, 5)),
        scale_down_s=float(draw.choice([0.0, 0.02, 0.3])),
        calls=rule,
    )
    batching = Batching(draw.choice(list(Batching), p=[0.5, 0.2, 0.3]))
    room = batched(room, batching, int(draw.choice([205, 500])))
    speed = float(draw.choice([1.0, 0.6, 2.3]))
    cost = StepCost(*(speed * term for term in BUSY_COST))
    power = roofy(cost, float(draw.choice([50.0, 90.0, 130.0])))
    usd_per_s = float(draw.choice([1e-3, 2e-3]))
    return Pool(cost, power, room, usd_per_s, TokenTable() if draw.random() < 0.5 else EXPERTS)


def for_undrawn_calls(pool: Pool) -> Pool:
    """Return the pool with a rule that needs no draw."""
    rule = pool.limits.calls
    if rule.share < 1.0:
        rule = CallRule(input_tokens=(0, 100))
    return pool._replace(limits=pool.limits._replace(calls=rule))


def batched(limits: FleetLimits, batching: Batching, slot_tokens: int) -> FleetLimits:
    """Return the same with that batching; slots have room for so many tokens each."""
    if batching != Batching.SLOTS:
        return limits._replace(batching=int(batching))
    return limits._replace(
        batching=int(batching),
        max_model_len=slot_tokens,
        num_blocks=limits.max_num_seqs * -(-slot_tokens // BLOCK_TOKENS),
    )


CALLS_REPLICAS = ("replica", "decode_replica")


def features(scenario: FleetScenario, outcome: Outcome) -> set[str]:
    """Return what has come up in a replay."""
    calls, segments = outcome.calls, outcome.segments
    is_call = scenario.workload.kind == StepKind.CALL
    is_single = np.maximum(1, scenario.workload.output_tokens[is_call]) == 1
    limits = [pool.limits for pool in scenario.pools]
    prices = {(pool.usd_per_s, pool.power.idle_w) for pool in scenario.pools}
    split = "split" if is_split(scenario) else "both"
    states = set(segments["state"])
    is_moved = calls["decode_replica"] != calls["replica"]
    served = calls[calls["replica"] >= 0]
    places = np.repeat(np.arange(outcome.pools.size), outcome.pools["replicas"])
    lanes = outcome.pools["tier"][places[served["replica"]]]
    by_session = [np.unique(lanes[served["session"] == session]).size for session in set(served["session"])]
    is_cached = served["cached_tokens"] > 0
    held = ("refused", bool(outcome.refused)), ("served", outcome.refused < calls.size)
    told = {
        split: True,
        **inner_features(scenario.workload, outcome, split),
        f"{split} pools": len(limits) > (2 if is_split(scenario) else 1),
        f"router {Router(scenario.router).name} {split}": calls.size > 3,
        f"order {QueueOrder(scenario.queue_order).name}": bool(
            (calls["started_s"] > calls["queued_s"]).any()
        ),
        "a session in two lanes": max(by_session, default=0) > 1,
        **{f"for {part}": is_told for part, is_told in rule_features(scenario).items()},
        "prices differ": len(prices) > 1,
        "static": any(pool.batching == Batching.STATIC for pool in limits),
        "moved": bool(is_moved.any()),
        "ended at prefill": is_split(scenario) and bool((is_single & (calls["replica"] >= 0)).any()),
        "preempted": bool(calls["preemptions"].any()),
        "preempted after moving": bool((calls["preemptions"][is_moved] > 0).any()),
        "cached": bool(calls["cached_tokens"].any()),
        **{
            f"cached by {kind.name} {where}": bool(
                (is_cached & (outcome.pools[row][places[served[where]]] == kind)).any()
            )
            for where in CALLS_REPLICAS
            for row, kinds in (("retention", Retention), ("batching", Batching))
            for kind in kinds
        },
        "evicted": outcome.evicted_blocks > 0,
        "started": State.STARTING in states,
        "switched off": bool((segments["state"][1:] == State.OFF)[np.diff(segments["replica"]) == 0].any()),
        **dict(held),
        **{f"idle {cause.name}": cause in segments["cause"] for cause in Cause if cause != Cause.NONE},
    }
    return {name for name, has_come_up in told.items() if has_come_up}


def rule_features(scenario: FleetScenario) -> dict[str, bool]:
    """Return what the pools' rules speak of, and whether those of a rule split its calls."""
    limits = [pool.limits for pool in scenario.pools if pool.limits.calls != ANY_CALL]
    told = {
        name: any(getattr(pool.calls, name) != getattr(ANY_CALL, name) for pool in limits)
        for name in CallRule._fields
    }
    return {**told, "some, split": any(pool.role == Role.DECODE for pool in limits)}


def inner_features(workload: Workload, outcome: Outcome, split: str) -> dict[str, bool]:
    """Return whether steps did start inside their parents, before these ended."""
    parent = np.searchsorted(workload.child_start, workload.inner_edge, side="right") - 1
    child = workload.child_index[workload.inner_edge]
    steps = outcome.steps
    is_inside = steps["start_s"][child] < steps["end_s"][parent]
    is_call = workload.kind[parent] == StepKind.CALL
    preempted = outcome.calls["step"][outcome.calls["preemptions"] > 0]
    return {
        f"inside a call {split}": bool((is_inside & is_call).any()),
        f"inside a tool {split}": bool((is_inside & ~is_call).any()),
        f"inside a preempted call {split}": bool((is_inside & np.isin(parent, preempted)).any()),
    }


EVERYTHING = {
    "a session in two lanes",
    *(f"for {part}" for part in (*CallRule._fields, "some, split")),
    *(f"inside a {parent} {split}" for parent in INNER_PARENTS for split in ("both", "split")),
    "both",
    "split",
    "both pools",
    "split pools",
    *(f"router {router.name} {split}" for router in Router for split in ("both", "split")),
    *(f"order {order.name}" for order in QueueOrder),
    "prices differ",
    "static",
    "moved",
    "ended at prefill",
    "preempted",
    "preempted after moving",
    "cached",
    *(f"cached by {kind.name} {where}" for kind in (*Retention, *Batching) for where in CALLS_REPLICAS),
    "evicted",
    "started",
    "switched off",
    "refused",
    "served",
    *(f"idle {cause.name}" for cause in Cause if cause != Cause.NONE),
}
