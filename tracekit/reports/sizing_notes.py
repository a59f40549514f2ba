"""What a sizing takes for granted, and where its numbers come from."""

from __future__ import annotations

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.replay import Replay
from tracekit.analyzers.sizing.footprint import Footprint
from tracekit.analyzers.sizing.model_error import model_error
from tracekit.analyzers.sizing.size import Sizing
from tracekit.analyzers.sizing.slo import implied
from tracekit.analyzers.sizing.verdict import least_meeting
from tracekit.analyzers.steady import KEEPS_UP_FRACTION, WARM_UP_FRACTION
from tracekit.analyzers.workload import Compiled
from tracekit.reports.replay_assumptions import replay_assumptions
from tracekit.reports.replay_sources import replay_sources
from tracekit.reports.words import plural

FEW_SESSIONS = 30
"""Recorded sessions below which intervals are said to be wide for want of sessions."""


def sizing_assumptions(
    sizing: Sizing, compiled: Compiled, example: Replay, footprint: Footprint
) -> list[str]:
    """A sentence each; `example` is one replay of the fleet that is named."""
    question = sizing.question
    load, asked = question.load, question.replicates
    sessions = len(load.workload.session_arrival_s)
    notes = [
        *question.notes,
        f"arrivals are a Poisson process of {load.rate_per_s:g} sessions a second; sessions are drawn with "
        f"replacement from the {sessions:,} recorded ones",
        f"a fleet is named if {least_meeting(asked)} of {asked} replicates keep up and meet every objective; a "
        "replicate draws sessions, arrivals, and one factor each on time and power anew, the same for every fleet",
        f"of a replay count the sessions released after the first {WARM_UP_FRACTION:.0%} of it, or the p95 of an "
        f"unloaded session if that is longer, until the last release; fewer completions than {KEEPS_UP_FRACTION:g} "
        "x arrivals in it are not keeping up",
        "intervals hold 95 % of the replicates; percentiles are values that occur (numpy's inverted_cdf)",
        "energy, cost and idle time are of the steady window; a year is 8,760 hours of this load",
        "the model's error is that of the rows which the sources name; on other GPUs it is likely larger",
    ]
    if refused := int(example.timeline.outcome.refused):
        notes.append(
            f"{refused:,} of {plural(example.timeline.outcome.calls.size, 'drawn call')} are refused, longer than a "
            "replica takes: as calls that take no time they make sessions look shorter and cheaper than they are"
        )
    if sessions < FEW_SESSIONS:
        notes.append(
            f"{sessions} recorded sessions say little about how sessions differ: intervals are wide for that "
            "reason, and rarer sessions than these are not in them"
        )
    for slo, other in implied(load.slos).items():
        notes.append(f"the objective {slo} never binds: {other} implies it")
    return [*notes, *replay_assumptions(compiled, [example], is_drawn=True)]


def sizing_sources(sizing: Sizing, example: Replay, footprint: Footprint) -> dict[str, str]:
    """By kind of number."""
    error = model_error(example.fleet)
    grid, host, pue = footprint.grid, footprint.host, footprint.pue
    return replay_sources([example], grid.code) | {
        "risk": f"estimated: {sizing.question.replicates} replicates, seed {sizing.question.load.seed}; lognormal "
        f"factors with sigma {error.time:.3f} on time and {error.power:.3f} on power, from the tier's mean error",
        "server energy": f"modelled: GPUs and {host.host_w_per_gpu:g} W a GPU that is on ({host.name}: {host.source})",
        "facility energy": f"modelled: server energy x PUE {pue.pue:g} ({pue.operator}, {pue.year}: {pue.source})",
        "prices": "; ".join(
            f"{name}: {catalog.gpu(name).price.source}"
            for name in sorted({pool.gpu for pool in example.fleet.pools})
        ),
    }
