"""What goes into the replay kernel and what comes out: NamedTuples of arrays in, structured arrays out.

Times are float64 seconds since the first arrival; the API rounds each boundary once to int64 ns.
Rows are read as ``row["field"]`` (the form that works with and without JIT).
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
SmallInts = npt.NDArray[np.int32]
"""Columns with a row per step or call: ten million of them are to fit in memory."""
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]
Rows = npt.NDArray[np.void]  # structured; the dtype is named beside each use
Record = np.void  # one of Rows


BLOCK_TOKENS = 16
"""Tokens in a block of KV, vLLM's default."""

NOBODY = -1

_NO_EDGE, _NO_FRACTION = np.zeros(0, np.int32), np.zeros(0)
for _nothing in (_NO_EDGE, _NO_FRACTION):
    _nothing.setflags(write=False)


class StepKind(IntEnum):
    """What a node of a session's graph is."""

    CALL = 0
    TOOL = 1
    GAP = 2


class State(IntEnum):
    """What a replica slot is doing; every instant is in exactly one."""

    PREFILL = 0
    DECODE = 1
    MIXED = 2
    IDLE = 3
    STARTING = 4
    OFF = 5


class Cause(IntEnum):
    """Why a replica is idle; the first that holds (DESIGN: attribution)."""

    NONE = -1
    TRANSFER = 0
    IMBALANCE = 1
    TOOL_WAIT = 2
    CLIENT_WAIT = 3
    PEER_CALL = 4
    NO_DEMAND = 5


class Router(IntEnum):
    """How a replica is chosen for a call; none knows how long the answer will be."""

    ROUND_ROBIN = 0
    LEAST_OUTSTANDING = 1
    SESSION_AFFINE = 2
    POWER_OF_TWO = 3
    PREFIX_AWARE = 4


class QueueOrder(IntEnum):
    """Which waiting call is admitted next."""

    FCFS = 0
    SESSION_FCFS = 1
    LEAST_ATTAINED = 2


class Retention(IntEnum):
    """What becomes of a call's KV while its session does something else."""

    LRU = 0
    KEEP = 1
    TTL = 2
    EVICT = 3
    OFFLOAD = 4


class Role(IntEnum):
    """Which part of a call a pool computes."""

    BOTH = 0
    PREFILL = 1
    DECODE = 2


class Batching(IntEnum):
    """When a replica admits calls: at every step, or when the batch before has ended as a whole; or into slots.

    A slot holds one call, and afterwards the text of that call, for the next one that begins alike (llama.cpp).
    """

    CONTINUOUS = 0
    STATIC = 1
    SLOTS = 2


MANY_TOKENS = 2**31 - 1


class CallRule(NamedTuple):
    """Which calls a pool is for: those of which all of this holds. Ranges are of recorded tokens, both ends in them.

    `models` are patterns (of `fnmatch`, in lower case) of recorded models' names; none: any model. `share` is how
    many of the calls that meet the rest are drawn.
    """

    models: tuple[str, ...] = ()
    input_tokens: tuple[int, int] = (0, MANY_TOKENS)
    output_tokens: tuple[int, int] = (0, MANY_TOKENS)
    share: float = 1.0


ANY_CALL = CallRule()


class Workload(NamedTuple):
    """Sessions as graphs of steps, in flat arrays.

    n steps, m edges, s sessions. Steps are numbered so that the steps of a session are consecutive and in
    order of recorded start. `child_index[child_start[i]:child_start[i + 1]]` are the steps that start after
    i. Lags and durations are not negative. A call's prompt begins with the first `prefix_tokens` tokens of the
    text (prompt, then output) of the call `prefix_parent`, and with no more of it; what follows is new.

    A step starts `lag_s` after the last of its edges is open. An edge is open from the end of its parent; an
    inner edge, whose child starts inside its parent, earlier: from when a call has emitted `inner_token` tokens
    (0: from when it is queued), or from `inner_fraction` of the length of a tool or gap.
    """

    session_arrival_s: Floats  # (s,) since the first arrival
    session_tail_s: Floats  # (s,) from the last step's end to the session's end
    session_step_start: Ints  # (s + 1,) slice of the session's steps
    kind: Bytes  # (n,) StepKind
    session: SmallInts  # (n,)
    input_tokens: SmallInts  # (n,) 0 unless CALL
    output_tokens: SmallInts  # (n,) 0 unless CALL
    duration_s: Floats  # (n,) recorded length; used for TOOL and GAP
    lag_s: Floats  # (n,) start - when its last edge was open; roots: start - session arrival
    parent_count: SmallInts  # (n,)
    child_start: SmallInts  # (n + 1,)
    child_index: SmallInts  # (m,)
    prefix_parent: SmallInts  # (n,) step of that call, in any order but without cycles; NOBODY: none
    prefix_tokens: SmallInts  # (n,) 0 means that nothing is known to be shared
    inner_edge: SmallInts = _NO_EDGE  # (k,) places in child_index, ascending
    inner_token: SmallInts = _NO_EDGE  # (k,) not negative; more than the call emits: its end
    inner_fraction: Floats = _NO_FRACTION  # (k,) 0 to 1
    model: SmallInts = (
        _NO_EDGE  # (n,) the recorded one, a place in `models`; NOBODY: not known; (0,): all the first
    )
    models: tuple[str, ...] = ()


class StepCost(NamedTuple):
    """Seconds of one engine step, affine in what is in it, and the shares its energy is split by.

    duration = base_s + prompt_s * prompts that are worked on + prefill_token_s * prompt tokens
             + prefill_attention_s * sum(chunk * (context + chunk / 2))
             + prompt_context_s * sum(context + chunk)
             + decode_s * decoding sequences + decode_context_s * sum(decode contexts)
             + TokenTable.step_s at the step's tokens
    `*_share_s` are the roofline terms t_W, t_K and t_C (per step, per token of context read or written, per
    token computed, per token x context attended to); t_W also has TokenTable.weight_share_s.
    """

    base_s: float
    prefill_token_s: float
    prefill_attention_s: float
    decode_s: float
    decode_context_s: float
    weight_share_s: float
    kv_token_share_s: float
    token_compute_share_s: float
    attention_compute_share_s: float
    prompt_s: float = 0.0
    prompt_context_s: float = 0.0


class PowerCurve(NamedTuple):
    """Watts of one replica (all its GPUs) during a step; `idle_w` where it has none.

    P = floor_w + span_w * busy * y / (1 + y^3)^(1/3)
    busy = 1 - host / duration
    y = level + driven / (duration - host)
    with host and driven affine in the step's contents as its duration is, driven with TokenTable.driven_s: seconds
    in which the GPU has nothing to do, and seconds at full power that the step's parts come to.
    """

    idle_w: float
    floor_w: float
    span_w: float
    level: float = 0.0
    host_base_s: float = 0.0
    host_prompt_s: float = 0.0
    host_decode_s: float = 0.0
    driven_base_s: float = 0.0
    driven_prefill_token_s: float = 0.0
    driven_prefill_attention_s: float = 0.0
    driven_prompt_context_s: float = 0.0
    driven_decode_s: float = 0.0
    driven_decode_context_s: float = 0.0


TABLE_NODES = 12
"""1, 2, 4 ... 2048 tokens."""
NO_TERMS = (0.0,) * TABLE_NODES


class TokenTable(NamedTuple):
    """What a step takes that no affine cost can say, by its tokens (prompt and decode): experts, calibration.

    Seconds at TABLE_NODES powers of two, straight lines between them, and beyond the last as at the last.
    """

    step_s: tuple[float, ...] = NO_TERMS
    weight_share_s: tuple[float, ...] = NO_TERMS
    driven_s: tuple[float, ...] = NO_TERMS


class FleetLimits(NamedTuple):
    """One pool of identical replicas, and the router of the fleet it is in."""

    replicas: int
    router: int
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int  # tokens
    num_blocks: int  # usable ones: vLLM's num_gpu_blocks less its placeholder
    max_model_len: int
    enable_prefix_cache: int  # 0 or 1
    queue_order: int = 0
    batching: int = 0
    role: int = 0
    retention: int = 0
    retention_s: float = 0.0  # of TTL
    transfer_s: float = 0.0  # until the first of a call's KV has come to this pool
    transfer_token_s: float = 0.0  # and for each token of it
    offload_tokens: int = 0  # of OFFLOAD: tokens whose KV a replica's host memory can hold
    offload_token_s: float = 0.0  # and the time in which one goes there or comes back
    min_replicas: int = 0  # that are never switched off; 0: all
    startup_s: float = 0.0
    scale_up_calls: int = 0  # outstanding per replica that is on or starting, above which one more is started
    scale_down_s: float = 0.0  # idle time after which a replica is switched off
    calls: CallRule = ANY_CALL  # that it is for

    @property
    def kv_capacity_tokens(self) -> int:
        """Tokens whose KV one replica can hold."""
        return self.block_size * self.num_blocks


class Pool(NamedTuple):
    """Identical replicas: what their steps cost, draw and may hold."""

    cost: StepCost
    power: PowerCurve
    limits: FleetLimits
    usd_per_s: float = 0.0  # of one replica
    table: TokenTable = TokenTable()


POOL_ROW = np.dtype(
    [
        *((name, np.float64) for name in StepCost._fields),
        *((name, np.float64) for name in PowerCurve._fields),
        *((f"table_{name}", np.float64, (TABLE_NODES,)) for name in TokenTable._fields),
        ("has_table", np.int64),
        *(
            (name, np.float64 if name.endswith("_s") else np.int64)
            for name in FleetLimits._fields
            if name not in ("router", "queue_order", "calls")  # of the fleet; of what comes to its tier
        ),
        ("usd_per_s", np.float64),
        ("first_replica", np.int64),
        ("tier", np.int64),  # pools among which a router chooses
    ],
    align=True,
)
"""A pool in the kernel: all of its numbers in one record."""

CALL_ROW = np.dtype(
    [
        ("step", np.int32),
        ("session", np.int32),
        ("replica", np.int32),  # its first; -1: refused
        ("decode_replica", np.int32),  # the same, or where its KV was transferred to
        ("cached_tokens", np.int32),  # prompt tokens found in the cache when it was first admitted
        ("preemptions", np.int32),
        ("queued_s", np.float64),
        ("started_s", np.float64),
        ("first_token_s", np.float64),
        ("end_s", np.float64),
        ("energy_j", np.float64),  # its share of busy joules (average view), recomputed work included
        ("busy_s", np.float64),  # its share of busy replica-seconds, by the same split
        ("busy_usd", np.float64),  # and their price
    ],
    align=True,
)

SEGMENT_ROW = np.dtype(
    [
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("energy_j", np.float64),
        ("replica", np.int32),
        ("steps", np.int32),
        ("state", np.int8),
        ("cause", np.int8),
    ],
    align=True,
)
"""There are about as many as calls."""

WAIT_ROW = np.dtype(
    [
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("idle_s", np.float64),  # of replicas that waited for this tool
        ("idle_j", np.float64),
    ],
    align=True,
)
"""A tool or a gap."""

STEP_ROW = WAIT_ROW
"""Any step; those of calls have kept no replica waiting."""

SESSION_ROW = np.dtype(
    [
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("idle_s", np.float64, (6,)),  # by Cause
        ("idle_j", np.float64, (6,)),
        ("idle_usd", np.float64, (6,)),
    ],
    align=True,
)

"""Of nobody: replicas without demand, and those that start."""


class Outcome(NamedTuple):
    """What one replay returns.

    `calls` in order of step, `waits` one row a tool or gap in order of step, `sessions` one row a session,
    `segments` ordered by replica then time and gapless from 0 to horizon_s for every replica.
    """

    calls: Rows  # (c,) CALL_ROW
    waits: Rows  # (n - c,) WAIT_ROW
    sessions: Rows  # (s,) SESSION_ROW
    segments: Rows  # SEGMENT_ROW
    pools: Rows  # (p,) POOL_ROW
    horizon_s: float
    null_idle_s: float  # no_demand and starting: nobody's
    null_idle_j: float
    null_idle_usd: float
    kv_token_s: (
        float  # integral over time of the tokens in blocks that running and pinned calls hold, all replicas
    )
    kv_peak_tokens: int  # the most that one replica's running and pinned calls held in a step
    kv_peak_fraction: float  # and the most of what it could
    evicted_blocks: int  # cached blocks that were forgotten because others needed them
    refused: int
    engine_steps: int

    @property
    def steps(self) -> Rows:
        """When every step began and ended, and who waited for it, (n,) STEP_ROW."""
        rows = np.zeros(self.calls.size + self.waits.size, STEP_ROW)
        is_call = np.zeros(rows.size, np.bool_)
        is_call[self.calls["step"]] = True
        rows[~is_call] = self.waits
        rows["start_s"][is_call] = self.calls["queued_s"]
        rows["end_s"][is_call] = self.calls["end_s"]
        return rows
