"""The definition of the replay: slow, obvious, token by token, from the design and not from the kernel.

What is in a step, and the KV memory block by block, is the vLLM V1 replica's of tests/oracle/vllm_v1.py.
Every call is an object that takes part in every engine step it is in and gets its share of that step at once;
the cause of idleness is worked out from scratch for every stretch of time between two instants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tests.oracle import vllm_v1
from tests.oracle.vllm_scheduler.workload import BLOCK_TOKENS
from tests.oracle.vllm_scheduler.workload import Call as Request
from tests.oracle.vllm_scheduler.workload import Limits as EngineLimits
from tests.oracle.vllm_scheduler.workload import Step as EngineStep
from tracekit.analyzers.kernels.layout import (
    CALL_ROW,
    SEGMENT_ROW,
    SESSION_ROW,
    STEP_ROW,
    Cause,
    FleetLimits,
    Outcome,
    PowerCurve,
    Router,
    State,
    StepCost,
    StepKind,
    Workload,
)

COMPLETION, END, START = 0, 1, 2


@dataclass(eq=False)
class Call:
    step: Step
    prompt: int
    output: int
    placed: int | None = None  # rank in the order of placement
    replica: int = -1
    queued_s: float = 0.0
    started_s: float = 0.0
    first_token_s: float = 0.0
    end_s: float = 0.0
    text: list[int] = field(default_factory=list)  # every token of prompt and output, by what it is
    is_admitted: bool = False  # or was, before a preemption
    cached: int = 0
    preemptions: int = 0
    emitted: int = 0
    decodes: bool = False  # else its next tokens are those of a prompt, or of what a preemption lost
    passed_over: bool = False
    energy_j: float = 0.0
    busy_s: float = 0.0


@dataclass(eq=False)
class Step:
    number: int
    kind: StepKind
    session: Session
    input_tokens: int
    output_tokens: int
    duration_s: float
    lag_s: float
    call: Call | None = None
    parents: list[Step] = field(default_factory=list)
    children: list[Step] = field(default_factory=list)
    start_s: float | None = None
    end_s: float | None = None
    idle_s: float = 0.0

    @property
    def is_open(self) -> bool:
        return self.start_s is not None and self.end_s is None


@dataclass(eq=False)
class Session:
    number: int
    arrival_s: float
    tail_s: float
    steps: list[Step] = field(default_factory=list)
    idle_s: list[float] = field(default_factory=lambda: [0.0] * 6)

    @property
    def calls(self) -> list[Step]:
        return [step for step in self.steps if step.kind == StepKind.CALL]

    @property
    def open_tools(self) -> list[Step]:
        return [step for step in self.steps if step.kind == StepKind.TOOL and step.is_open]

    @property
    def has_call_in_flight(self) -> bool:
        return any(step.is_open for step in self.calls)

    @property
    def has_later_call(self) -> bool:
        return any(step.start_s is None for step in self.calls)

    @property
    def placed_calls(self) -> list[Call]:
        """Return its placed calls, latest last."""
        placed = [step.call for step in self.calls if step.call.placed is not None]
        return sorted(placed, key=lambda call: call.placed)

    @property
    def end_s(self) -> float:
        return max((step.end_s for step in self.steps), default=self.arrival_s) + self.tail_s


@dataclass
class Part:
    """What one call does in one engine step."""

    call: Call
    tokens: int
    context: int  # tokens before these
    decodes: bool

    @property
    def kv_tokens(self) -> int:
        return self.context if self.decodes else self.context + self.tokens

    @property
    def attended(self) -> float:
        return float(self.context) if self.decodes else self.tokens * (self.context + self.tokens / 2)


@dataclass
class Piece:
    state: State
    cause: Cause
    start_s: float
    end_s: float
    energy_j: float
    steps: int


@dataclass(eq=False)
class Replica:
    number: int
    engine: vllm_v1.Replica
    blocks: int
    calls: dict[int, Call] = field(default_factory=dict)  # placed here, by step
    engine_parts: list[vllm_v1.Part] = field(default_factory=list)  # of the step it is in
    parts: list[Part] | None = None
    pieces: list[Piece] = field(default_factory=list)

    @property
    def waiting(self) -> list[Call]:
        return [self.calls[request.number] for request in self.engine.waiting]

    @property
    def running(self) -> list[Call]:
        return [self.calls[request.number] for request in self.engine.running]

    @property
    def held_tokens(self) -> int:
        return BLOCK_TOKENS * (self.blocks - self.engine.memory.free)

    def add_piece(self, piece: Piece) -> None:
        if self.pieces and (self.pieces[-1].state, self.pieces[-1].cause) == (piece.state, piece.cause):
            last = self.pieces[-1]
            last.end_s = piece.end_s
            last.energy_j += piece.energy_j
            last.steps += piece.steps
        else:
            self.pieces.append(piece)


class Replay:
    def __init__(self, workload: Workload, cost: StepCost, power: PowerCurve, limits: FleetLimits) -> None:
        self.cost, self.power, self.limits = cost, power, limits
        self.sessions, self.steps = read_graph(workload)
        write_texts(workload, self.steps)
        assert limits.block_size == BLOCK_TOKENS
        texts = [step.call.text for step in self.steps if step.call]
        # with a block for everything, nothing is ever preempted or forgotten
        blocks = min(limits.num_blocks, 1 + sum(vllm_v1.blocks_for(len(text)) for text in texts))
        self.replicas = [
            Replica(number, vllm_v1.Replica(engine_limits(limits, blocks)), blocks)
            for number in range(limits.replicas)
        ]
        self.pending: list[tuple[float, int, int]] = []
        self.clock = 0.0
        self.placements = 0
        self.refused = 0
        self.engine_steps = 0
        self.null_idle_s = 0.0
        self.kv_token_s = 0.0
        self.kv_peak_tokens = 0

    def run(self) -> Outcome:
        for step in self.steps:
            if not step.parents:
                self.pending.append((step.session.arrival_s + step.lag_s, START, step.number))
        while self.pending:
            now = min(self.pending)[0]
            self.let_time_pass(now)
            while self.pending and min(self.pending)[0] == now:
                event = min(self.pending)
                self.pending.remove(event)
                self.handle(event[1], event[2])
            for replica in self.replicas:
                if replica.parts is None and (replica.waiting or replica.running):
                    self.start_engine_step(replica)
        horizon = max((session.end_s for session in self.sessions), default=0.0)
        self.let_time_pass(horizon)
        return self.outcome(horizon)

    def handle(self, kind: int, number: int) -> None:
        if kind == COMPLETION:
            self.complete_engine_step(self.replicas[number])
        elif kind == END:
            self.end_step(self.steps[number])
        else:
            self.start_step(self.steps[number])

    # --- the session graph ---

    def start_step(self, step: Step) -> None:
        step.start_s = self.clock
        if step.kind == StepKind.CALL:
            self.place(step.call)
        else:
            self.pending.append((self.clock + step.duration_s, END, step.number))

    def end_step(self, step: Step) -> None:
        step.end_s = self.clock
        for child in step.children:
            if all(parent.end_s is not None for parent in child.parents):
                latest = max(parent.end_s for parent in child.parents)
                self.pending.append((latest + child.lag_s, START, child.number))

    def place(self, call: Call) -> None:
        call.queued_s = self.clock
        if (
            call.prompt + call.output > self.limits.max_model_len
            or vllm_v1.blocks_for(call.prompt + call.output - 1) > self.limits.num_blocks
        ):
            call.started_s = call.first_token_s = call.end_s = self.clock
            self.refused += 1
            self.end_step(call.step)
            return
        call.replica = self.route(call)
        call.placed = self.placements
        self.placements += 1
        replica = self.replicas[call.replica]
        replica.calls[call.step.number] = call
        request = Request(0, -1, False, 0, call.prompt, call.output, True, False)
        replica.engine.add(call.step.number, request, call.text)

    def route(self, call: Call) -> int:
        if self.limits.router == Router.ROUND_ROBIN:
            return self.placements % self.limits.replicas
        placed = call.step.session.placed_calls
        if self.limits.router == Router.SESSION_AFFINE and placed:
            return placed[0].replica
        return min(self.replicas, key=lambda r: (len(r.waiting) + len(r.running), r.number)).number

    # --- engine steps ---

    def schedule(self, replica: Replica) -> list[Part]:
        """Return what the next step computes, admitting and preempting calls."""
        engine_step = EngineStep([], [], [], [], 0, 0, 0)
        replica.engine_parts = replica.engine.schedule(engine_step)
        for number in engine_step.preempted:
            replica.calls[number].preemptions += 1
            replica.calls[number].decodes = False
        for number, cached in engine_step.admitted:
            call = replica.calls[number]
            call.passed_over = False
            if not call.is_admitted:
                call.is_admitted, call.started_s, call.cached = True, self.clock, cached
        for call in replica.waiting:
            call.passed_over = True
        return [self.part(replica, part) for part in replica.engine_parts]

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
        cost = self.cost
        seconds = (
            cost.base_s
            + cost.prefill_token_s * sum(part.tokens for part in chunks)
            + cost.prefill_attention_s * sum(part.attended for part in chunks)
            + cost.decode_s * len(decodes)
            + cost.decode_context_s * sum(part.context for part in decodes)
        )
        joules = self.share_step(parts, seconds)
        state = State.MIXED if chunks and decodes else State.PREFILL if chunks else State.DECODE
        end = self.clock + seconds
        replica.add_piece(Piece(state, Cause.NONE, self.clock, end, joules, 1))
        self.kv_peak_tokens = max(self.kv_peak_tokens, replica.held_tokens)
        self.engine_steps += 1
        self.pending.append((end, COMPLETION, replica.number))

    def share_step(self, parts: list[Part], seconds: float) -> float:
        """Give every call its part of the step's energy and time; return the energy."""
        cost = self.cost
        weight_s = cost.weight_share_s
        kv = [part.kv_tokens for part in parts]
        kv_s = cost.kv_token_share_s * sum(kv)
        compute = [
            cost.token_compute_share_s * part.tokens + cost.attention_compute_share_s * part.attended
            for part in parts
        ]
        compute_s = sum(compute)
        joules = self.watts(weight_s, kv_s, compute_s, seconds) * seconds
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
        return joules

    def watts(self, weight_s: float, kv_s: float, compute_s: float, seconds: float) -> float:
        power = self.power
        if seconds == 0:
            return power.idle_w
        bandwidth = (power.weight_efficiency * weight_s + power.kv_efficiency * kv_s) / seconds
        compute = power.compute_efficiency * compute_s / seconds
        saturating = 1 - math.exp(-(power.q0 + power.q1 * bandwidth + power.q2 * compute**power.exponent))
        return power.idle_w + power.span_w * min(power.cap, saturating)

    def complete_engine_step(self, replica: Replica) -> None:
        engine_step = EngineStep([], [], [], [], 0, 0, 0)
        replica.engine.see_end(replica.engine_parts, engine_step)
        replica.parts = None
        for part in replica.engine_parts:
            call = replica.calls[part.request.number]
            if part.emits:
                call.decodes = True
                call.emitted += 1
                if call.emitted == 1:
                    call.first_token_s = self.clock
        for number in engine_step.finished:
            call = replica.calls[number]
            assert call.emitted == call.output
            call.end_s = self.clock
            self.end_step(call.step)

    # --- idle time ---

    def let_time_pass(self, now: float) -> None:
        elapsed = now - self.clock
        if elapsed > 0:
            self.kv_token_s += elapsed * sum(replica.held_tokens for replica in self.replicas)
            for replica in self.replicas:
                if replica.parts is None:
                    self.pass_idle(replica, now, elapsed)
        self.clock = now

    def pass_idle(self, replica: Replica, now: float, elapsed: float) -> None:
        cause, sessions = self.explain_idle(replica)
        replica.add_piece(Piece(State.IDLE, cause, self.clock, now, self.power.idle_w * elapsed, 0))
        if cause == Cause.NO_DEMAND:
            self.null_idle_s += elapsed
        for session in sessions:
            share = elapsed / len(sessions)
            session.idle_s[cause] += share
            if cause == Cause.TOOL_WAIT:
                for tool in session.open_tools:
                    tool.idle_s += share / len(session.open_tools)

    def explain_idle(self, replica: Replica) -> tuple[Cause, list[Session]]:
        """Return the first cause that holds, and the sessions that make it true."""
        others = [other for other in self.replicas if other is not replica]
        passed = {call.step.session for other in others for call in other.waiting if call.passed_over}
        if passed:
            return Cause.IMBALANCE, list(passed)
        attached = [
            session
            for session in self.sessions
            if session.placed_calls
            and session.placed_calls[-1].replica == replica.number
            and session.has_later_call
        ]
        quiet = [session for session in attached if not session.has_call_in_flight]
        in_tools = [session for session in quiet if session.open_tools]
        if in_tools:
            return Cause.TOOL_WAIT, in_tools
        if quiet:
            return Cause.CLIENT_WAIT, quiet
        if attached:
            return Cause.PEER_CALL, attached
        return Cause.NO_DEMAND, []

    # --- the result, in the kernel's layout ---

    def outcome(self, horizon: float) -> Outcome:
        idle_w = self.power.idle_w
        calls = [step.call for step in self.steps if step.call]
        return Outcome(
            np.array([self.call_row(call) for call in calls], CALL_ROW),
            np.array([(s.start_s, s.end_s, idle_w * s.idle_s, s.idle_s) for s in self.steps], STEP_ROW),
            np.array(
                [
                    (s.arrival_s, s.end_s, [idle_w * idle for idle in s.idle_s], s.idle_s)
                    for s in self.sessions
                ],
                SESSION_ROW,
            ),
            np.array(
                [
                    (
                        replica.number,
                        piece.state,
                        piece.cause,
                        piece.start_s,
                        piece.end_s,
                        piece.energy_j,
                        piece.steps,
                    )
                    for replica in self.replicas
                    for piece in replica.pieces
                ],
                SEGMENT_ROW,
            ),
            horizon,
            idle_w * self.null_idle_s,
            self.null_idle_s,
            self.kv_token_s,
            self.kv_peak_tokens,
            sum(replica.engine.memory.evicted for replica in self.replicas),
            self.refused,
            self.engine_steps,
        )

    @staticmethod
    def call_row(call: Call) -> tuple[float, ...]:
        step = call.step
        return (
            step.number,
            step.session.number,
            call.replica,
            step.input_tokens,
            step.output_tokens,
            call.cached,
            call.preemptions,
            call.queued_s,
            call.started_s,
            call.first_token_s,
            call.end_s,
            call.energy_j,
            call.busy_s,
        )


def read_graph(workload: Workload) -> tuple[list[Session], list[Step]]:
    sessions = [
        Session(number, float(workload.session_arrival_s[number]), float(workload.session_tail_s[number]))
        for number in range(len(workload.session_arrival_s))
    ]
    steps = []
    for number, kind in enumerate(workload.kind):
        session = sessions[workload.session[number]]
        step = Step(
            number,
            StepKind(int(kind)),
            session,
            int(workload.input_tokens[number]),
            int(workload.output_tokens[number]),
            float(workload.duration_s[number]),
            float(workload.lag_s[number]),
        )
        if step.kind == StepKind.CALL:
            step.call = Call(step, max(1, step.input_tokens), max(1, step.output_tokens))
        session.steps.append(step)
        steps.append(step)
    for number, step in enumerate(steps):
        for edge in range(workload.child_start[number], workload.child_start[number + 1]):
            child = steps[workload.child_index[edge]]
            step.children.append(child)
            child.parents.append(step)
    return sessions, steps


def write_texts(workload: Workload, steps: list[Step]) -> None:
    """Give every call its text: the shared beginning of its parent's, then tokens that no other call has."""

    def write(step: Step) -> None:
        if step.call is None or step.call.text:
            return
        text: list[int] = []
        parent = int(workload.prefix_parent[step.number])
        if parent >= 0 and steps[parent].call:
            write(steps[parent])
            text = steps[parent].call.text[: min(int(workload.prefix_tokens[step.number]), step.call.prompt)]
        fresh = (step.number + 1) * 10**9
        length = step.call.prompt + step.call.output
        step.call.text = text + list(range(fresh + len(text), fresh + length))

    for step in steps:
        write(step)


def engine_limits(limits: FleetLimits, blocks: int) -> EngineLimits:
    return EngineLimits(
        num_gpu_blocks=1 + blocks,  # one is a placeholder
        max_num_seqs=limits.max_num_seqs,
        max_num_batched_tokens=limits.max_num_batched_tokens,
        max_model_len=limits.max_model_len,
        prefix_caching=bool(limits.enable_prefix_cache),
    )


def replay_by_hand(workload: Workload, cost: StepCost, power: PowerCurve, limits: FleetLimits) -> Outcome:
    return Replay(workload, cost, power, limits).run()
