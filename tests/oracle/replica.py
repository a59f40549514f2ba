"""One replica of a pool: its engine, the calls it has, and what it did when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from tests.oracle import vllm_v1
from tests.oracle.engine import Engine
from tests.oracle.session import Call, Tier
from tests.oracle.slots import SlotEngine
from tracekit.analyzers.kernels.layout import Batching, Cause, Pool, State


class Power(Enum):
    ON = "on"
    STARTING = "starting"
    OFF = "off"


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


@dataclass
class Run:
    """Decode steps of the same calls in a row; the first takes `first_s`, each next one `growth_s` more."""

    calls: list[Call]
    from_s: float
    first_s: float
    growth_s: float
    steps: int = 0

    @property
    def end_s(self) -> float:
        k = self.steps
        return self.from_s + (self.first_s * k + self.growth_s * (k * (k - 1) / 2))


@dataclass(eq=False)
class Replica:
    number: int
    pool: Pool
    pool_number: int
    blocks: int
    power: Power
    tier: Tier
    on_admission: Callable[[Call], None]
    engine: Engine | SlotEngine = field(init=False)
    calls: dict[int, Call] = field(default_factory=dict)  # that came here, by step
    coming: list[Call] = field(default_factory=list)  # placed here, their KV on the way
    quiet: int = 0  # how often it has become quiet
    evicted: int = 0  # by engines that were switched off
    engine_parts: list[vllm_v1.Part] = field(default_factory=list)  # of the step it is in
    parts: list[Part] | None = None
    run: Run | None = None
    pieces: list[Piece] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = self.new_engine()

    def new_engine(self) -> Engine | SlotEngine:
        limits = self.pool.limits
        if limits.batching == Batching.SLOTS:
            return SlotEngine(limits, self.on_admission)
        return Engine(limits, self.blocks, self.tier, self.on_admission)

    @property
    def waiting(self) -> list[Call]:
        return [self.calls[request.number] for request in self.engine.waiting]

    @property
    def running(self) -> list[Call]:
        return [self.calls[request.number] for request in self.engine.running]

    @property
    def outstanding(self) -> int:
        return len(self.waiting) + len(self.running) + len(self.coming)

    @property
    def held_tokens(self) -> int:
        return self.engine.held_tokens

    @property
    def evicted_blocks(self) -> int:
        return self.evicted + self.engine.evicted

    @property
    def backlog_tokens(self) -> int:
        """Return the tokens of prompts that it has still to compute, as far as ended steps tell."""
        return sum(map(self.waiting_tokens, self.engine.waiting)) + sum(
            request.known - request.computed + self.tokens_in_progress(request)
            for request in self.engine.running
            if not self.calls[request.number].decodes
        )

    def waiting_tokens(self, request: vllm_v1.Request) -> int:
        call = self.calls[request.number]
        if call.is_preempted:
            return request.known
        return 0 if request in self.engine.with_kv else call.new_tokens

    def tokens_in_progress(self, request: vllm_v1.Request) -> int:
        if self.parts is None:
            return 0
        return sum(part.tokens for part in self.engine_parts if part.request is request)

    @property
    def decoding_tokens(self) -> int:
        """Return the contexts of its decodes, in the step in progress or the next one."""
        return sum(r.known for r in self.engine.running if self.calls[r.number].decodes)

    def enqueue(self, call: Call) -> None:
        """Let it wait: after those that were preempted, then by priority and turn."""
        self.calls[call.step.number] = call
        call.passed_over = call.is_preempted = False
        self.engine.enqueue(call)
        waiting = [(request, self.calls[request.number]) for request in self.engine.waiting]
        preempted = [request for request, other in waiting if other.is_preempted]
        others = sorted(
            (pair for pair in waiting if not pair[1].is_preempted),
            key=lambda pair: (pair[1].priority, pair[1].turn),
        )
        self.engine.waiting = preempted + [request for request, _ in others]

    def forget(self) -> None:
        """Start anew, with empty memory."""
        assert self.outstanding == 0
        self.evicted += self.engine.evicted
        self.engine = self.new_engine()

    def add_piece(self, piece: Piece) -> None:
        if self.pieces and (self.pieces[-1].state, self.pieces[-1].cause) == (piece.state, piece.cause):
            last = self.pieces[-1]
            last.end_s = piece.end_s
            last.energy_j += piece.energy_j
            last.steps += piece.steps
        else:
            self.pieces.append(piece)
