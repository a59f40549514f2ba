"""Small workloads written as sessions of steps, and random ones, for the tests of the replay."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from tests.oracle.session import Inside
from tracekit.analyzers.kernels.layout import (
    BLOCK_TOKENS,
    NOBODY,
    FleetLimits,
    PowerCurve,
    Router,
    StepCost,
    StepKind,
    TokenTable,
    Workload,
)

TICK = 2.0**-10
"""Times that are multiples of it add without rounding, so that events fall on the very same instant."""

NEVER = 10**9
FLAT = PowerCurve(100.0, 100.0, 200.0, np.inf)
EXPERTS = TokenTable(
    *(tuple(share * (1.0 - 0.9**tokens) for tokens in 2 ** np.arange(12)) for share in (4e-3, 3e-3, 1e-3))
)


def roofy(cost: StepCost, idle_w: float = 90.0) -> PowerCurve:
    """Watts that follow what a step does, part of whose time passes on the host."""
    return PowerCurve(
        idle_w,
        110.0,
        400.0,
        0.05,
        host_base_s=cost.base_s / 4,
        host_prompt_s=cost.prompt_s / 2,
        host_decode_s=cost.decode_s / 3,
        driven_base_s=cost.base_s / 3,
        driven_prefill_token_s=1.5 * cost.prefill_token_s,
        driven_prefill_attention_s=1.2 * cost.prefill_attention_s,
        driven_prompt_context_s=cost.prompt_context_s,
        driven_decode_s=cost.decode_s / 2,
        driven_decode_context_s=0.8 * cost.decode_context_s,
    )


"""100 W idle, 300 W in every step."""


@dataclass
class Node:
    kind: StepKind
    input_tokens: int = 0
    output_tokens: int = 0
    duration_s: float = 0.0
    lag_s: float = 0.0
    parents: tuple[int, ...] = ()
    prefix: tuple[int, int, int] | None = None  # session, place in it, tokens shared with that call's text
    inside: dict[int, Inside] = field(default_factory=dict)  # those of its parents that it starts inside


@dataclass
class Story:
    """One session; parents are places in `nodes`."""

    arrival_s: float
    nodes: list[Node] = field(default_factory=list)
    tail_s: float = 0.0


class Scenario(NamedTuple):
    workload: Workload
    cost: StepCost
    power: PowerCurve
    limits: FleetLimits


def columns(workload: Workload) -> dict[str, np.ndarray]:
    """Return its arrays by name."""
    return {name: column for name, column in workload._asdict().items() if name != "models"}


def call(prompt: int, output: int, *parents: int, lag_s: float = 0.0) -> Node:
    return Node(StepKind.CALL, prompt, output, lag_s=lag_s, parents=parents)


def tool(duration_s: float, *parents: int, lag_s: float = 0.0) -> Node:
    return Node(StepKind.TOOL, duration_s=duration_s, lag_s=lag_s, parents=parents)


def gap(duration_s: float, *parents: int) -> Node:
    return Node(StepKind.GAP, duration_s=duration_s, parents=parents)


def workload_of(stories: list[Story]) -> Workload:
    nodes = [node for story in stories for node in story.nodes]
    starts = np.cumsum([0] + [len(story.nodes) for story in stories])
    edges = [
        (starts[session] + parent, starts[session] + place)
        for session, story in enumerate(stories)
        for place, node in enumerate(story.nodes)
        for parent in node.parents
    ]
    edges.sort()
    inner = {
        (starts[session] + parent, starts[session] + place): inside
        for session, story in enumerate(stories)
        for place, node in enumerate(story.nodes)
        for parent, inside in node.inside.items()
    }
    children = (
        np.bincount([parent for parent, _ in edges], minlength=len(nodes)) if edges else [0] * len(nodes)
    )

    def ints(values: list[int]) -> np.ndarray:
        return np.array(values, np.int32)

    def floats(values: list[float]) -> np.ndarray:
        return np.array(values, np.float64)

    return Workload(
        session_arrival_s=floats([story.arrival_s for story in stories]),
        session_tail_s=floats([story.tail_s for story in stories]),
        session_step_start=np.array(starts, np.int64),
        kind=np.array([node.kind for node in nodes], np.int8),
        session=ints([session for session, story in enumerate(stories) for _ in story.nodes]),
        input_tokens=ints([node.input_tokens for node in nodes]),
        output_tokens=ints([node.output_tokens for node in nodes]),
        duration_s=floats([node.duration_s for node in nodes]),
        lag_s=floats([node.lag_s for node in nodes]),
        parent_count=ints([len(node.parents) for node in nodes]),
        child_start=ints([0, *np.cumsum(children)]),
        child_index=ints([child for _, child in edges]),
        prefix_parent=ints(
            [NOBODY if node.prefix is None else starts[node.prefix[0]] + node.prefix[1] for node in nodes]
        ),
        prefix_tokens=ints([0 if node.prefix is None else node.prefix[2] for node in nodes]),
        inner_edge=ints([place for place, edge in enumerate(edges) if edge in inner]),
        inner_token=ints([inner[edge].token for edge in edges if edge in inner]),
        inner_fraction=floats([inner[edge].fraction for edge in edges if edge in inner]),
    )


def fleet(replicas: int = 1, router: Router = Router.ROUND_ROBIN, **limits: float) -> FleetLimits:
    limits = {
        "max_num_seqs": 256,
        "max_num_batched_tokens": 8192,
        "block_size": BLOCK_TOKENS,
        "num_blocks": NEVER,
        "max_model_len": NEVER,
        "enable_prefix_cache": 1,
    } | limits
    return FleetLimits(replicas, int(router), **limits)


@st.composite
def stories(draw: st.DrawFn, seconds: st.SearchStrategy[float]) -> Story:
    nodes = []
    overlap = draw(st.booleans())
    insides = st.builds(
        Inside, st.sampled_from([0, 1, 2, 4, 17, 40, 99]), st.sampled_from([0.0, 0.25, 0.9, 1.0])
    )
    for place in range(draw(st.integers(0, 8))):
        kind = draw(
            st.sampled_from([StepKind.CALL, StepKind.CALL, StepKind.TOOL, StepKind.TOOL, StepKind.GAP])
        )
        parents = set(draw(st.lists(st.integers(0, place - 1), max_size=2))) if place else set()
        nodes.append(
            Node(
                kind,
                draw(st.integers(0, 90)) if kind == StepKind.CALL else 0,
                draw(st.sampled_from([0, 1, 2, 5, 40])) if kind == StepKind.CALL else 0,
                draw(seconds) if kind != StepKind.CALL else 0.0,
                draw(st.sampled_from([0.0, 0.0, draw(seconds)])),
                tuple(sorted(parents)),
                inside={parent: draw(insides) for parent in parents if draw(st.booleans())}
                if overlap
                else {},
            )
        )
    return Story(draw(seconds), nodes, draw(st.sampled_from([0.0, draw(seconds)])))


def twice_as_long(power: PowerCurve) -> PowerCurve:
    """Return the same watts where everything takes twice the time."""
    return power._replace(
        **{name: 2 * value for name, value in power._asdict().items() if name.endswith("_s")}
    )


class Costs(Enum):
    IN_TICKS = "in ticks"
    ANY = "any"


@st.composite
def costs(draw: st.DrawFn, kind: Costs) -> StepCost:
    if kind is Costs.IN_TICKS:
        terms, bases = st.sampled_from([0.0, 0.0, TICK / 4]), st.sampled_from([0.0, TICK, 5 * TICK])
    else:
        terms, bases = st.floats(0.0, 3e-4), st.floats(1e-4, 6e-3)
    shares = st.sampled_from([0.0, 1e-4, 3.3e-3])
    return StepCost(
        draw(bases),
        draw(terms),
        draw(terms) / 64,
        draw(terms),
        draw(terms) / 64,
        *(draw(shares) for _ in range(4)),
        prompt_s=draw(terms),
        prompt_context_s=draw(terms) / 64,
    )


def seconds_in(kind: Costs) -> st.SearchStrategy[float]:
    if kind is Costs.IN_TICKS:
        return st.sampled_from([ticks * TICK for ticks in (0, 1, 2, 3, 5, 8, 40)])
    return st.floats(0.0, 0.06)


@st.composite
def workloads(draw: st.DrawFn, kind: Costs) -> Workload:
    """Up to 7 sessions, which may have prefixes in common."""
    told = draw(st.lists(stories(seconds_in(kind)), min_size=1, max_size=7))
    if draw(st.booleans()):
        share_prefixes(np.random.default_rng(draw(st.integers(0, 2**32))), told)
    return workload_of(told)


@st.composite
def tight_limits(draw: st.DrawFn, most_replicas: int) -> FleetLimits:
    """Replicas mostly small enough for queues, preemptions and refusals."""
    return FleetLimits(
        draw(st.integers(1, most_replicas)),
        0,
        draw(st.sampled_from([1, 2, 3, 64])),
        draw(st.sampled_from([3, 16, 50, 8192])),
        BLOCK_TOKENS,
        draw(st.sampled_from([5, 8, 9, 12, 16, NEVER])),
        draw(st.sampled_from([80, NEVER, NEVER])),
        draw(st.sampled_from([0, 1, 1])),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Up to 7 sessions on up to 4 replicas; half of them in ticks, so that many events coincide."""
    kind = draw(st.sampled_from(list(Costs)))
    router = int(draw(st.sampled_from(list(Router))))
    cost = draw(costs(kind))
    return Scenario(
        draw(workloads(kind)),
        cost,
        draw(st.sampled_from([FLAT, roofy(cost)])),
        draw(tight_limits(4))._replace(router=router),
    )


def share_prefixes(draw: np.random.Generator, told: list[Story]) -> None:
    """Let most calls begin as another one did, of their own session or any, whenever that one may run.

    Where a call goes on from another, its prompt is made that long; else what is shared is cut to it.
    """
    places = [
        (session, place)
        for session, story in enumerate(told)
        for place, node in enumerate(story.nodes)
        if node.kind == StepKind.CALL
    ]
    order = draw.permutation(len(places)) if draw.random() < 0.3 else range(len(places))
    earlier: list[tuple[int, int]] = []
    for session, place in (places[index] for index in order):
        mine = [other for other in earlier if other[0] == session]
        node = told[session].nodes[place]
        if earlier and draw.random() < 0.8:
            parent = mine[-1] if mine and draw.random() < 0.7 else earlier[draw.integers(len(earlier))]
            other = told[parent[0]].nodes[parent[1]]
            prompt, text = (
                max(1, other.input_tokens),
                max(1, other.input_tokens) + max(1, other.output_tokens),
            )
            shared = int(
                draw.choice([text, prompt, prompt // BLOCK_TOKENS * BLOCK_TOKENS, draw.integers(0, text + 1)])
            )
            if text < 200 and draw.random() < 0.7:
                node.input_tokens = max(1, shared) + int(draw.choice([0, 0, 1, 16, draw.integers(0, 60)]))
            node.prefix = (*parent, shared)
        earlier.append((session, place))


def start_inside(draw: np.random.Generator, told: list[Story]) -> None:
    """Let steps start inside one of their parents, where that may be."""
    for node in (node for story in told for node in story.nodes):
        for parent in node.parents:
            if draw.random() < 0.4:
                node.inside[parent] = Inside(int(draw.integers(0, 32)), float(draw.random()))


def crowd(seed: int, sessions: int = 25) -> Scenario:
    """Return many agents, close together or not, with tools and side calls between their calls."""
    draw = np.random.default_rng(seed)
    workload = busy_workload(draw, sessions)
    limits = busy_limits(draw, int(draw.integers(1, 5)))
    return Scenario(workload, BUSY_COST, roofy(BUSY_COST), limits._replace(router=int(draw.integers(0, 3))))


def busy_workload(draw: np.random.Generator, sessions: int) -> Workload:
    arrivals = np.cumsum(draw.exponential(draw.choice([0.01, 0.05, 0.2]), sessions))
    told = [Story(float(at_s), a_life(draw), float(draw.exponential(0.1))) for at_s in arrivals]
    if draw.random() < 0.8:
        share_prefixes(draw, told)
    if draw.random() < 0.4:
        start_inside(draw, told)
    return workload_of(told)


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


BUSY_COST = StepCost(4e-3, 3e-5, 1e-8, 2e-4, 2e-7, 3e-3, 1e-6, 2e-5, 1e-8, 1e-4, 1e-7)


def busy_limits(draw: np.random.Generator, replicas: int) -> FleetLimits:
    return FleetLimits(
        replicas,
        0,
        int(draw.choice([2, 8, 64])),
        int(draw.choice([32, 128, 8192])),
        BLOCK_TOKENS,
        int(draw.choice([15, 20, 40, 60, NEVER])),
        int(draw.choice([205, NEVER])),
        int(draw.choice([0, 1, 1])),
    )
