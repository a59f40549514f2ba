"""What goes into the replay kernel and what comes out: NamedTuples of arrays in, structured arrays out.

Times are float64 seconds since the first arrival; the API rounds each boundary once to int64 ns.
Rows are read as ``row["field"]`` (the form that works with and without JIT).
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]
Rows = npt.NDArray[np.void]  # structured; the dtype is named beside each use
Record = np.void  # one of Rows


BLOCK_TOKENS = 16
"""Tokens in a block of KV, vLLM's default."""

NOBODY = -1


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
    ROUND_ROBIN = 0
    LEAST_OUTSTANDING = 1
    SESSION_AFFINE = 2


class Workload(NamedTuple):
    """Sessions as graphs of steps, in flat arrays.

    n steps, m edges, s sessions. Steps are numbered so that the steps of a session are consecutive and in
    order of recorded start. `child_index[child_start[i]:child_start[i + 1]]` are the steps that start after
    i. Lags and durations are not negative. A call's prompt begins with the first `prefix_tokens` tokens of the
    text (prompt, then output) of the call `prefix_parent`, and with no more of it; what follows is new.
    """

    session_arrival_s: Floats  # (s,) since the first arrival
    session_tail_s: Floats  # (s,) from the last step's end to the session's end
    session_step_start: Ints  # (s + 1,) slice of the session's steps
    kind: Bytes  # (n,) StepKind
    session: Ints  # (n,)
    input_tokens: Ints  # (n,) 0 unless CALL
    output_tokens: Ints  # (n,) 0 unless CALL
    duration_s: Floats  # (n,) recorded length; used for TOOL and GAP
    lag_s: Floats  # (n,) start - latest parent end; roots: start - session arrival
    parent_count: Ints  # (n,)
    child_start: Ints  # (n + 1,)
    child_index: Ints  # (m,)
    prefix_parent: Ints  # (n,) step of that call, in any order but without cycles; NOBODY: none
    prefix_tokens: Ints  # (n,) 0 means that nothing is known to be shared


class StepCost(NamedTuple):
    """Seconds of one engine step, affine in what is in it, and the shares its energy is split by.

    duration = base_s + prefill_token_s * prompt tokens
             + prefill_attention_s * sum(chunk * (context + chunk / 2))
             + decode_s * decoding sequences + decode_context_s * sum(decode contexts)
    `*_share_s` are the roofline terms t_W, t_K and t_C (per step, per token of context read or written, per
    token computed, per token x context attended to).
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


class PowerCurve(NamedTuple):
    """Watts of one replica (all its GPUs) during a step.

    P = idle_w + span_w * min(cap, 1 - exp(-(q0 + q1 * u_bandwidth + q2 * u_compute ** exponent)))
    u_bandwidth = (weight_efficiency * t_W + kv_efficiency * t_K) / duration
    u_compute = compute_efficiency * t_C / duration
    """

    idle_w: float
    span_w: float
    q0: float
    q1: float
    q2: float
    exponent: float
    cap: float
    weight_efficiency: float
    kv_efficiency: float
    compute_efficiency: float


class FleetLimits(NamedTuple):
    """One pool of identical replicas."""

    replicas: int
    router: int
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int  # tokens
    num_blocks: int  # usable ones: vLLM's num_gpu_blocks less its placeholder
    max_model_len: int
    enable_prefix_cache: int  # 0 or 1

    @property
    def kv_capacity_tokens(self) -> int:
        """Tokens whose KV one replica can hold."""
        return self.block_size * self.num_blocks


CALL_ROW = np.dtype(
    [
        ("step", np.int64),
        ("session", np.int64),
        ("replica", np.int64),  # -1: refused
        ("input_tokens", np.int64),
        ("output_tokens", np.int64),
        ("cached_tokens", np.int64),  # prompt tokens found in the cache when it was first admitted
        ("preemptions", np.int64),
        ("queued_s", np.float64),
        ("started_s", np.float64),
        ("first_token_s", np.float64),
        ("end_s", np.float64),
        ("energy_j", np.float64),  # its share of busy joules (average view), recomputed work included
        ("busy_s", np.float64),  # its share of busy replica-seconds, by the same split
    ],
    align=True,
)

SEGMENT_ROW = np.dtype(
    [
        ("replica", np.int64),
        ("state", np.int64),
        ("cause", np.int64),
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("energy_j", np.float64),
        ("steps", np.int64),
    ],
    align=True,
)

STEP_ROW = np.dtype(
    [
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("idle_j", np.float64),  # tools: idle joules that waited for this tool
        ("idle_s", np.float64),
    ],
    align=True,
)

SESSION_ROW = np.dtype(
    [
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("idle_j", np.float64, (6,)),  # by Cause
        ("idle_s", np.float64, (6,)),
    ],
    align=True,
)


class Outcome(NamedTuple):
    """What one replay returns.

    `calls` in order of step, `steps` one row a step, `sessions` one row a session, `segments` ordered by
    replica then time and gapless from 0 to horizon_s for every replica.
    """

    calls: Rows  # CALL_ROW
    steps: Rows  # STEP_ROW
    sessions: Rows  # SESSION_ROW
    segments: Rows  # SEGMENT_ROW
    horizon_s: float
    null_idle_j: float  # no_demand joules: nobody's
    null_idle_s: float
    kv_token_s: float  # integral over time of the tokens in blocks that running calls hold, all replicas
    kv_peak_tokens: int  # the most that one replica's running calls held
    evicted_blocks: int  # cached blocks that were forgotten
    refused: int
    engine_steps: int
