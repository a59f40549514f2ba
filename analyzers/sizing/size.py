"""Sizing as a whole: the best fleets by each objective, or a fleet that exists, and what stands around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tracekit.analyzers.replay import Replay, replay_on
from tracekit.analyzers.sizing.basis import Load
from tracekit.analyzers.sizing.bound import least_replicas
from tracekit.analyzers.sizing.candidate import DEFAULT_MOST_REPLICAS, Candidates
from tracekit.analyzers.sizing.crew import Crew
from tracekit.analyzers.sizing.day import DailyLoad, Elasticity, elasticity
from tracekit.analyzers.sizing.drawn import DRAWN
from tracekit.analyzers.sizing.front import Point, pareto
from tracekit.analyzers.sizing.headroom import Headroom, headroom
from tracekit.analyzers.sizing.replayer import Candidate, Replayer
from tracekit.analyzers.sizing.replicate import REPLICATES
from tracekit.analyzers.sizing.savings import Saving, savings
from tracekit.analyzers.sizing.scan import Scan, scan
from tracekit.analyzers.sizing.search import MEASURES, Best, best_fleet, smallest_passing, value_of
from tracekit.analyzers.sizing.sensitivity import SHIFTS, Sensitivity, sensitivity
from tracekit.analyzers.sizing.verdict import Verdict, judge
from tracekit.analyzers.workers.engine import Engine
from tracekit.analyzers.workers.journal import Journal

BESIDE = 40
"""Replicates that show what a smaller fleet misses; it need not be told from one that passes."""


@dataclass(frozen=True)
class Question:
    """What is asked: the load, what may be chosen, and how thoroughly to look.

    With `existing` nothing is chosen: that fleet is judged. With `daily` the load's rate is that of the busiest hours.
    """

    load: Load
    candidates: Candidates
    objective: str = "cost"
    most_replicas: int = DEFAULT_MOST_REPLICAS
    replicates: int = REPLICATES
    existing: Candidate | None = None
    daily: DailyLoad | None = None
    only_verdict: bool = False
    notes: tuple[str, ...] = ()  # what was done to the load, a sentence each


@dataclass(eq=False)
class Sizing:
    """What is known so far; an interrupted search leaves the rest empty."""

    question: Question
    scan: Scan | None = None
    best: dict[str, Best] = field(default_factory=dict)
    needed: Verdict | None = None  # of an existing fleet's kind the smallest that passes
    one_fewer: Verdict | None = None
    next_cheaper: Verdict | None = None
    with_small: Verdict | None = None  # the best with a small model for some calls, where the answer has none
    without_small: Verdict | None = None  # the best without, where it has one
    headroom: Headroom | None = None
    front: list[Point] = field(default_factory=list)
    sensitivities: list[Sensitivity] = field(default_factory=list)
    savings: list[Saving] = field(default_factory=list)
    elasticity: Elasticity | None = None
    example: Replay | None = None  # of the fleet that is named, by the model as it is
    doing: str = ""
    replays: int = 0
    is_interrupted: bool = False

    @property
    def answer(self) -> Best | None:
        """The best fleet by the objective asked for, or the one that exists, whether it passes or not."""
        return self.best.get(MEASURES[self.question.objective])


def size(
    question: Question,
    engine: Engine,
    journal: Journal | None = None,
    done: Callable[[int, str], None] | None = None,
) -> Sizing:
    """The answer, by the engine's workers; after a KeyboardInterrupt the best so far.

    The journal has what was replayed before, and keeps what is. `done` is told after every replay how many were asked
    for, and what for.

    Raises
    ------
    EngineUnusable : workers were lost, or would compute otherwise.
    JournalRefused : the journal cannot be written.
    """
    sizing = Sizing(question)

    def tell() -> None:
        sizing.replays += 1
        if done is not None:
            done(sizing.replays, sizing.doing)

    replayer = Replayer(question.load, Crew(engine, journal, tell))
    try:
        _answer(replayer, sizing)
        if not question.only_verdict:
            _surroundings(replayer, sizing)
        _days(replayer, sizing)
    except KeyboardInterrupt:
        sizing.is_interrupted = True
    sizing.example = _example(replayer, sizing)
    DRAWN.forget()
    return sizing


def _answer(replayer: Replayer, sizing: Sizing) -> None:
    question = sizing.question
    if question.existing is not None:
        sizing.doing = "judging the fleet"
        verdict = judge(replayer, question.existing, question.replicates, stops_early=False)
        for measure in set(MEASURES.values()):
            sizing.best[measure] = Best(measure, verdict, value_of(verdict, measure))
        sizing.doing = "looking for the smallest of its kind that holds"
        sizing.needed = _needed(replayer, question, question.existing)
        return
    sizing.doing = "looking at every kind"
    sizing.scan = scan(replayer, question.candidates.kinds, question.most_replicas)
    for measure in dict.fromkeys((MEASURES[question.objective], *MEASURES.values())):
        sizing.doing = f"looking for the least {measure}"
        best = best_fleet(replayer, sizing.scan, measure, question.most_replicas, question.replicates)
        if best is not None:
            sizing.best[measure] = best
    _other_models(replayer, sizing)


def _surroundings(replayer: Replayer, sizing: Sizing) -> None:
    question, answer = sizing.question, sizing.answer
    if answer is None:
        return
    candidate = answer.verdict.candidate
    _smaller(replayer, sizing, answer)
    sizing.doing = "looking for the largest rate it holds"
    sizing.headroom = headroom(replayer, candidate)
    if sizing.scan is not None:
        sizing.doing = "drawing the front"
        sizing.front = pareto(replayer, sizing.scan, question.most_replicas)
    for shift in SHIFTS:
        sizing.doing = f"shifting {shift.of.replace('_', ' ')}"
        found = sensitivity(replayer, candidate, shift, question.most_replicas)
        sizing.sensitivities.append(found)
    sizing.doing = "asking what would save"
    sizing.savings = savings(replayer, candidate)


def _days(replayer: Replayer, sizing: Sizing) -> None:
    """What elasticity saves, where a day was asked for."""
    daily, answer = sizing.question.daily, sizing.answer
    if daily is None or answer is None:
        return
    sizing.doing = "replaying days"
    observations = answer.verdict.observations
    in_flight = sum(one.calls_in_flight for one in observations) / len(observations)
    sizing.elasticity = elasticity(replayer, daily, answer.verdict.candidate, in_flight)


def _smaller(replayer: Replayer, sizing: Sizing, answer: Best) -> None:
    """What the next smaller fleets break."""
    question, candidate = sizing.question, answer.verdict.candidate
    kind = candidate.kind
    beside = min(question.replicates, BESIDE)
    sizing.doing = "looking at the next smaller fleets"
    if candidate.replicas > kind.least_replicas:
        fewer = Candidate(kind, candidate.replicas - 1)
        sizing.one_fewer = judge(replayer, fewer, beside, stops_early=False)
    cheaper = None if sizing.scan is None else next_cheaper(sizing.scan, candidate)
    if cheaper is not None:
        sizing.next_cheaper = judge(replayer, cheaper, beside, stops_early=False)


def _other_models(replayer: Replayer, sizing: Sizing) -> None:
    """The best fleet with a small model for some calls where the answer has none, and the other way round."""
    question, found, answer = sizing.question, sizing.scan, sizing.answer
    if found is None or answer is None:
        return
    has_one = answer.verdict.candidate.kind.has_small_model
    rest = Scan(tuple(one for one in found.found if one.kind.has_small_model != has_one), found.skipped)
    if not rest.found:
        return
    sizing.doing = (
        "looking at fleets without the small model" if has_one else "looking at fleets with the small model"
    )
    measure = MEASURES[question.objective]
    best = best_fleet(replayer, rest, measure, question.most_replicas, question.replicates)
    verdict = None if best is None else best.verdict
    if has_one:
        sizing.without_small = verdict
    else:
        sizing.with_small = verdict


def _needed(replayer: Replayer, question: Question, existing: Candidate) -> Verdict | None:
    """Of its kind the smallest that passes."""
    load, kind = question.load, existing.kind
    least = least_replicas(load.workload, replayer.basis(kind).pools, load.rate_per_s)
    most = max(question.most_replicas, existing.replicas)
    return smallest_passing(replayer, kind, least, existing.replicas, most, question.replicates)


def next_cheaper(found: Scan, answer: Candidate) -> Candidate | None:
    """The dearest fleet that costs less than the answer, of any kind that was looked at; None if none does."""
    below = []
    for one in found.found:
        size = one.most
        while size >= one.bound and one.kind.usd_per_h(size) >= answer.usd_per_h:
            size -= 1
        if size >= one.bound:
            below.append(Candidate(one.kind, size))
    return max(below, key=lambda one: (one.usd_per_h, one.kind.sort_key), default=None)


def _example(replayer: Replayer, sizing: Sizing) -> Replay:
    """One replay of the fleet that is named, else of the smallest of the first kind."""
    if sizing.answer is not None:
        candidate = sizing.answer.verdict.candidate
    else:
        first = sizing.question.candidates.kinds[0]
        candidate = Candidate(first, first.least_replicas)
    return replay_on(replayer.workload_of(candidate.kind), candidate.fleet)
