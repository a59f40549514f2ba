"""Measured joules and whose they are: per GPU, phase, cause, session, call and tool (DESIGN: measured traces).

Of GPUs that serve an endpoint, each instant is split over the calls in flight there; with none in flight it is
idle by cause; before the first and after the last event it is `outside`. Other GPUs are `not serving`. Nothing
is said of gaps, so that all figures together are what was measured, to the last joule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.hardware.replica import Replica
from tracekit.analyzers.hardware.step_cost import ReplicaCost, replica_cost
from tracekit.analyzers.kernels.layout import NOBODY, Cause, Floats, Ints
from tracekit.analyzers.metering.by_source import BySource
from tracekit.analyzers.metering.cut import NOTHING, Cut, Figure, Parts, missing_s
from tracekit.analyzers.metering.meter import Common, Gap, Meter, Source
from tracekit.analyzers.metering.pool import IN_FLIGHT, Phase, Pool, sessions_of
from tracekit.analyzers.metering.reads import Device, GpuReads, PowerSamples
from tracekit.analyzers.metering.serving import Serves, Serving, servings
from tracekit.analyzers.metering.split import Split, split_of
from tracekit.analyzers.metering.spread import spread, uncertainty_at_ends
from tracekit.analyzers.metering.steps import Steps, steps_of
from tracekit.analyzers.metering.waiting import CAUSES
from tracekit.analyzers.timeline import Account
from tracekit.schema import Kind
from tracekit.trace import Trace
from tracekit.units import NS_PER_S

IDLE_CAUSES = (*CAUSES, Cause.NO_DEMAND)
NOT_SAMPLED_YET = "not sampled yet"
NOT_SAMPLED_ANY_MORE = "not sampled any more"
MODELLED, EQUAL, BOTH = "modelled", "equal", "modelled and equal"


@dataclass(frozen=True)
class MeteredGpu:
    """One device over its samples: joules by each source (None: that one says nothing), what it serves, gaps.

    `counter` is measured, `integral` integrated (trapezoids), `common` both over the time that has both;
    `measured_j` is what figures are made of, by `sources`. `catalog_gpu` is None where the catalog does not know
    the driver's name. Gaps are left out of all joules. `reasons` are all those of values that were not given.
    """

    device: Device
    serving: Serving
    catalog_gpu: catalog.Gpu | None
    whole: Figure
    samples: int
    seconds: float
    measured_s: float
    measured_j: float | None
    counter: BySource | None
    counter_resets: int
    integral: BySource | None
    common: Common
    mean_utilization: float | None
    sources: frozenset[Source]
    power_sources: tuple[str, ...]
    mig: bool
    reasons: tuple[str, ...]
    gaps: tuple[Gap, ...]

    @classmethod
    def of(cls, meter: Meter, serving: Serving, steps: Steps | None, whole: Figure) -> Self:
        """What remains of a meter when its samples are let go."""
        reads = meter.reads
        known = reads.utilization[~np.isnan(reads.utilization)]
        return cls(
            device=reads.device,
            serving=serving,
            catalog_gpu=catalog.find_gpu(reads.device.name),
            whole=whole,
            samples=len(reads.t_ns),
            seconds=(meter.end_ns - meter.start_ns) / NS_PER_S,
            measured_s=float(meter.known_s[-1]),
            measured_j=meter.measured_j,
            counter=BySource.of(meter, Source.COUNTER),
            counter_resets=meter.counter_resets,
            integral=BySource.of(meter, Source.WATTS),
            common=meter.common,
            mean_utilization=float(known.mean()) if len(known) else None,
            sources=frozenset(kind for kind in Source if np.any(meter.source == kind)),
            power_sources=reads.sources,
            mig=reads.mig,
            reasons=tuple(sorted({reads.reasons[code] for code in np.unique(reads.reason) if code >= 0})),
            gaps=tuple(_gaps(meter, serving, steps)),
        )

    @property
    def is_gpu(self) -> bool:
        return self.device.kind == "gpu"

    @property
    def is_serving(self) -> bool:
        return bool(self.serving.routes)

    @property
    def usd_per_s(self) -> float | None:
        """What it costs, by the catalog's typical price."""
        return _usd_per_s(self.catalog_gpu)


@dataclass(eq=False)
class _Tally:
    """What calls (c,), sessions (s,), tools (t,) and nobody have been charged so far."""

    steps: Steps
    phases: dict[Phase, Figure] = field(default_factory=lambda: dict.fromkeys(Phase, NOTHING))
    causes: dict[Cause, Figure] = field(default_factory=lambda: dict.fromkeys(IDLE_CAUSES, NOTHING))
    busy: Figure = NOTHING
    attributed: Figure = NOTHING
    not_serving: Figure = NOTHING
    null_usd: float = 0.0

    def __post_init__(self) -> None:
        calls, sessions = len(self.steps.calls.row_id), len(self.steps.session_id)
        self.call_j, self.call_bound_j, self.call_usd = (np.zeros(calls) for _ in range(3))
        self.call_gpu_s, self.call_known_s = np.zeros(calls), np.zeros(calls)
        self.modelled_s, self.equal_s = np.zeros(calls), np.zeros(calls)
        self.session_j, self.session_bound_j, self.session_usd = (np.zeros(sessions) for _ in range(3))
        self.idle_j = np.zeros((sessions, len(CAUSES)))
        self.tool_j = np.full(len(self.steps.tools.row_id), np.nan)
        self.is_served = np.zeros(sessions, np.bool_)


@dataclass(frozen=True, eq=False)
class MeasuredEnergy:
    """All that the samples say. Joules of gaps are in no figure; `unmeasured_s` says for how long that is.

    `phases` and `causes` are of GPUs that serve; `outside` is theirs too. Where none does they are empty. `busy` is
    what they drew with calls in flight, `attributed` what they drew from the first event to the last.
    `calls` has one row a call that a sampled GPU served, `sessions` a session with such a call, `tools` a tool
    with its part of `tool_wait`.
    """

    gpus: list[MeteredGpu]
    steps: Steps | None
    total: Figure
    phases: Mapping[Phase, Figure]
    causes: Mapping[Cause, Figure]
    busy: Figure
    attributed: Figure
    not_serving: Figure
    calls: pl.DataFrame
    sessions: pl.DataFrame
    tools: pl.DataFrame
    null_j: float | None
    cost_usd: float | None

    @cached_property
    def serving(self) -> list[MeteredGpu]:
        """The GPUs that serve the trace's calls."""
        return [gpu for gpu in self.gpus if gpu.is_serving]


def measured_energy(trace: Trace, declared: Sequence[Serves] = ()) -> MeasuredEnergy | None:
    """The joules of a trace and whose they are; None without samples of power.

    Raises
    ------
    ServesInvalid : a declaration names what is not in the trace.
    """
    if not trace.count(Kind.POWER_SAMPLE) and not declared:
        return None
    samples = PowerSamples.of(trace)
    places = range(len(samples.devices))
    is_used = [samples.is_used(place) for place in places]
    steps = steps_of(trace)
    told = servings(samples.devices, is_used, () if steps is None else steps.routes, declared)
    return attributed((samples.reads(place) for place in places), told, steps)


def attributed(reads: Iterable[GpuReads], told: Sequence[Serving], steps: Steps | None) -> MeasuredEnergy:
    """The same of devices and steps at hand, each device let go before the next; without steps only totals."""
    if steps is None:
        gpus = [_alone(Meter.of(each), serving, None) for each, serving in zip(reads, told, strict=True)]
        total = sum((gpu.whole for gpu in gpus if gpu.is_gpu), NOTHING)
        nothing = (pl.DataFrame(), pl.DataFrame(), pl.DataFrame())
        return MeasuredEnergy(gpus, None, total, {}, {}, NOTHING, NOTHING, total, *nothing, None, None)
    tally = _Tally(steps)
    pools: dict[frozenset[int], Pool] = {}
    splits: dict[tuple[frozenset[int], str | None], Split] = {}
    gpus = []
    for each, serving in zip(reads, told, strict=True):
        if not serving.routes:
            gpu = _alone(Meter.of(each), serving, steps)
            tally.not_serving += gpu.whole if gpu.is_gpu else NOTHING
            gpus.append(gpu)
            continue
        if serving.routes not in pools:
            pools[serving.routes] = Pool.of(steps, serving.routes)
        known = catalog.find_gpu(each.device.name)
        key = (serving.routes, None if known is None else known.name)
        if key not in splits:
            splits[key] = split_of(pools[serving.routes], _costs(steps, known))
        gpus.append(_charge_gpu(tally, pools[serving.routes], splits[key], Meter.of(each), serving))
    return _measured(tally, gpus)


def _charge_gpu(tally: _Tally, pool: Pool, split: Split, meter: Meter, serving: Serving) -> MeteredGpu:
    """One GPU's joules, seconds and dollars into the tally."""
    cut = Cut.of(meter, pool.edges_ns)
    gpu = MeteredGpu.of(meter, serving, tally.steps, cut.figure(np.ones(len(cut.seconds), np.bool_)))
    usd_per_s = gpu.usd_per_s
    phase = np.append(pool.segment_phase, Phase.OUTSIDE)[cut.segment]
    cause = np.append(pool.waiting.cause, Cause.NONE)[cut.segment]
    for kind in Phase:
        tally.phases[kind] += cut.figure(phase == kind)
    tally.busy += cut.figure(np.isin(phase, IN_FLIGHT))
    tally.attributed += cut.figure(phase != Phase.OUTSIDE)
    for reason in IDLE_CAUSES:
        tally.causes[reason] += cut.figure(cause == reason)
    sessions = len(tally.steps.session_id)
    usd = np.where(cut.segment == NOBODY, 0.0, cut.seconds * (np.nan if usd_per_s is None else usd_per_s))
    spans, weights = cut.spans(split.spans, pool.edges_ns), cut.weights(split.weights)
    parts = cut.parts(spans, weights)
    _charge_calls(tally, pool, split, cut, parts, spread(spans, weights, usd))
    waiting = pool.waiting
    idle_spans, idle_weights = cut.spans(waiting.spans, pool.edges_ns), cut.weights(waiting.weights)
    idle = cut.parts(idle_spans, idle_weights)
    idle_usd = spread(idle_spans, idle_weights, usd)
    of_call = tally.steps.calls.session[pool.call]
    has_session = np.flatnonzero(of_call != NOBODY)
    owners = np.concatenate([of_call[has_session], waiting.session])
    both = Parts(
        *(np.concatenate([busy[has_session], waited]) for busy, waited in zip(parts, idle, strict=True))
    )
    ends = [
        cut.ends(of_call[has_session], spans.at(has_session), weights),
        cut.ends(waiting.session, idle_spans, idle_weights),
    ]
    tally.session_j += _sum_by(owners, both.energy_j, sessions)
    tally.session_bound_j += _bound(owners, both, uncertainty_at_ends(ends, sessions, cut.edges))
    np.add.at(tally.idle_j, (waiting.session, waiting.spans.group), idle.energy_j)
    call_usd = spread(spans, weights, usd)
    tally.session_usd += _sum_by(owners, np.concatenate([call_usd[has_session], idle_usd]), sessions)
    tally.null_usd += float(call_usd[of_call == NOBODY].sum()) + float(usd[cause == Cause.NO_DEMAND].sum())
    tally.tool_j[waiting.tool] = np.nan_to_num(tally.tool_j[waiting.tool]) + waiting.of_tools(idle.energy_j)
    tally.is_served[sessions_of(pool)] = True
    return gpu


def _charge_calls(tally: _Tally, pool: Pool, split: Split, cut: Cut, parts: Parts, usd: Floats) -> None:
    calls, call = len(tally.steps.calls.row_id), pool.call
    spans, weights = cut.spans(split.spans, pool.edges_ns), cut.weights(split.weights)
    ends = [cut.ends(call, spans, weights)]
    tally.call_j += _sum_by(call, parts.energy_j, calls)
    tally.call_bound_j += _bound(call, parts, uncertainty_at_ends(ends, calls, cut.edges))
    tally.call_usd += _sum_by(call, usd, calls)
    tally.call_gpu_s += _sum_by(call, cut.sums(spans, cut.seconds), calls)
    tally.call_known_s += _sum_by(call, cut.sums(spans, cut.known_s), calls)
    modelled_s = np.where(np.append(split.is_modelled, False)[cut.segment], cut.known_s, 0.0)
    tally.modelled_s += _sum_by(call, cut.sums(spans, modelled_s), calls)
    tally.equal_s += _sum_by(call, cut.sums(spans, cut.known_s - modelled_s), calls)


def _bound(owner: Ints, parts: Parts, at_ends: Floats) -> Floats:
    """The bound of each owner: its middle, its ends, what changes between them, and what samples miss."""
    owners = len(at_ends)
    middle, variance, within = (
        _sum_by(owner, part, owners) for part in (parts.middle_j, parts.variance_j2, parts.within_j)
    )
    return np.asarray(np.abs(middle) + np.sqrt(np.maximum(variance, 0.0)) + within + at_ends, np.float64)


def _sum_by(owner: Ints, values: Floats, owners: int) -> Floats:
    return np.bincount(owner, values, minlength=owners).astype(np.float64)


def _measured(tally: _Tally, gpus: list[MeteredGpu]) -> MeasuredEnergy:
    is_serving = any(gpu.is_serving for gpu in gpus)
    prices = [gpu.usd_per_s for gpu in gpus if gpu.is_serving]
    is_priced = is_serving and None not in prices
    phases = tally.phases if is_serving else {}
    null_j = tally.causes[Cause.NO_DEMAND].energy_j + float(
        tally.call_j[tally.steps.calls.session == NOBODY].sum()
    )
    served = tally.call_gpu_s > 0.0
    served[_served_calls(tally.steps, gpus)] = True
    return MeasuredEnergy(
        gpus=gpus,
        steps=tally.steps,
        total=sum((gpu.whole for gpu in gpus if gpu.is_gpu), NOTHING),
        phases=phases,
        causes=tally.causes if is_serving else {},
        busy=tally.busy,
        attributed=tally.attributed,
        not_serving=tally.not_serving,
        calls=_calls(tally, np.flatnonzero(served), is_priced=is_priced),
        sessions=_sessions(tally, null_j, is_priced=is_priced),
        tools=_tools(tally),
        null_j=null_j if is_serving else None,
        cost_usd=float(tally.session_usd.sum()) + tally.null_usd if is_priced else None,
    )


def _served_calls(steps: Steps, gpus: Sequence[MeteredGpu]) -> Ints:
    routes = sorted(set().union(*(gpu.serving.routes for gpu in gpus)))
    return np.flatnonzero(np.isin(steps.calls.route, routes))


def _calls(tally: _Tally, served: Ints, *, is_priced: bool) -> pl.DataFrame:
    calls = tally.steps.calls
    known_s, gpu_s = tally.call_known_s[served], tally.call_gpu_s[served]
    is_known = known_s > 0.0
    modelled, equal = tally.modelled_s[served] > 0.0, tally.equal_s[served] > 0.0
    session = calls.session[served]
    split = np.select([modelled & equal, modelled], [BOTH, MODELLED], EQUAL)
    frame = pl.DataFrame(
        {
            "call_id": calls.row_id[served],
            "session_id": np.append(tally.steps.session_id, NOBODY)[session],
            "energy_j": tally.call_j[served],
            "bound_j": tally.call_bound_j[served],
            "split": split,
            "gpu_s": gpu_s,
            "unmeasured_s": missing_s(gpu_s, known_s),
            "cost_usd": tally.call_usd[served],
        }
    )
    return frame.with_columns(
        pl.when(pl.Series(session != NOBODY)).then("session_id").alias("session_id"),
        *(pl.when(pl.Series(is_known)).then(name).alias(name) for name in ("energy_j", "bound_j", "split")),
        pl.when(pl.lit(is_priced)).then("cost_usd").alias("cost_usd"),
    )


def _sessions(tally: _Tally, null_j: float, *, is_priced: bool) -> pl.DataFrame:
    served = np.flatnonzero(tally.is_served)
    energy = Account.of(tally.session_j[served], null_j)
    dollars = Account.of(tally.session_usd[served], tally.null_usd)
    idle_j = {f"{cause.name.lower()}_j": tally.idle_j[served, place] for place, cause in enumerate(CAUSES)}
    unmeasured = _sum_by(
        tally.steps.calls.session[tally.steps.calls.session != NOBODY],
        (tally.call_gpu_s - tally.call_known_s)[tally.steps.calls.session != NOBODY],
        len(tally.steps.session_id),
    )
    frame = pl.DataFrame(
        {
            "session_id": tally.steps.session_id[served],
            "direct_j": energy.direct,
            "bound_j": tally.session_bound_j[served],
            "calls_j": energy.direct - tally.idle_j[served].sum(axis=1),
            **idle_j,
            "loaded_j": energy.loaded,
            "unmeasured_s": missing_s(unmeasured[served], 0.0),
            "cost_usd": dollars.loaded,
        }
    )
    return frame.with_columns(pl.when(pl.lit(is_priced)).then("cost_usd").alias("cost_usd"))


def _tools(tally: _Tally) -> pl.DataFrame:
    known = np.flatnonzero(~np.isnan(tally.tool_j))
    return pl.DataFrame({"tool_id": tally.steps.tools.row_id[known], "idle_j": tally.tool_j[known]})


def _gaps(meter: Meter, serving: Serving, steps: Steps | None) -> list[Gap]:
    """The meter's, and what of the trace it did not see at all."""
    gaps = meter.gaps
    if steps is None or not serving.routes:
        return gaps
    if steps.begin_ns < meter.start_ns:
        gaps = [Gap(steps.begin_ns, min(meter.start_ns, steps.end_ns), NOT_SAMPLED_YET, None), *gaps]
    if steps.end_ns > meter.end_ns:
        gaps = [*gaps, Gap(max(meter.end_ns, steps.begin_ns), steps.end_ns, NOT_SAMPLED_ANY_MORE, None)]
    return gaps


def _alone(meter: Meter, serving: Serving, steps: Steps | None) -> MeteredGpu:
    """A device that serves nothing."""
    cut = Cut.of(meter, meter.run_edges_ns)
    return MeteredGpu.of(meter, serving, steps, cut.figure(np.ones(len(cut.seconds), np.bool_)))


def _usd_per_s(gpu: catalog.Gpu | None) -> float | None:
    price = None if gpu is None else gpu.usd_per_hour
    return None if price is None else price.typical / 3600


def _costs(steps: Steps, gpu: catalog.Gpu | None) -> list[ReplicaCost | None]:
    """What a step of each of the trace's models takes on one such GPU; only ratios of its parts are used."""
    if gpu is None:
        return [None] * len(steps.models)
    models = [catalog.find_model(name) for name in steps.models]
    engine = catalog.engine()
    return [None if model is None else replica_cost(Replica(gpu, model, engine, 1)) for model in models]
