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
    BLOCK_TOKENS,
    Batching,
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
def pools(draw: st.DrawFn, role: Role, kind: Costs) -> Pool:
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
    some = st.integers(1, 2)
    if draw(st.booleans()):
        roles = [Role.BOTH] * draw(some)
    else:
        roles = draw(st.permutations([Role.PREFILL] * draw(some) + [Role.DECODE] * draw(some)))
    return FleetScenario(
        draw(workloads(kind)),
        [draw(pools(role, kind)) for role in roles],
        int(draw(st.sampled_from(list(Router)))),
        int(draw(st.sampled_from(list(QueueOrder)))),
        draw(st.integers(0, 2**40)),
    )


def fleet_crowd(seed: int, sessions: int = 25) -> FleetScenario:
    """Return many agents on one or two pools a tier, seeded; queues form and pools grow and shrink.

    Routers and splits take turns by seed; the rest is drawn.
    """
    draw = np.random.default_rng([seed, 1])
    workload = busy_workload(draw, sessions)
    pools_each = int(draw.integers(1, 3))
    roles = [Role.BOTH] if seed // len(Router) % 2 else [Role.DECODE, Role.PREFILL]
    return FleetScenario(
        workload,
        [a_pool(draw, role) for _ in range(pools_each) for role in roles],
        seed % len(Router),
        int(draw.integers(len(QueueOrder))),
        int(draw.integers(2**60)),
    )


def a_pool(draw: np.random.Generator, role: Role) -> Pool:
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
    )
    batching = Batching(draw.choice(list(Batching), p=[0.5, 0.2, 0.3]))
    room = batched(room, batching, int(draw.choice([205, 500])))
    speed = float(draw.choice([1.0, 0.6, 2.3]))
    cost = StepCost(*(speed * term for term in BUSY_COST))
    power = roofy(cost, float(draw.choice([50.0, 90.0, 130.0])))
    usd_per_s = float(draw.choice([1e-3, 2e-3]))
    return Pool(cost, power, room, usd_per_s, TokenTable() if draw.random() < 0.5 else EXPERTS)


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
