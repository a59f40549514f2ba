"""The definition of the replay: slow, obvious, token by token, from the design and not from the kernel.

What is in a step, and the KV memory block by block, is the vLLM V1 replica's of tests/oracle/vllm_v1.py.
Every call is an object that takes part in every engine step it is in and gets its share of that step at once;
the cause of idleness is worked out from scratch for every stretch of time between two instants.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import IntEnum

import numpy as np

from tests.oracle import vllm_v1
from tests.oracle.fleet import Fleet
from tests.oracle.idleness import explain_idle
from tests.oracle.replica import Part, Piece, Power, Replica, Run
from tests.oracle.session import Call, Place, Session, Step, Tier, read_graph
from tests.oracle.vllm_scheduler.workload import Step as EngineStep
from tracekit.analyzers.kernels.layout import (
    CALL_ROW,
    NOBODY,
    SEGMENT_ROW,
    SESSION_ROW,
    TABLE_NODES,
    WAIT_ROW,
    Cause,
    FleetLimits,
    Outcome,
    Pool,
    PowerCurve,
    QueueOrder,
    Retention,
    State,
    StepCost,
    StepKind,
    Workload,
)
from tracekit.analyzers.kernels.prepare import pool_rows


class Event(IntEnum):
    """What happens, in the order in which it does at one instant."""

    COMPLETION = 0
    READY = 1
    END = 2
    ARRIVAL = 3
    CHECK = 4
    EXPIRY = 5
    OPENING = 6  # of an edge to a step that starts inside a tool or gap
    START = 7


class Replay:
    def __init__(
        self, workload: Workload, pools: Sequence[Pool], router: int, queue_order: int, seed: int
    ) -> None:
        self.pools = pools
        self.sessions, self.steps = read_graph(workload)
        self.calls = [step.call for step in self.steps if step.call]
        texts = [call.text for call in self.calls]
        everything = 1 + sum(vllm_v1.blocks_for(len(text)) for text in texts)
        self.fleet = Fleet(pools, router, seed, everything, self.note_admission)
        self.replicas = self.fleet.replicas
        for call in self.calls:
            call.lane = self.fleet.lane(call)
        self.queue_order = QueueOrder(queue_order)
        self.pending: list[tuple[float, Event, int, int]] = []  # when, what, to whom, which time
        self.clock = 0.0
        self.placements = 0
        self.turns = 0
        self.refused = 0
        self.engine_steps = 0
        self.null_idle_s = 0.0
        self.null_idle_j = 0.0
        self.null_idle_usd = 0.0
        self.kv_token_s = 0.0
        self.kv_peak_tokens = 0
        self.kv_peak_fraction = 0.0

    def run(self) -> Outcome:
        for step in self.steps:
            if not step.parents:
                self.expect(step.session.arrival_s + step.lag_s, Event.START, step.number)
        for replica in self.replicas:
            if replica.power is Power.ON:
                self.become_quiet(replica)
        while self.pending and min(self.pending)[0] < self.horizon:
            self.live_through(min(self.pending)[0])
        horizon = self.horizon
        self.let_time_pass(horizon)
        return self.outcome(horizon)

    @property
    def horizon(self) -> float:
        """Return when the last session ends, as far as that is known."""
        if not all(session.is_over for session in self.sessions):
            return math.inf
        return max((session.end_s for session in self.sessions), default=0.0)

    def live_through(self, now: float) -> None:
        self.let_time_pass(now)
        while self.pending and min(self.pending)[0] == now:
            event = min(self.pending)
            self.pending.remove(event)
            self.handle(*event[1:])
        for replica in self.replicas:
            if replica.parts is None and (replica.waiting or replica.running):
                self.start_engine_step(replica)

    def expect(self, when_s: float, event: Event, number: int, which: int = 0) -> None:
        self.pending.append((when_s, event, number, which))

    def handle(self, event: Event, number: int, which: int) -> None:
        match event:
            case Event.EXPIRY:
                self.replicas[number].engine.expire(self.clock)
            case Event.COMPLETION:
                self.complete_engine_step(self.replicas[number])
            case Event.READY:
                self.replicas[number].power = Power.ON
                self.become_quiet(self.replicas[number])
            case Event.END:
                self.end_step(self.steps[number])
            case Event.ARRIVAL:
                self.receive(self.calls[number])
            case Event.CHECK:
                self.scale_down(self.replicas[number], which)
            case Event.OPENING:
                self.let_child_go(self.steps[which], self.steps[number])
            case Event.START:
                self.start_step(self.steps[number])

    # --- the session graph ---

    def start_step(self, step: Step) -> None:
        step.start_s = self.clock
        if step.kind == StepKind.CALL:
            self.let_children_go(step.call)
            self.take_call(step.call)
            return
        self.expect(self.clock + step.duration_s, Event.END, step.number)
        for child in step.children:
            if step in child.inside:
                opening = self.clock + child.inside[step].fraction * step.duration_s
                self.expect(opening, Event.OPENING, child.number, step.number)

    def end_step(self, step: Step) -> None:
        step.end_s = self.clock
        for child in step.children:
            self.let_child_go(step, child)

    def let_children_go(self, call: Call) -> None:
        """Those that start inside it once it has emitted so many tokens."""
        for child in call.step.children:
            if call.step in child.inside and child.inside[call.step].token <= call.emitted:
                self.let_child_go(call.step, child)

    def let_child_go(self, parent: Step, child: Step) -> None:
        if parent not in child.let_go_by:
            child.let_go_by.add(parent)
            if len(child.let_go_by) == len(child.parents):
                self.expect(self.clock + child.lag_s, Event.START, child.number)

    # --- where calls go ---

    def take_call(self, call: Call) -> None:
        call.queued_s = self.clock
        if self.fleet.can_serve(call):
            replica = self.place(call, self.fleet.tiers(call)[0])
            self.enqueue(replica, call)
            self.scale_up(replica)
        else:
            call.is_refused = True
            call.started_s = call.first_token_s = call.end_s = self.clock
            self.refused += 1
            self.end_step(call.step)
            for tier in {replica.tier for replica in self.replicas}:
                if not call.step.session.has_later_call(tier):
                    self.unpin(call.step.session, tier)

    def place(self, call: Call, tier: Tier) -> Replica:
        replica = self.fleet.choose(call, tier)
        call.places[tier] = Place(replica.number, self.placements)
        call.new_tokens = call.prompt - replica.engine.prompt_tokens_found(call)
        self.placements += 1
        return replica

    def enqueue(self, replica: Replica, call: Call) -> None:
        call.turn = self.turns
        self.turns += 1
        match self.queue_order:
            case QueueOrder.FCFS:
                call.priority = 0.0
            case QueueOrder.SESSION_FCFS:
                call.priority = call.step.session.arrival_s
            case QueueOrder.LEAST_ATTAINED:
                call.priority = float(call.step.session.attained_tokens)
        replica.enqueue(call)

    def transfer(self, call: Call) -> None:
        replica = self.place(call, self.fleet.tiers(call)[1])
        replica.coming.append(call)
        limits = replica.pool.limits
        seconds = limits.transfer_s + call.prompt * limits.transfer_token_s
        self.expect(self.clock + seconds, Event.ARRIVAL, call.number)
        self.scale_up(replica)

    def receive(self, call: Call) -> None:
        replica = self.replicas[call.places[Tier(call.lane, decodes=True)].replica]
        replica.coming.remove(call)
        self.enqueue(replica, call)

    # --- what is kept for a session ---

    def note_admission(self, call: Call, tier: Tier) -> None:
        self.unpin(call.step.session, tier)

    def unpin(self, session: Session, tier: Tier) -> None:
        for replica in self.fleet.tier(tier):
            replica.engine.unpin(session)

    # --- elastic pools ---

    def scale_up(self, placed_on: Replica) -> None:
        """Start one more replica if those of the pool have too many calls."""
        limits = placed_on.pool.limits
        pool = self.fleet.pool(placed_on.pool_number)
        powered = [replica for replica in pool if replica.power is not Power.OFF]
        off = [replica for replica in pool if replica.power is Power.OFF]
        outstanding = sum(replica.outstanding for replica in powered)
        if off and outstanding > limits.scale_up_calls * len(powered):
            off[0].power = Power.STARTING
            self.expect(self.clock + limits.startup_s, Event.READY, off[0].number)

    def become_quiet(self, replica: Replica) -> None:
        limits = replica.pool.limits
        replica.quiet += 1
        if limits.min_replicas:
            self.expect(self.clock + limits.scale_down_s, Event.CHECK, replica.number, replica.quiet)

    def scale_down(self, replica: Replica, quiet: int) -> None:
        pool = self.fleet.pool(replica.pool_number)
        on = [other for other in pool if other.power is Power.ON]
        was_quiet = replica.power is Power.ON and replica.quiet == quiet and not replica.outstanding
        if was_quiet and len(on) > replica.pool.limits.min_replicas:
            replica.power = Power.OFF
            replica.forget()

    # --- engine steps ---

    def schedule(self, replica: Replica) -> list[Part]:
        """Return what the next step computes, admitting and preempting calls."""
        engine_step = EngineStep([], [], [], [], 0, 0, 0)
        replica.engine_parts = replica.engine.schedule(engine_step)
        for number in engine_step.preempted:
            call = replica.calls[number]
            call.preemptions += 1
            call.decodes, call.is_preempted = False, True
        for number, cached in engine_step.admitted:
            self.admit(replica, replica.calls[number], cached)
        for call in replica.waiting:
            call.passed_over = True
        return [self.part(replica, part) for part in replica.engine_parts]

    def admit(self, replica: Replica, call: Call, cached: int) -> None:
        if not call.is_admitted:
            call.is_admitted, call.started_s, call.cached = True, self.clock, cached
        # with the KV of its prompt sent here it goes on to decode at once
        call.decodes = replica.tier.decodes and not call.is_preempted
        call.passed_over = call.is_preempted = False

    @staticmethod
    def part(replica: Replica, part: vllm_v1.Part) -> Part:
        call = replica.calls[part.request.number]
        before = part.request.computed - part.tokens
        # a decode's own token is context too: it is read as the others are
        return Part(call, part.tokens, before + call.decodes, call.decodes)

    def start_engine_step(self, replica: Replica) -> None:
        parts = replica.parts = self.schedule(replica)
        chunks = [part for part in parts if not part.decodes]
        decodes = [part for part in parts if part.decodes]
        cost = replica.pool.cost
        tokens = sum(part.tokens for part in parts)
        seconds = (
            cost.base_s
            + at_tokens(replica.pool.table.step_s, tokens)
            + cost.prompt_s * len(chunks)
            + cost.prompt_context_s * sum(part.kv_tokens for part in chunks)
            + cost.prefill_token_s * sum(part.tokens for part in chunks)
            + cost.prefill_attention_s * sum(part.attended for part in chunks)
            + cost.decode_s * len(decodes)
            + cost.decode_context_s * sum(part.context for part in decodes)
        )
        joules = share_step(replica.pool, parts, seconds)
        state = State.MIXED if chunks and decodes else State.PREFILL if chunks else State.DECODE
        end = self.clock + seconds
        if chunks:
            replica.run = None
        else:
            calls = [part.call for part in decodes]
            if replica.run is None or replica.run.calls != calls:
                replica.run = Run(calls, self.clock, seconds, cost.decode_context_s * len(calls))
            replica.run.steps += 1
            end = replica.run.end_s
        replica.add_piece(Piece(state, Cause.NONE, self.clock, end, joules, 1))
        self.kv_peak_tokens = max(self.kv_peak_tokens, replica.held_tokens)
        held = replica.held_tokens / replica.pool.limits.kv_capacity_tokens
        self.kv_peak_fraction = max(self.kv_peak_fraction, held)
        self.engine_steps += 1
        self.expect(end, Event.COMPLETION, replica.number)

    def complete_engine_step(self, replica: Replica) -> None:
        engine_step = EngineStep([], [], [], [], 0, 0, 0)
        replica.engine.now_s = self.clock
        replica.engine.see_end(replica.engine_parts, engine_step)
        replica.parts = None
        for part in replica.engine_parts:
            call = replica.calls[part.request.number]
            if part.emits:
                call.decodes = True
                call.emitted += 1
                call.token_s.append(self.clock)
                self.let_children_go(call)
                if call.emitted == 1:
                    call.first_token_s = self.clock
        for number in engine_step.finished:
            if replica.pool.limits.retention == Retention.TTL:
                self.expect(self.clock + replica.pool.limits.retention_s, Event.EXPIRY, replica.number)
            self.let_go(replica.calls[number])
        if engine_step.finished and not replica.outstanding:
            self.become_quiet(replica)

    def let_go(self, call: Call) -> None:
        """The call has left a replica: for good, or to be decoded elsewhere."""
        if call.emitted < call.output:
            call.decodes = False
            self.transfer(call)
        else:
            call.end_s = self.clock
            self.end_step(call.step)

    # --- time in which a replica computes nothing ---

    def let_time_pass(self, now: float) -> None:
        elapsed = now - self.clock
        if elapsed > 0:
            self.kv_token_s += elapsed * sum(replica.held_tokens for replica in self.replicas)
            for replica in self.replicas:
                if replica.parts is None:
                    self.pass_unused(replica, now, elapsed)
        self.clock = now

    def pass_unused(self, replica: Replica, now: float, elapsed: float) -> None:
        joules = replica.pool.power.idle_w * elapsed
        if replica.power is Power.OFF:
            replica.add_piece(Piece(State.OFF, Cause.NONE, self.clock, now, 0.0, 0))
        elif replica.power is Power.STARTING:
            replica.add_piece(Piece(State.STARTING, Cause.NONE, self.clock, now, joules, 0))
            self.charge_nobody(replica, elapsed)
        else:
            cause = self.charge_idle(replica, elapsed)
            replica.add_piece(Piece(State.IDLE, cause, self.clock, now, joules, 0))

    def charge_nobody(self, replica: Replica, elapsed: float) -> None:
        self.null_idle_s += elapsed
        self.null_idle_j += elapsed * replica.pool.power.idle_w
        self.null_idle_usd += elapsed * replica.pool.usd_per_s

    def charge_idle(self, replica: Replica, elapsed: float) -> Cause:
        """Give the time to those who are the cause; return the cause."""
        cause, sessions = explain_idle(replica, self.fleet.tier(replica.tier), self.sessions)
        if cause == Cause.NO_DEMAND:
            self.charge_nobody(replica, elapsed)
        idle_w = replica.pool.power.idle_w
        for session in sessions:
            share = elapsed / len(sessions)
            session.idle_s[cause] += share
            session.idle_j[cause] += share * idle_w
            session.idle_usd[cause] += share * replica.pool.usd_per_s
            if cause == Cause.TOOL_WAIT:
                for tool in session.open_tools:
                    tool.idle_s += share / len(session.open_tools)
                    tool.idle_j += share / len(session.open_tools) * idle_w
        return cause

    # --- the result, in the kernel's layout ---

    def outcome(self, horizon: float) -> Outcome:
        waits = [step for step in self.steps if not step.call]
        return Outcome(
            rows(CALL_ROW, map(call_row, self.calls)),
            rows(WAIT_ROW, ({name: vars(step)[name] for name in WAIT_ROW.names} for step in waits)),
            rows(
                SESSION_ROW,
                (
                    {
                        "start_s": session.arrival_s,
                        "end_s": session.end_s,
                        "idle_s": session.idle_s,
                        "idle_j": session.idle_j,
                        "idle_usd": session.idle_usd,
                    }
                    for session in self.sessions
                ),
            ),
            rows(
                SEGMENT_ROW,
                (
                    {"replica": replica.number} | vars(piece)
                    for replica in self.replicas
                    for piece in replica.pieces
                ),
            ),
            pool_rows(self.pools),
            horizon,
            self.null_idle_s,
            self.null_idle_j,
            self.null_idle_usd,
            self.kv_token_s,
            self.kv_peak_tokens,
            self.kv_peak_fraction,
            sum(replica.evicted_blocks for replica in self.replicas),
            self.refused,
            self.engine_steps,
        )


def share_step(pool: Pool, parts: list[Part], seconds: float) -> float:
    """Give every call its part of the step's energy, time and price; return the energy."""
    cost = pool.cost
    weight_s = cost.weight_share_s + at_tokens(pool.table.weight_share_s, sum(part.tokens for part in parts))
    kv = [part.kv_tokens for part in parts]
    kv_s = cost.kv_token_share_s * sum(kv)
    compute = [
        cost.token_compute_share_s * part.tokens + cost.attention_compute_share_s * part.attended
        for part in parts
    ]
    compute_s = sum(compute)
    joules = watts(pool, parts, seconds) * seconds
    total = weight_s + kv_s + compute_s
    for part, kv_tokens, flops in zip(parts, kv, compute, strict=True):
        if total == 0:
            fraction = 1 / len(parts)
        else:
            fraction = weight_s / len(parts)
            fraction += kv_s * kv_tokens / sum(kv) if kv_s else 0.0
            fraction += compute_s * flops / sum(compute) if compute_s else 0.0
            fraction /= total
        part.call.energy_j += joules * fraction
        part.call.busy_s += seconds * fraction
        part.call.busy_usd += seconds * fraction * pool.usd_per_s
    return joules


def watts(pool: Pool, parts: list[Part], seconds: float) -> float:
    power = pool.power
    if seconds == 0:
        return power.idle_w
    chunks = [part for part in parts if not part.decodes]
    decodes = [part for part in parts if part.decodes]
    host_s = power.host_base_s + power.host_prompt_s * len(chunks) + power.host_decode_s * len(decodes)
    driven_s = (
        power.driven_base_s
        + power.driven_prefill_token_s * sum(part.tokens for part in chunks)
        + power.driven_prefill_attention_s * sum(part.attended for part in chunks)
        + power.driven_prompt_context_s * sum(part.kv_tokens for part in chunks)
        + power.driven_decode_s * len(decodes)
        + power.driven_decode_context_s * sum(part.context for part in decodes)
        + at_tokens(pool.table.driven_s, sum(part.tokens for part in parts))
    )
    if seconds <= host_s:
        return power.floor_w
    reach = power.level + driven_s / (seconds - host_s)
    held_back = 1.0 if math.isinf(reach) else reach / (1 + reach**3) ** (1 / 3)
    return power.floor_w + power.span_w * (1 - host_s / seconds) * held_back


def at_tokens(terms: Sequence[float], tokens: int) -> float:
    """A straight line between powers of two."""
    return float(np.interp(tokens, [2**node for node in range(TABLE_NODES)], terms))


def call_row(call: Call) -> dict[str, float]:
    places = [call.places[tier].replica for tier in sorted(call.places)] or [NOBODY]
    return {
        "step": call.step.number,
        "session": call.step.session.number,
        "replica": places[0],
        "decode_replica": places[-1],
        "cached_tokens": call.cached,
        "preemptions": call.preemptions,
        "queued_s": call.queued_s,
        "started_s": call.started_s,
        "first_token_s": call.first_token_s,
        "end_s": call.end_s,
        "energy_j": call.energy_j,
        "busy_s": call.busy_s,
        "busy_usd": call.busy_usd,
    }


def rows(dtype: np.dtype, told: Iterable[dict[str, object]]) -> np.ndarray:
    told = list(told)
    table = np.zeros(len(told), dtype)
    for row, fields in zip(table, told, strict=True):
        for name, value in fields.items():
            row[name] = value
    return table


def replay_pools_by_hand(
    workload: Workload, pools: Sequence[Pool], router: int = 0, queue_order: int = 0, seed: int = 0
) -> Outcome:
    return Replay(workload, pools, router, queue_order, seed).run()


def replay_by_hand(
    workload: Workload,
    cost: StepCost,
    power: PowerCurve,
    limits: FleetLimits,
    *,
    usd_per_s: float = 0.0,
    seed: int = 0,
) -> Outcome:
    pool = Pool(cost, power, limits, usd_per_s)
    return replay_pools_by_hand(workload, [pool], limits.router, limits.queue_order, seed)
