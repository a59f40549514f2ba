"""Random fleets of several pools, for random workloads, and what of it all comes up in a replay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from tests.oracle.workloads import (
    FLAT,
    NEVER,
    ROOFY,
    TICK,
    Costs,
    Node,
    Story,
    call,
    costs,
    share_prefixes,
    start_inside,
    stories,
    tool,
    workload_of,
)
from tracekit.analyzers.kernels.layout import (
    BLOCK_TOKENS,
    Batching,
    Cause,
    FleetLimits,
    Outcome,
    Pool,
    QueueOrder,
    Role,
    Router,
    State,
    StepCost,
    StepKind,
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
def pools(draw: st.DrawFn, role: Role, kind: Costs, seconds: st.SearchStrategy[float]) -> Pool:
    """One pool, mostly small enough for queues, preemptions and refusals."""
    replicas = draw(st.sampled_from([1, 2, 3]))
    is_elastic = draw(st.booleans())
    limits = FleetLimits(
        replicas,
        0,
        draw(st.sampled_from([1, 2, 3, 64])),
        draw(st.sampled_from([3, 16, 50, 8192])),
        BLOCK_TOKENS,
        draw(st.sampled_from([5, 8, 9, 12, 16, NEVER])),
        draw(st.sampled_from([80, NEVER, NEVER])),
        draw(st.sampled_from([0, 1, 1])),
        batching=int(draw(st.sampled_from([Batching.CONTINUOUS, Batching.CONTINUOUS, Batching.STATIC]))),
        role=int(role),
        transfer_s=draw(seconds) if role == Role.DECODE else 0.0,
        transfer_token_s=draw(seconds) / 64 if role == Role.DECODE else 0.0,
        min_replicas=draw(st.integers(1, replicas)) if is_elastic else 0,
        startup_s=draw(seconds) if is_elastic else 0.0,
        scale_up_calls=draw(st.sampled_from([0, 1, 2])) if is_elastic else 0,
        scale_down_s=draw(seconds) if is_elastic else 0.0,
    )
    power = draw(st.sampled_from([FLAT, ROOFY]))._replace(idle_w=draw(st.sampled_from([60.0, 100.0])))
    return Pool(draw(costs(kind)), power, limits, draw(st.sampled_from([0.0, 1e-3, 0.25])))


@st.composite
def fleet_scenarios(draw: st.DrawFn) -> FleetScenario:
    """Up to 7 sessions on up to 4 pools; half of them in ticks, so that many events coincide."""
    kind = draw(st.sampled_from(list(Costs)))
    if kind is Costs.IN_TICKS:
        seconds = st.sampled_from([ticks * TICK for ticks in (0, 1, 2, 3, 5, 8, 40)])
    else:
        seconds = st.floats(0.0, 0.06)
    told = draw(st.lists(stories(seconds), min_size=1, max_size=7))
    if draw(st.booleans()):
        share_prefixes(np.random.default_rng(draw(st.integers(0, 2**32))), told)
    some = st.integers(1, 2)
    if draw(st.booleans()):
        roles = [Role.BOTH] * draw(some)
    else:
        roles = draw(st.permutations([Role.PREFILL] * draw(some) + [Role.DECODE] * draw(some)))
    return FleetScenario(
        workload_of(told),
        [draw(pools(role, kind, seconds)) for role in roles],
        int(draw(st.sampled_from(list(Router)))),
        int(draw(st.sampled_from(list(QueueOrder)))),
        draw(st.integers(0, 2**40)),
    )


def fleet_crowd(seed: int, sessions: int = 25) -> FleetScenario:
    """Return many agents on one or two pools a tier, seeded; queues form and pools grow and shrink.

    Routers and splits take turns by seed; the rest is drawn.
    """
    draw = np.random.default_rng([seed, 1])
    told = [
        Story(float(arrival), a_life(draw), float(draw.exponential(0.3)))
        for arrival in np.cumsum(draw.exponential(draw.choice([0.01, 0.05, 0.2]), sessions))
    ]
    if draw.random() < 0.8:
        share_prefixes(draw, told)
    if seed % 3 == 0:
        start_inside(np.random.default_rng([seed, 2]), told)
    pools_each = int(draw.integers(1, 3))
    roles = [Role.BOTH] if seed // len(Router) % 2 else [Role.DECODE, Role.PREFILL]
    return FleetScenario(
        workload_of(told),
        [a_pool(draw, role) for _ in range(pools_each) for role in roles],
        seed % len(Router),
        int(draw.integers(len(QueueOrder))),
        int(draw.integers(2**60)),
    )


def a_life(draw: np.random.Generator) -> list[Node]:
    """Calls with tools, and other calls, between them."""

    def a_call(*parents: int, lag_s: float = 0.0) -> Node:
        output = int(draw.choice([1, draw.integers(2, 30)], p=[0.2, 0.8]))
        return call(int(draw.integers(1, 200)), output, *parents, lag_s=lag_s)

    nodes = [a_call()]
    for _ in range(draw.integers(0, 5)):
        window = range(len(nodes), len(nodes) + int(draw.integers(1, 4)))
        for _ in window:
            seconds = float(draw.exponential(0.08))
            asks = draw.random() < 0.3
            nodes.append(a_call(window.start - 1) if asks else tool(seconds, window.start - 1))
        nodes.append(a_call(*window, lag_s=float(draw.exponential(0.01))))
    return nodes


def a_pool(draw: np.random.Generator, role: Role) -> Pool:
    replicas = int(draw.integers(1, 4))
    is_elastic = draw.random() < 0.5
    limits = FleetLimits(
        replicas,
        0,
        int(draw.choice([2, 8, 64])),
        int(draw.choice([32, 128, 8192])),
        BLOCK_TOKENS,
        int(draw.choice([15, 20, 40, 60, NEVER])),
        int(draw.choice([205, NEVER])),
        int(draw.choice([0, 1, 1])),
        batching=int(draw.random() < 0.3),
        role=int(role),
        transfer_s=float(draw.choice([0.0, 0.003, 0.2])),
        transfer_token_s=float(draw.choice([0.0, 1e-5, 2e-3])),
        min_replicas=int(draw.integers(1, replicas + 1)) if is_elastic else 0,
        startup_s=float(draw.choice([0.0, 0.05, 0.4])),
        scale_up_calls=int(draw.integers(0, 5)),
        scale_down_s=float(draw.choice([0.0, 0.02, 0.3])),
    )
    cost = StepCost(4e-3, 3e-5, 1e-8, 2e-4, 2e-7, 3e-3, 1e-6, 2e-5, 1e-8)
    speed = float(draw.choice([1.0, 0.6, 2.3]))
    power = ROOFY._replace(idle_w=float(draw.choice([50.0, 90.0, 130.0])))
    return Pool(StepCost(*(speed * term for term in cost)), power, limits, float(draw.choice([1e-3, 2e-3])))


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
    "evicted",
    "started",
    "switched off",
    "refused",
    "served",
    *(f"idle {cause.name}" for cause in Cause if cause != Cause.NONE),
}
