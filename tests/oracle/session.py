"""Sessions, their steps and calls, as objects that remember what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.kernels.layout import StepKind, Workload


class Tier(NamedTuple):
    """Replicas among which a router chooses: those for the same calls, and for the same part of them."""

    lane: int  # which rule its calls meet first
    decodes: bool


class Place(NamedTuple):
    """Where a call went in one tier."""

    replica: int
    rank: int  # in the order of placement


class Inside(NamedTuple):
    """Where a step starts inside its parent: after so many tokens of a call, or so far into a tool or gap."""

    token: int
    fraction: float


@dataclass(eq=False)
class Call:
    step: Step
    number: int  # among the calls of the workload
    prompt: int
    output: int
    lane: int = 0
    places: dict[Tier, Place] = field(default_factory=dict)
    is_refused: bool = False
    queued_s: float = 0.0
    started_s: float = 0.0
    first_token_s: float = 0.0
    end_s: float = 0.0
    text: list[int] = field(default_factory=list)  # every token of prompt and output, by what it is
    is_admitted: bool = False  # or was, before a preemption
    cached: int = 0
    preemptions: int = 0
    emitted: int = 0
    token_s: list[float] = field(default_factory=list)  # when each token was emitted
    decodes: bool = False  # else its next tokens are those of a prompt, or of what a preemption lost
    passed_over: bool = False
    priority: float = 0.0  # in the queue it is in or was in last; lowest first
    turn: int = 0  # of queueing
    is_preempted: bool = False  # and waits for it to be made good
    new_tokens: int = 0  # of its prompt, to the cache of the replica it was placed on last
    energy_j: float = 0.0
    busy_s: float = 0.0
    busy_usd: float = 0.0


@dataclass(eq=False)
class Step:
    number: int
    kind: StepKind
    session: Session
    input_tokens: int
    output_tokens: int
    duration_s: float
    lag_s: float
    model: str | None = None
    call: Call | None = None
    parents: list[Step] = field(default_factory=list)
    children: list[Step] = field(default_factory=list)
    inside: dict[Step, Inside] = field(default_factory=dict)  # parents that it starts inside
    let_go_by: set[Step] = field(default_factory=set)  # parents that it waits for no more
    start_s: float | None = None
    end_s: float | None = None
    idle_s: float = 0.0
    idle_j: float = 0.0

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
    idle_j: list[float] = field(default_factory=lambda: [0.0] * 6)
    idle_usd: list[float] = field(default_factory=lambda: [0.0] * 6)

    @property
    def calls(self) -> list[Step]:
        return [step for step in self.steps if step.kind == StepKind.CALL]

    @property
    def open_tools(self) -> list[Step]:
        return [step for step in self.steps if step.kind == StepKind.TOOL and step.is_open]

    @property
    def has_call_in_flight(self) -> bool:
        return any(step.is_open for step in self.calls)

    def has_later_call(self, tier: Tier) -> bool:
        calls = [step.call for step in self.calls if step.call.lane == tier.lane]
        if not tier.decodes:
            return any(call.step.start_s is None for call in calls)
        return any(call.output >= 2 and tier not in call.places and not call.is_refused for call in calls)

    def latest_place(self, tier: Tier) -> int | None:
        """Return the replica that its latest call of the tier was placed on."""
        places = [step.call.places[tier] for step in self.calls if tier in step.call.places]
        return max(places, key=lambda place: place.rank).replica if places else None

    @property
    def attained_tokens(self) -> int:
        """Return what has been computed for it in calls that have ended."""
        ended = [step.call for step in self.calls if step.end_s is not None and not step.call.is_refused]
        return sum(call.prompt + call.output - call.cached for call in ended)

    @property
    def is_over(self) -> bool:
        return all(step.end_s is not None for step in self.steps)

    @property
    def end_s(self) -> float:
        return max((step.end_s for step in self.steps), default=self.arrival_s) + self.tail_s


def read_graph(workload: Workload) -> tuple[list[Session], list[Step]]:
    sessions = [
        Session(number, float(workload.session_arrival_s[number]), float(workload.session_tail_s[number]))
        for number in range(len(workload.session_arrival_s))
    ]
    steps: list[Step] = []
    calls = 0
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
            workload.models[workload.model[number]]
            if workload.model.size and workload.model[number] >= 0
            else None,
        )
        if step.kind == StepKind.CALL:
            step.call = Call(step, calls, max(1, step.input_tokens), max(1, step.output_tokens))
            calls += 1
        session.steps.append(step)
        steps.append(step)
    for number, step in enumerate(steps):
        for edge in range(workload.child_start[number], workload.child_start[number + 1]):
            child = steps[workload.child_index[edge]]
            step.children.append(child)
            child.parents.append(step)
            for row in np.flatnonzero(workload.inner_edge == edge):
                child.inside[step] = Inside(
                    int(workload.inner_token[row]), float(workload.inner_fraction[row])
                )
    write_texts(workload, steps)
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
