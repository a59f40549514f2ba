"""From a workload and pools to the arrays of a simulation."""

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.kernels.branches import LIFT, lifts_of, no_prefixes, prefixes
from tracekit.analyzers.kernels.events import ENTRY, KIND_SHIFT, START, first_ends
from tracekit.analyzers.kernels.kv_memory import KvMemory, prepare_memory
from tracekit.analyzers.kernels.lanes import tiers_of
from tracekit.analyzers.kernels.layout import (
    CALL_ROW,
    NOBODY,
    POOL_ROW,
    SESSION_ROW,
    WAIT_ROW,
    Batching,
    Bytes,
    Floats,
    Ints,
    Pool,
    Retention,
    Role,
    Rows,
    SmallInts,
    TokenTable,
    Workload,
)
from tracekit.analyzers.kernels.simulation import (
    AGENT,
    CALL,
    CAUSES,
    ENGINE,
    HOSTED,
    IDLE,
    IDLE_TALLY,
    INNER,
    NO_CAUSE,
    OFF,
    PLACE,
    SEAT,
    TALLY,
    TICKET,
    TIER,
    Simulation,
    zeros,
)

ONE_LANE = np.zeros(0, np.int8)
ONE_LANE.setflags(write=False)
SLACK = 4096
"""Runs and copies of blocks beyond one for each call, at first."""


def pool_rows(pools: Sequence[Pool]) -> Rows:
    """Return the pools (p,) POOL_ROW by tier: those that calls come to first before those that decode."""
    by_tier = sorted(zip(tiers_of(pools), pools, strict=True), key=itemgetter(0))
    rows = np.zeros(len(by_tier), POOL_ROW)
    first = 0
    for row, (tier, pool) in zip(rows, by_tier, strict=True):
        for part in (pool.cost, pool.power, pool.limits):
            for field, value in part._asdict().items():
                if field in (rows.dtype.names or ()):
                    row[field] = value
        for field, terms in pool.table._asdict().items():
            row[f"table_{field}"] = terms
        row["has_table"] = int(pool.table != TokenTable())
        row["usd_per_s"] = pool.usd_per_s
        row["tier"] = tier
        row["first_replica"] = first
        first += pool.limits.replicas
    return rows


def prepare_engines(pools: Rows) -> Rows:
    pool = np.repeat(np.arange(pools.size), pools["replicas"])
    place = np.arange(pool.size) - pools["first_replica"][pool]
    sleeps = (pools["min_replicas"][pool] > 0) & (place >= pools["min_replicas"][pool])
    lists = ("waiting", "fresh_head", "prompt_head", "coming_head", "hosted_first", "hosted_last")
    return zeros(
        pool.size,
        ENGINE,
        pool=pool,
        tier=pools["tier"][pool],
        power_state=np.where(sleeps, OFF, IDLE),
        cause=NO_CAUSE,
        idle_state=NO_CAUSE,
        run_index=NOBODY,
        last_segment=NOBODY,
        **dict.fromkeys(lists, NOBODY),
    )


def prepare_tiers(pools: Rows) -> Rows:
    tiers, first = np.unique(pools["tier"], return_index=True)
    ends = np.cumsum(np.bincount(pools["tier"], pools["replicas"])).astype(np.int64)
    role = pools["role"][first]
    onwards = np.full(tiers.size, NOBODY, np.int64)
    onwards[role == Role.PREFILL] = tiers[role == Role.DECODE]
    return zeros(
        tiers.size, TIER, first_replica=np.concatenate([[0], ends[:-1]]), end_replica=ends, next=onwards
    )


def prepare_roots(workload: Workload) -> Rows:
    root = np.flatnonzero(workload.parent_count == 0)
    start_s = workload.session_arrival_s[workload.session[root]] + workload.lag_s[root]
    order = np.argsort(start_s, kind="stable")
    return zeros(root.size, ENTRY, key=start_s[order], item=(START << KIND_SHIFT) | root[order])


class Edges(NamedTuple):
    """The workload's edges, those to steps that start inside their parent apart."""

    child_start: SmallInts  # (n + 1,)
    children: SmallInts  # (m - k,)
    inner: Rows  # (k,) INNER


def prepare_edges(workload: Workload) -> Edges:
    start, edge = workload.child_start, workload.inner_edge
    parent = np.searchsorted(start, edge, side="right") - 1
    token = np.maximum(workload.inner_token, 0)
    by_token = np.lexsort((token, parent))
    inner = zeros(
        edge.size,
        INNER,
        parent=parent[by_token],
        token=token[by_token],
        fraction=workload.inner_fraction[by_token],
        child=workload.child_index[edge][by_token],
    )
    if edge.size == 0:
        return Edges(small(start), small(workload.child_index), inner)
    return Edges(
        small(start - np.searchsorted(edge, start)), small(np.delete(workload.child_index, edge)), inner
    )


class CallPrefixes(NamedTuple):
    """Whose text each call's prompt begins with."""

    parent: SmallInts  # (c,) a call or NOBODY
    shared: SmallInts  # (c,) tokens
    text: Ints  # (c,) tokens of prompt and output


def call_prefixes(workload: Workload, calls_before: SmallInts) -> CallPrefixes | None:
    """What calls have in common; None if nothing."""
    is_call = workload.kind == CALL
    call = np.flatnonzero(is_call)
    parent_step = workload.prefix_parent[call]
    has_parent = (parent_step >= 0) & is_call[parent_step] & (workload.prefix_tokens[call] > 0)
    if not has_parent.any():
        return None
    parent = np.where(has_parent, calls_before[parent_step], NOBODY)
    prompt = np.maximum(1, workload.input_tokens[call]).astype(np.int64)
    text = prompt + np.maximum(1, workload.output_tokens[call])
    shared = np.minimum(np.minimum(workload.prefix_tokens[call], prompt), text[parent])
    return CallPrefixes(small(parent), small(np.where(has_parent, shared, 0)), text)


def prepare_calls_memory(
    known: CallPrefixes | None, calls: int, pools: Rows, engines: Rows, slack: int
) -> KvMemory:
    block_size = int(pools["block_size"][0])
    pool = engines["pool"]
    caching = pools["enable_prefix_cache"][pool] * (pools["batching"][pool] != Batching.SLOTS)
    visits = 2 if (pools["role"] == Role.DECODE).any() else 1
    laid = no_prefixes(calls, visits)
    if known is not None and caching.any():
        laid = prefixes(known.parent, known.shared, known.text, block_size, engines.size, visits)
    return prepare_memory(
        laid, block_size=block_size, num_blocks=pools["num_blocks"][pool], caching=caching, slack=slack
    )


def prepare_places(workload: Workload, call: Ints, lanes: Bytes, tiers: Rows) -> Rows:
    shape = workload.session_arrival_s.size, tiers.size
    places = zeros(shape, PLACE, home=NOBODY, pinned=NOBODY, hosted=NOBODY, counted_as=NO_CAUSE)
    tier = lanes[call].astype(np.int64) if lanes.size else np.zeros(call.size, np.int64)
    onwards = np.where(workload.output_tokens[call] > 1, tiers["next"][tier], NOBODY)
    for visited in (tier, onwards):
        is_one = visited != NOBODY
        np.add.at(places["to_place"], (workload.session[call][is_one], visited[is_one]), 1)
    return places


def small(values: npt.ArrayLike) -> SmallInts:
    """As int32, writeable and contiguous: any other array would be another type, and compile the kernel again."""
    return np.require(values, np.int32, ("C", "W", "A"))


def floats(values: npt.ArrayLike) -> Floats:
    return np.require(values, np.float64, ("C", "W", "A"))


def prepare(
    workload: Workload,
    pools: Rows,
    router: int,
    queue_order: int,
    seed: int,
    slack: int = SLACK,
    lanes: Bytes = ONE_LANE,
) -> Simulation:
    is_call = workload.kind == CALL
    calls_before = (np.cumsum(is_call, dtype=np.int32) - is_call).astype(np.int32)
    call = np.flatnonzero(is_call)
    steps, sessions = workload.kind.size, workload.session_arrival_s.size
    engines = prepare_engines(pools)
    tiers = prepare_tiers(pools)
    seats = max(1, min(int(pools["max_num_seqs"].max()), call.size))
    ends, winners = first_ends(engines.size)
    arrival_s = floats(workload.session_arrival_s)
    known = call_prefixes(workload, calls_before)
    slots = int(pools["max_num_seqs"][pools["batching"] == Batching.SLOTS].max(initial=0))
    offloads = bool((pools["retention"] == Retention.OFFLOAD).any())
    tree = known if slots > 0 or offloads else None
    edges = prepare_edges(workload)
    nothing = np.zeros(0, np.int32)
    return Simulation(
        router=router,
        seed=seed,
        queue_order=queue_order,
        kind=np.require(workload.kind, np.int8, ("C", "W", "A")),
        session=small(workload.session),
        input_tokens=small(workload.input_tokens),
        output_tokens=small(workload.output_tokens),
        duration_s=floats(workload.duration_s),
        lag_s=floats(workload.lag_s),
        child_start=edges.child_start,
        children=edges.children,
        inner=edges.inner,
        calls_before=calls_before,
        parents_left=np.array(workload.parent_count, np.int32),
        arrival_s=arrival_s,
        pools=pools,
        tiers=tiers,
        events=zeros(steps + edges.inner.size + 2 * call.size + 4 * engines.size, ENTRY),
        roots=prepare_roots(workload),
        ends=ends,
        winners=winners,
        engines=engines,
        finishes=zeros((engines.size, seats), ENTRY),
        phases=np.zeros((engines.size, int(pools["block_size"][0])), np.int64),
        memory=prepare_calls_memory(known, call.size, pools, engines, slack),
        seats=zeros((engines.size if slots else 0, slots), SEAT, call=NOBODY),
        hosted=zeros(call.size if offloads else 0, HOSTED, replica=NOBODY),
        lanes=np.require(lanes, np.int8, ("C", "W", "A")),
        prefix_call=nothing if tree is None else tree.parent,
        prefix_tokens=nothing if tree is None else tree.shared,
        prefix_lifts=zeros(0, LIFT) if tree is None else lifts_of(tree.parent, tree.shared),
        tickets=zeros(call.size, TICKET),
        agents=zeros(sessions, AGENT, tail_s=workload.session_tail_s),
        places=prepare_places(workload, call, lanes, tiers),
        idle=zeros((engines.size, CAUSES), IDLE_TALLY),
        foreseen=np.zeros(engines.size, np.int64),
        touched=np.zeros(engines.size, np.int64),
        unsettled=np.zeros(engines.size, np.int64),
        tally=zeros(1, TALLY, spare_ticket=NOBODY, steps_left=steps),
        calls=zeros(call.size, CALL_ROW),
        waits=zeros(steps - call.size, WAIT_ROW),
        sessions=zeros(sessions, SESSION_ROW, start_s=arrival_s, end_s=arrival_s + workload.session_tail_s),
    )


def check(workload: Workload, pools: Rows) -> None:
    """Raise ValueError for what could never be replayed."""
    names = ("replicas", "max_num_seqs", "max_num_batched_tokens", "block_size", "num_blocks")
    for name in names:
        if not pools.size or int(pools[name].min()) < 1:
            raise ValueError(f"every pool needs a {name} of at least 1, and a fleet at least one pool")
    if np.unique(pools["block_size"]).size > 1:
        raise ValueError("all pools of a fleet have blocks of one block_size")
    if min(workload.lag_s.min(initial=0.0), workload.duration_s.min(initial=0.0)) < 0.0:
        raise ValueError("lags and durations of steps cannot be negative: an edge means `starts after`")
    if np.any((workload.inner_fraction < 0.0) | (workload.inner_fraction > 1.0)):
        raise ValueError("a step that starts inside its parent does so at a fraction of it from 0 to 1")
    if np.any(np.diff(workload.inner_edge) <= 0):
        raise ValueError("edges to steps that start inside their parent are named once, in ascending order")
