"""What each what-if would save: dollars if the fleet is resized, hours of sessions at its present size.

For every replicate the fewest replicas that meet the objectives are found twice, without the what-if and with it, for
the same sessions at the same times; their differences over the replicates are the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.kernels.layout import StepKind, Workload
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.sizing.candidate import Kind, kind_of
from tracekit.analyzers.sizing.footprint import HOURS_PER_YEAR, Footprint
from tracekit.analyzers.sizing.replayer import Candidate, Replayer, Run
from tracekit.analyzers.sizing.replicate import Replicate
from tracekit.analyzers.sizing.verdict import PASS_SHARE, Interval
from tracekit.analyzers.what_if.changed import changed
from tracekit.analyzers.what_if.scenario import Scenario
from tracekit.errors import TracekitError

REPLICATES_OF_A_SAVING = 10
FARTHEST = 4
"""Times the present size, beyond which a what-if is said not to hold at any size."""
COMBINED = 3
GLIMPSE = 2
"""Replicates that must differ for a what-if to be looked at."""
W_PER_KW = 1000.0


class Need(NamedTuple):
    """One replicate: the fewest replicas, their GPUs' watts, and sessions' mean seconds at the present size."""

    replicas: int | None
    usd_per_h: float | None
    watts: float | None
    gpus: float | None
    session_s: float


class Saving(NamedTuple):
    """One what-if, or several at once: what each replicate needs without it and with it."""

    asked: Mapping[str, str]
    labels: tuple[str, ...]
    warnings: tuple[str, ...]
    before: tuple[Need, ...]
    after: tuple[Need, ...]

    @property
    def name(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.asked.items())

    @property
    def needed_replicas(self) -> int | None:
        """What 95 % of the replicates can do with; None where some have enough at no size."""
        sizes = [need.replicas for need in self.after]
        if any(size is None for size in sizes):
            return None
        return int(percentile(np.array(sizes, np.float64), 100 * PASS_SHARE))

    def usd_per_year(self) -> Interval | None:
        """Saved by the resized fleet; None where no size holds."""
        pairs = self._pairs("usd_per_h")
        return (
            None if pairs is None else Interval.of([HOURS_PER_YEAR * (one - other) for one, other in pairs])
        )

    def session_hours_per_year(self, rate_per_s: float) -> Interval:
        """Saved of all sessions of a year, at the fleet's present size."""
        a_year = rate_per_s * HOURS_PER_YEAR
        pairs = zip(self.before, self.after, strict=True)
        return Interval.of([a_year * (one.session_s - other.session_s) for one, other in pairs])

    def kwh_per_year(self, footprint: Footprint) -> Interval | None:
        """Saved by the resized fleet, with its servers and its building."""
        if any(need.watts is None for need in (*self.before, *self.after)):
            return None
        pairs = zip(self.before, self.after, strict=True)
        return Interval.of(
            [
                HOURS_PER_YEAR / W_PER_KW * (_watts(one, footprint) - _watts(other, footprint))
                for one, other in pairs
            ]
        )

    def _pairs(self, name: str) -> list[tuple[float, float]] | None:
        pairs = [
            (getattr(one, name), getattr(other, name))
            for one, other in zip(self.before, self.after, strict=True)
        ]
        return None if any(value is None for pair in pairs for value in pair) else pairs


def _watts(need: Need, footprint: Footprint) -> float:
    assert need.watts is not None
    assert need.gpus is not None
    return footprint.watts(need.watts, need.gpus)["facility"]


def what_ifs(fleet: Fleet, workload: Workload) -> list[dict[str, str]]:
    """What is worth asking of this fleet and these sessions, a switch of the registry each."""
    pool = fleet.pools[0]
    asked = [
        *({"router": router} for router in ("session-affine", "prefix-aware") if router != fleet.router),
        *(
            {"queue_order": order}
            for order in ("session-fcfs", "least-attained")
            if order != fleet.queue_order
        ),
        {"max_num_batched_tokens": "8192"},
        {"max_num_seqs": "64"},
        {"precision": "fp8"},
        {"kv_compression": "0.5"},
        {"power_cap_w": f"{0.7 * catalog.gpu(pool.gpu).tdp_w:.0f}"},
    ]
    if workload.prefix_tokens.any():
        asked += [{"retention": "keep"}, {"retention": "offload"}]
        asked += [{"prefix_cache": "off"}] if pool.prefix_cache else [{"prefix_cache": "on"}]
    if np.any(workload.kind == StepKind.TOOL):
        asked += [{"tools.speculative": "0.8"}, {"tools.async": "on"}, {"tools.time": "0.5"}]
    calls = np.bincount(workload.session[workload.kind == StepKind.CALL])
    if int(calls.max()) > 1:
        asked += [{"calls.parallel": "on"}, {"iterations": f"{max(1, math.ceil(0.75 * np.median(calls)))}"}]
    return asked


def savings(replayer: Replayer, candidate: Candidate) -> list[Saving]:
    """Every what-if that can be had here and changes something, best first, then the best three at once."""
    before = _needs(replayer, candidate, candidate)
    found = []
    for asked in what_ifs(candidate.fleet, replayer.load.workload):
        saving = _saving(replayer, candidate, asked, before)
        if saving is not None:
            found.append(saving)
    found.sort(key=lambda one: _rank(one, replayer.load.rate_per_s))
    best = _compatible(found, replayer.load.rate_per_s)
    together = _saving(replayer, candidate, best, before) if len(best) > 1 else None
    return found if together is None else [*found, together]


def _rank(saving: Saving, rate_per_s: float) -> tuple[float, float]:
    usd = saving.usd_per_year()
    return (
        math.inf if usd is None else -usd.median,
        -saving.session_hours_per_year(rate_per_s).median,
    )


def _compatible(found: list[Saving], rate_per_s: float) -> dict[str, str]:
    """The best that save something, of different switches."""
    asked: dict[str, str] = {}
    for saving in found:
        usd = saving.usd_per_year()
        saves = usd is not None and (
            usd.median > 0 or (usd.median == 0 and saving.session_hours_per_year(rate_per_s).low > 0)
        )
        if saves and not asked.keys() & saving.asked.keys() and len(asked) < COMBINED:
            asked |= saving.asked
    return asked


def _saving(
    replayer: Replayer, candidate: Candidate, asked: Mapping[str, str], before: tuple[Need, ...]
) -> Saving | None:
    """None where the switch cannot be had here, or is so already."""
    try:
        scenario = Scenario(candidate.fleet, seed=replayer.load.seed).switched(asked)
        told = changed(replayer.load.workload, scenario.changes, replayer.load.seed)
        kind = kind_of(scenario.fleet)
        after_of = replayer.under(replayer.load._replace(workload=told.workload))
        after_of.basis(kind)
    except TracekitError:
        return None
    if scenario.without_effect >= asked.keys():
        return None
    if _is_without_effect(replayer, after_of, candidate, Candidate(kind, scenario.fleet.replicas)):
        return None
    after = _needs(after_of, candidate, Candidate(kind, scenario.fleet.replicas))
    return Saving(asked, scenario.labels, scenario.warnings, before, after)


def _is_without_effect(before_of: Replayer, after_of: Replayer, before: Candidate, after: Candidate) -> bool:
    """Whether the first replicates are the same with it as without it."""
    replicates = [Replicate(before_of.load.seed, number) for number in range(GLIMPSE)]
    without = before_of.observe([Run(before, replicate) for replicate in replicates])
    return without == after_of.observe([Run(after, replicate) for replicate in replicates])


def _needs(replayer: Replayer, present: Candidate, candidate: Candidate) -> tuple[Need, ...]:
    """The fewest replicas of the candidate's kind in each replicate, and the sessions' time at its size."""
    replicates = [Replicate(replayer.load.seed, number) for number in range(REPLICATES_OF_A_SAVING)]
    at_size = replayer.observe([Run(candidate, replicate) for replicate in replicates])
    fewest = _fewest(
        replayer, candidate.kind, candidate.replicas, FARTHEST * present.replicas + 4, replicates
    )
    needs = []
    for replicate, observation, size in zip(replicates, at_size, fewest, strict=True):
        if size is None:
            needs.append(Need(None, None, None, None, observation.session_s))
            continue
        sized = Candidate(candidate.kind, size)
        (there,) = replayer.observe([Run(sized, replicate)])
        needs.append(Need(size, sized.usd_per_h, there.watts, there.gpus, observation.session_s))
    return tuple(needs)


def _fewest(
    replayer: Replayer, kind: Kind, guess: int, most: int, replicates: list[Replicate]
) -> list[int | None]:
    """By bisection of every replicate at once, a size of each at a time."""
    fails = dict.fromkeys(replicates, kind.least_replicas - 1)
    passes: dict[Replicate, int | None] = dict.fromkeys(replicates)
    sizes = dict.fromkeys(replicates, guess)
    stride = 1
    while sizes:
        runs = [Run(Candidate(kind, size), replicate) for replicate, size in sizes.items()]
        for run, observation in zip(runs, replayer.observe(runs), strict=True):
            if observation.meets(replayer.load.slos):
                passes[run.replicate] = run.candidate.replicas
            else:
                fails[run.replicate] = run.candidate.replicas
        sizes = {
            replicate: size
            for replicate in replicates
            if (size := _next(fails[replicate], passes[replicate], most, kind.least_replicas - 1, stride))
            is not None
        }
        stride *= 2
    return [passes[replicate] for replicate in replicates]


def _next(fails: int, passes: int | None, most: int, none: int, stride: int) -> int | None:
    """The next size to try; None when the fewest is known, or there is none."""
    if passes is None:
        return None if fails >= most else min(most, fails + stride)
    if passes - fails <= 1:
        return None
    return max(passes - stride, fails + 1) if fails == none else (fails + passes) // 2
