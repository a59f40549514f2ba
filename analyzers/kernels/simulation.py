"""Everything that a replay reads and writes: arrays of records, so that signatures stay short.

A view of one record (`engine`, `ticket`, `agent`) can be read and written with and without JIT.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracekit.analyzers.kernels.events import KIND_SHIFT, heap_push
from tracekit.analyzers.kernels.jit import small_kernel
from tracekit.analyzers.kernels.kv_memory import KvMemory
from tracekit.analyzers.kernels.layout import (
    NOBODY,
    Bytes,
    Cause,
    Floats,
    Ints,
    Rows,
    SmallInts,
    State,
    StepKind,
)

TICKET_BITS = 32
"""Of an item of a finish heap; above them is the rank of the call's admission."""
TICKET_MASK = (1 << TICKET_BITS) - 1

CALL, TOOL = int(StepKind.CALL), int(StepKind.TOOL)
PREFILL, DECODE, MIXED = int(State.PREFILL), int(State.DECODE), int(State.MIXED)
IDLE, STARTING, OFF = int(State.IDLE), int(State.STARTING), int(State.OFF)
NO_CAUSE, NO_DEMAND, TRANSFER = int(Cause.NONE), int(Cause.NO_DEMAND), int(Cause.TRANSFER)
IMBALANCE, TOOL_WAIT = int(Cause.IMBALANCE), int(Cause.TOOL_WAIT)
CLIENT_WAIT, PEER_CALL = int(Cause.CLIENT_WAIT), int(Cause.PEER_CALL)
CAUSES = len(Cause) - 1

ENGINE = np.dtype(
    [
        ("pool", np.int64),
        ("tier", np.int64),
        ("power_state", np.int64),  # IDLE (on), STARTING or OFF
        ("busy", np.int64),
        ("outstanding", np.int64),  # calls queued, running or coming
        ("waiting", np.int64),  # root of the heap of waiting tickets
        ("fresh_head", np.int64),  # waiting tickets that no scheduling pass has seen
        ("prompt_head", np.int64),  # the first running call whose prompt is not done
        ("coming_head", np.int64),  # calls placed here whose KV is on its way
        ("hosted_tokens", np.int64),  # in its host memory
        ("hosted_first", np.int64),  # the call whose text there was used longest ago
        ("hosted_last", np.int64),
        ("sent_s", np.float64),  # when all that goes to host memory so far is there
        ("loaded_s", np.float64),  # when all that comes from there so far is here
        ("running", np.int64),
        ("admissions", np.int64),
        ("departures", np.int64),  # from its slots
        ("victims", np.int64),  # preempted or loaded so far: each goes before all others
        ("held_blocks", np.int64),  # by running calls, as counted in kv_token_s
        ("decodes", np.int64),  # running calls that decode; the size of the finish heap
        ("contexts", np.int64),  # sum of their contexts in the next step
        ("decode_steps", np.int64),  # since the last rebase
        ("weight", np.int64),  # contexts of its decoding calls, as the router has seen them
        ("backlog", np.int64),  # prompt tokens still to compute, as far as the router knows
        ("run_index", np.int64),  # decode steps of the same calls so far; NOBODY: others than before
        ("run_planned", np.int64),  # decode steps under way; 0: a step with prompts
        ("run_taken", np.int64),  # blocks of them that are taken already, and not counted yet
        ("run_from_s", np.float64),
        ("run_first_s", np.float64),  # seconds of the first of them
        ("run_growth_s", np.float64),  # and by how much each next one is longer
        ("step_from_s", np.float64),
        ("flat_j", np.float64),  # prefix sums over decode steps: see `book_decodes`
        ("slope_j", np.float64),
        ("ramp_j", np.float64),
        ("flat_s", np.float64),
        ("slope_s", np.float64),
        ("ramp_s", np.float64),
        ("cause", np.int64),  # NO_CAUSE while not idle
        ("idle_state", np.int64),  # state of the open segment while not busy
        ("quiet_from_s", np.float64),  # since when it has had no call
        ("idle_from_s", np.float64),  # its start
        ("accrued_s", np.float64),  # up to where its IDLE_TALLY includes it
        ("last_segment", np.int64),
        ("is_touched", np.int64),  # in `touched`: may start a step at this instant
        ("is_unsettled", np.int64),  # in `unsettled`: its cause of idleness may have changed
    ],
    align=True,
)

TICKET = np.dtype(
    [
        ("call", np.int64),
        ("prompt", np.int64),
        ("output", np.int64),
        (
            "goal",
            np.int64,
        ),  # tokens to compute before the next is emitted: prompt; outputs before a preemption
        ("done", np.int64),  # of them, those computed
        ("chunk", np.int64),  # of them, those in the step at hand
        ("owed", np.int64),  # prompt tokens it counts for in its replica's backlog
        ("rank", np.int64),  # of its latest admission
        ("waits", np.int64),  # 1 in the queue, 0 running
        ("passed_over", np.int64),
        ("came_with_kv", np.int64),  # its prompt was computed elsewhere
        ("loaded_from", np.int64),  # blocks of its prompt that came from host memory
        ("loaded_to", np.int64),
        ("next_inner", np.int64),  # the next edge to a step that starts inside it; NOBODY: none
        ("seat", np.int64),  # its slot, where a replica has slots
        ("is_pinned", np.int64),  # it is over, and keeps its blocks
        ("pinned_on", np.int64),
        ("pinned_until_s", np.float64),
        ("priority", np.float64),  # in the queue: less goes first, then by turn
        ("turn", np.int64),
        ("child", np.int64),  # links of the heap of waiting tickets
        ("sibling", np.int64),
        ("next", np.int64),  # fresh; coming; pinned of the same session; spare
    ],
    align=True,
)
"""A call that is placed and not ended."""

INNER = np.dtype(
    [
        ("parent", np.int64),
        ("token", np.int64),  # of the parent's output; 0: when it is queued
        ("fraction", np.float64),  # of the parent's length, if it is no call
        ("child", np.int64),
        ("is_open", np.int64),
    ],
    align=True,
)
"""An edge to a step that starts inside its parent."""

SEAT = np.dtype(
    [
        ("busy", np.int64),
        ("call", np.int64),  # whose text it holds; NOBODY: nobody's
        ("tokens", np.int64),
        ("left", np.int64),  # which of the departures from the replica's slots this was; 0: never used
    ],
    align=True,
)
"""A slot of a replica with slots."""

HOSTED = np.dtype(
    [
        ("replica", np.int64),  # in whose host memory it is; NOBODY: in none
        ("tokens", np.int64),
        ("there_s", np.float64),  # when all of it is
        ("before", np.int64),  # links of those in the same memory, by last use
        ("after", np.int64),
        ("sibling", np.int64),  # another of the same session, in any memory
    ],
    align=True,
)
"""The text of a call that has ended, in host memory."""

IDLE_TALLY = np.dtype(
    [
        ("sessions", np.int64),  # that would make the cause true for the replica
        ("share", np.float64),  # idle seconds per such session, prefix sum
    ],
    align=True,
)

AGENT = np.dtype(
    [
        ("tail_s", np.float64),
        ("in_flight", np.int64),
        ("open_tools", np.int64),
        ("attained", np.int64),  # tokens computed for its ended calls
        ("tool_share_s", np.float64),  # idle per open tool, prefix sums
        ("tool_share_j", np.float64),
    ],
    align=True,
)

PLACE = np.dtype(
    [
        ("home", np.int64),  # replica of the session's latest placed call
        ("to_place", np.int64),  # calls not yet placed
        ("pinned", np.int64),  # head of its calls that keep their blocks
        ("hosted", np.int64),  # head of its calls whose text is in host memory
        ("counted_home", np.int64),  # where and as what the session is counted in `idle`
        ("counted_as", np.int64),
        ("counted_tools", np.int64),
        ("mark", np.float64),  # share of that IDLE_TALLY when it was counted
        ("passed_calls", np.int64),
        ("passed_mark_s", np.float64),
        ("passed_mark_j", np.float64),
        ("passed_mark_usd", np.float64),
    ],
    align=True,
)
"""A session in a tier."""

TIER = np.dtype(
    [
        ("first_replica", np.int64),
        ("end_replica", np.int64),
        ("next", np.int64),  # where its calls go on to decode; NOBODY: they end here
        ("turn", np.int64),  # round-robin
        ("passed_sessions", np.int64),  # sessions with a call passed over
        ("imbalanced", np.int64),  # replicas idle by imbalance
        ("imbalanced_w", np.float64),  # and what they draw and cost
        ("imbalanced_usd_s", np.float64),
        ("share_s", np.float64),  # idle by imbalance per such session, prefix sums
        ("share_j", np.float64),
        ("share_usd", np.float64),
        ("until_s", np.float64),
    ],
    align=True,
)
"""The replicas among which a router chooses."""

TALLY = np.dtype(
    [
        ("is_open", np.int64),  # whether the first instant was
        ("steps_left", np.int64),  # of sessions, not ended
        ("horizon_s", np.float64),
        ("events", np.int64),
        ("roots", np.int64),  # root steps started
        ("touched", np.int64),
        ("unsettled", np.int64),
        ("turns", np.int64),  # calls queued so far
        ("spare_ticket", np.int64),
        ("used_tickets", np.int64),
        ("segments", np.int64),
        ("engine_steps", np.int64),
        ("refused", np.int64),
        ("held_tokens", np.int64),
        ("peak_tokens", np.int64),  # of one replica
        ("peak_fraction", np.float64),
        ("kv_token_s", np.float64),
        ("kv_until_s", np.float64),
        ("null_idle_s", np.float64),
        ("null_idle_j", np.float64),
        ("null_idle_usd", np.float64),
    ],
    align=True,
)


class Simulation(NamedTuple):
    """For p pools, r replicas, t tiers, n steps, m edges (k of them inner), c calls and s sessions."""

    router: int
    seed: int
    queue_order: int
    kind: Bytes  # (n,) of the workload, as the next six
    session: SmallInts  # (n,)
    input_tokens: SmallInts  # (n,)
    output_tokens: SmallInts  # (n,)
    duration_s: Floats  # (n,)
    lag_s: Floats  # (n,)
    child_start: SmallInts  # (n + 1,) into `children`
    children: SmallInts  # (m - k,) but for those that start inside
    inner: Rows  # (k,) INNER, by parent, then token
    calls_before: SmallInts  # (n,)
    parents_left: SmallInts  # (n,)
    arrival_s: Floats  # (s,)
    pools: Rows  # (p,) POOL_ROW
    tiers: Rows  # (t,) TIER
    events: Rows  # (n + k + 2 c + 4 r,) ENTRY, heap of what is pending but for ends of engine steps
    roots: Rows  # ENTRY, starts of root steps in order; they never enter the heap
    ends: Floats  # when each replica's step ends; never if it is not busy
    winners: Ints  # the tournament among them
    engines: Rows  # (r,) ENGINE
    finishes: Rows  # (r, most running calls) ENTRY, heaps of decode_steps: calls end, or steps start in them
    phases: Ints  # (r, block_size) decoding calls by anchor
    memory: KvMemory
    seats: Rows  # (r, most slots) SEAT; (0, 0) if no replica has slots
    hosted: Rows  # (c,) HOSTED; (0,) if no replica offloads
    lanes: Bytes  # (n,) the tier that each call comes to first; (0,): all to the same
    prefix_call: SmallInts  # (c,) whose text the prompt begins with; (0,) if nobody needs it, as the next two
    prefix_tokens: SmallInts  # (c,) so many tokens
    prefix_lifts: Rows  # (c,) LIFT, ways up that tree
    tickets: Rows  # (c,) TICKET
    agents: Rows  # (s,) AGENT
    places: Rows  # (s, t) PLACE
    idle: Rows  # (r, CAUSES) IDLE_TALLY
    foreseen: Ints  # (r,) tokens that the call at hand would find
    touched: Ints  # (r,)
    unsettled: Ints  # (r,)
    tally: Rows  # (1,) TALLY
    calls: Rows  # (c,) CALL_ROW
    waits: Rows  # (n - c,) WAIT_ROW
    sessions: Rows  # (s,) SESSION_ROW


def zeros(shape: int | tuple[int, ...], row: np.dtype[np.void], **filled: npt.ArrayLike) -> Rows:
    """Return records of 0, but for the fields named; memory that is never touched is never used."""
    rows = np.zeros(shape, row)
    for field, values in filled.items():
        rows[field] = values
    return rows


@small_kernel
def first_tier(sim: Simulation, step: int) -> int:
    """Return the tier that the call comes to first."""
    return int(sim.lanes[step]) if sim.lanes.size else 0


@small_kernel
def touch(sim: Simulation, replica: int) -> None:
    """Let the replica see, once this instant is drained, whether it can start a step."""
    engine = sim.engines[replica]
    if not engine["is_touched"]:
        engine["is_touched"] = 1
        sim.touched[sim.tally[0]["touched"]] = replica
        sim.tally[0]["touched"] += 1


@small_kernel
def unsettle(sim: Simulation, replica: int) -> None:
    """Look again, at the end of this instant, why the replica is idle."""
    engine = sim.engines[replica]
    if not engine["is_unsettled"]:
        engine["is_unsettled"] = 1
        sim.unsettled[sim.tally[0]["unsettled"]] = replica
        sim.tally[0]["unsettled"] += 1


@small_kernel
def post(sim: Simulation, time: float, kind: int, ident: int) -> None:
    """Let an event of this kind happen at a time."""
    tally = sim.tally[0]
    heap_push(sim.events, tally["events"], time, (kind << KIND_SHIFT) | ident)
    tally["events"] += 1


@small_kernel
def new_ticket(sim: Simulation) -> int:
    tally = sim.tally[0]
    ticket = tally["spare_ticket"]
    if ticket != NOBODY:
        tally["spare_ticket"] = sim.tickets[ticket]["next"]
    else:
        ticket = tally["used_tickets"]
        tally["used_tickets"] += 1
    return int(ticket)


@small_kernel
def spare_ticket(sim: Simulation, ticket: int) -> None:
    sim.tickets[ticket]["next"] = sim.tally[0]["spare_ticket"]
    sim.tally[0]["spare_ticket"] = ticket
