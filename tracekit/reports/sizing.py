"""A sizing as one document: the answer, what stands around it, and how to come to it again."""

from __future__ import annotations

from typing import Any

from tracekit import units
from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.kernels.layout import State
from tracekit.analyzers.scenario import Fleet
from tracekit.analyzers.sizing.day import DayOf, profile_gaps
from tracekit.analyzers.sizing.floor import floor_s
from tracekit.analyzers.sizing.footprint import HOURS_PER_MONTH, HOURS_PER_YEAR, S_PER_HOUR, SCOPES, Footprint
from tracekit.analyzers.sizing.forecast import spec_of
from tracekit.analyzers.sizing.observation import CAUSES
from tracekit.analyzers.sizing.replayer import Candidate
from tracekit.analyzers.sizing.savings import REPLICATES_OF_A_SAVING
from tracekit.analyzers.sizing.scan import Found
from tracekit.analyzers.sizing.search import MEASURES, Best
from tracekit.analyzers.sizing.sensitivity import Sensitivity
from tracekit.analyzers.sizing.shape import shape_of
from tracekit.analyzers.sizing.size import Sizing
from tracekit.analyzers.sizing.slo import Slo
from tracekit.analyzers.sizing.verdict import Interval, Verdict, least_meeting
from tracekit.reports.document import SCHEMA_VERSION
from tracekit.reports.fleet_document import pool_document
from tracekit.reports.words import served_fleet_name

Document = dict[str, Any]
STATES = tuple(state for state in State if state != State.OFF)


def sizing_document(sizing: Sizing, footprint: Footprint, trace: str, assumed: list[str]) -> Document:
    """The whole document, but for assumptions, sources and the command, which the caller knows."""
    answer = sizing.answer
    document: Document = {
        "schema_version": SCHEMA_VERSION,
        "trace": trace,
        "headline": "",
        "assumed": assumed,
        "question": _question(sizing),
        "answer": None if answer is None else verdict_document(sizing, answer.verdict, footprint),
        "fleets": {
            objective: verdict_document(sizing, best.verdict, footprint) for objective, best in _bests(sizing)
        },
        "one_fewer": _or_none(sizing, sizing.one_fewer, footprint),
        "next_cheaper": _or_none(sizing, sizing.next_cheaper, footprint),
        "with_small": _or_none(sizing, sizing.with_small, footprint),
        "without_small": _or_none(sizing, sizing.without_small, footprint),
        "binds": _binds(sizing),
        "blocks": _blocks(sizing),
        "needed": _or_none(sizing, sizing.needed, footprint),
        "headroom": _headroom(sizing),
        "pareto": pareto_document(sizing, footprint),
        "sensitivity": [_sensitivity(one, sizing) for one in sizing.sensitivities],
        "daily": daily_document(sizing),
        "savings": savings_document(sizing, footprint),
        "against": None,
        "broken": [],
        "considered": _considered(sizing, footprint),
        "rejected": [rejected._asdict() for rejected in sizing.question.candidates.rejected],
        "replays": sizing.replays,
        "interrupted": sizing.is_interrupted,
    }
    document["headline"] = headline(document)
    return document


def _bests(sizing: Sizing) -> list[tuple[str, Best]]:
    """By objective."""
    return [(name, sizing.best[measure]) for name, measure in MEASURES.items() if measure in sizing.best]


def _question(sizing: Sizing) -> Document:
    question = sizing.question
    load = question.load
    return {
        "rate_per_s": load.rate_per_s,
        "slos": [slo_document(slo) for slo in load.slos],
        "objective": question.objective,
        "seed": load.seed,
        "replicates": question.replicates,
        "must_meet": least_meeting(question.replicates),
        "most_replicas": question.most_replicas,
        "shape": shape_of(load.workload)._asdict(),
    }


def slo_document(slo: Slo) -> Document:
    """An objective."""
    return {"name": slo.name, "metric": slo.metric, "percent": slo.percent, "limit_s": slo.limit_s}


def _or_none(sizing: Sizing, verdict: Verdict | None, footprint: Footprint) -> Document | None:
    return None if verdict is None else verdict_document(sizing, verdict, footprint)


def verdict_document(sizing: Sizing, verdict: Verdict, footprint: Footprint) -> Document:
    """A fleet under its replicates."""
    rate_per_s = sizing.question.load.rate_per_s
    candidate = verdict.candidate
    return {
        "fleet": candidate_document(candidate),
        "spec": spec_of(candidate.fleet),
        "gpus": candidate.gpus,
        "passes": verdict.passes,
        "replicates": len(verdict.observations),
        "meeting": verdict.meeting,
        "unstable": verdict.unstable,
        "slos": [
            slo_document(slo)
            | {"value_s": _interval(verdict.slo_interval(place)), "missed": verdict.missing(place)}
            for place, slo in enumerate(verdict.slos)
        ],
        "steady_sessions": _interval(verdict.interval("steady")),
        "session_s": _interval(verdict.interval("session_s")),
        "cost_usd": cost_document(candidate, rate_per_s),
        "energy_j": _energy(verdict, rate_per_s, footprint),
        "carbon_g": _carbon(verdict, rate_per_s, footprint),
        "gpu_share": _shares(verdict, "state_share", [state.name.lower() for state in STATES]),
        "idle_share": _shares(verdict, "cause_share", [cause.name.lower() for cause in CAUSES]),
        "cached_share": _interval(verdict.interval("cached_share")),
        "preemptions": _interval(verdict.interval("preemptions")),
    }


def candidate_document(candidate: Candidate) -> Document:
    """A fleet's settings, as a replay's document has them."""
    fleet = candidate.fleet
    pools = [
        pool_document(pool, pool.replica(), limits)
        for pool, limits in zip(fleet.pools, fleet.limits(), strict=True)
    ]
    routing = {"replicas": fleet.replicas, "router": fleet.router, "queue_order": fleet.queue_order}
    return pools[0] | routing | ({"pools": pools} if len(pools) > 1 else {})


def cost_document(candidate: Candidate, rate_per_s: float) -> Document:
    """Dollars at the catalog's typical price, and at the ends of its range."""
    low, typical, high = _usd_per_h(candidate.fleet)
    return {
        "per_hour": typical,
        "per_hour_range": {"low": low, "high": high},
        "per_session": typical / S_PER_HOUR / rate_per_s,
        "per_month": typical * HOURS_PER_MONTH,
        "per_year": typical * HOURS_PER_YEAR,
    }


def _usd_per_h(fleet: Fleet) -> tuple[float, float, float]:
    prices = [(pool.replicas * pool.tp, catalog.gpu(pool.gpu).price) for pool in fleet.pools]
    low, typical, high = (
        sum(gpus * getattr(price, name) for gpus, price in prices) for name in ("low", "typical", "high")
    )
    return low, typical, high


def _energy(verdict: Verdict, rate_per_s: float, footprint: Footprint) -> Document:
    """Joules of a session and watts of the fleet, by scope."""
    watts = [footprint.watts(one.watts, one.gpus) for one in verdict.observations]
    return {
        "per_session": {
            scope: _interval(Interval.of([one[scope] / rate_per_s for one in watts])) for scope in SCOPES
        },
        "watts": {scope: _interval(Interval.of([one[scope] for one in watts])) for scope in SCOPES},
    }


def _carbon(verdict: Verdict, rate_per_s: float, footprint: Footprint) -> Document:
    """Grams of a session: of the median energy, as the range between the grid's sources."""
    watts = [footprint.watts(one.watts, one.gpus) for one in verdict.observations]
    by_scope = {}
    for scope in SCOPES:
        low, high = footprint.grams(Interval.of([one[scope] / rate_per_s for one in watts]).median)
        by_scope[scope] = {"low": low, "high": high}
    return {"grid": footprint.grid.code, "per_session": by_scope}


def _shares(verdict: Verdict, name: str, keys: list[str]) -> Document:
    columns = zip(*(getattr(observation, name) for observation in verdict.observations), strict=True)
    return {key: _interval(Interval.of(list(column))) for key, column in zip(keys, columns, strict=False)}


def _interval(interval: Interval) -> Document | None:
    """None where a figure is not finite: nothing was served."""
    if not all(abs(value) < float("inf") for value in interval):
        return None
    return interval._asdict()


def _binds(sizing: Sizing) -> str | None:
    """The objective that one replica fewer misses most often; `keeping up` if it does not even do that."""
    verdict = sizing.one_fewer or sizing.next_cheaper
    if verdict is None:
        return None
    missed = {slo.name: verdict.missing(place) for place, slo in enumerate(verdict.slos)}
    name = max(missed, key=lambda key: missed[key])
    return "keeping up" if verdict.unstable > missed[name] else name


def _blocks(sizing: Sizing) -> Document | None:
    """Where no fleet holds: what the best that can be had comes to, and the objective that blocks it."""
    if sizing.answer is not None and sizing.answer.verdict.passes:
        return None
    slos = sizing.question.load.slos
    stable = [
        found
        for found in (sizing.scan.found if sizing.scan else ())
        if found.observation is not None and not found.observation.unstable
    ]
    if not stable:
        return None

    def excess(found: Found) -> float:
        assert found.observation is not None
        return max(value / slo.limit_s for value, slo in zip(found.observation.slo_s, slos, strict=True))

    nearest = min(stable, key=lambda found: (excess(found), found.kind.sort_key))
    assert nearest.observation is not None
    values = nearest.observation.slo_s
    worst = max(range(len(slos)), key=lambda place: values[place] / slos[place].limit_s)
    return {
        "name": slos[worst].name,
        "value_s": values[worst] if values[worst] < float("inf") else None,
        "limit_s": slos[worst].limit_s,
        "kind": nearest.kind.name,
        "replicas": nearest.replicas or nearest.most,
        "tools_alone_s": floor_s(sizing.question.load.workload, slos[worst]),
    }


def _headroom(sizing: Sizing) -> Document | None:
    return None if sizing.headroom is None else sizing.headroom._asdict()


def _sensitivity(one: Sensitivity, sizing: Sizing) -> Document:
    """The same fleet under the shift, and the size that would be needed."""
    needed = one.needed
    return {
        "of": one.shift.of,
        "by": one.shift.by,
        "replicates": len(one.same.observations),
        "meeting": one.same.meeting,
        "slos": [
            {"name": slo.name, "value_s": _interval(one.same.slo_interval(place))}
            for place, slo in enumerate(sizing.question.load.slos)
        ],
        "needed_replicas": None if needed is None else needed.candidate.replicas,
        "needed_usd_per_month": None if needed is None else needed.candidate.usd_per_h * HOURS_PER_MONTH,
    }


def pareto_document(sizing: Sizing, footprint: Footprint) -> list[Document]:
    """Fleets that meet the objectives in one replicate; those that none beats are on the front."""
    rate_per_s = sizing.question.load.rate_per_s
    rows = []
    for point in sizing.front:
        energy_j = point.observation.watts / rate_per_s
        low, high = footprint.grams(energy_j)
        rows.append(
            {
                "name": point.candidate.kind.name,
                "fleet": point.candidate.kind.sized_name(point.candidate.replicas),
                "gpu": point.candidate.kind.pools[0].gpu,
                "replicas": point.candidate.replicas,
                "gpus": point.candidate.gpus,
                "usd_per_hour": point.candidate.usd_per_h,
                "cost_usd_per_session": point.candidate.usd_per_h / S_PER_HOUR / rate_per_s,
                "slo_s": list(point.observation.slo_s),
                "energy_j_per_session": energy_j,
                "carbon_g_per_session": {"low": low, "high": high},
                "is_on_front": point.is_on_front,
            }
        )
    return _each_fleet_once(rows)


def _each_fleet_once(rows: list[Document]) -> list[Document]:
    """Small fleets of several pools are the same at several shares of these."""
    return list({row["fleet"] or row["name"]: row for row in reversed(rows)}.values())[::-1]


def daily_document(sizing: Sizing) -> Document | None:
    """What elasticity saves over the profile's day, against the fleet that its busiest hours need."""
    found, daily = sizing.elasticity, sizing.question.daily
    if daily is None:
        return None
    answer = sizing.answer
    base = {
        "mean_rate_per_s": daily.mean_per_s(),
        "peak_rate_per_s": daily.highest_per_s(),
        "trough_rate_per_s": daily.lowest_per_s(),
        "startup_s": daily.startup_s,
        "hours": daily.profile.hour.tolist(),
        "levels": daily.profile.level.tolist(),
        "gaps": [list(gap) for gap in profile_gaps(daily.profile)],
        "part": None,
        "static": None,
        "elastic": None,
        "nearest": None,
        "saved_share": None,
        "saved_usd_per_year": None,
    }
    if found is None or answer is None:
        return base
    document = base | {
        "part": found.part,
        "static": _day(found.static, found.part),
        "elastic": None if found.elastic is None else _day(found.elastic, found.part),
        "nearest": None if found.best_failing is None else _day(found.best_failing, found.part),
    }
    if found.elastic is not None:
        pairs = zip(found.static.observations, found.elastic.observations, strict=True)
        shares = [1.0 - elastic.usd_per_s / static.usd_per_s for static, elastic in pairs]
        share = Interval.of(shares)
        year = answer.verdict.candidate.usd_per_h * HOURS_PER_YEAR
        document["saved_share"] = share._asdict()
        document["saved_usd_per_year"] = Interval(*(year * value for value in share))._asdict()
    return document


def savings_document(sizing: Sizing, footprint: Footprint) -> Document | None:
    """What each what-if saves in a year, best first, then the best at once; None where it was not asked."""
    if not sizing.savings:
        return None
    rate_per_s = sizing.question.load.rate_per_s
    rows = []
    for saving in sizing.savings:
        kwh = saving.kwh_per_year(footprint)
        usd = saving.usd_per_year()
        grams_per_kwh = (footprint.grid.low + footprint.grid.high) / 2
        rows.append(
            {
                "name": saving.name,
                "switches": dict(saving.asked),
                "needed_replicas": saving.needed_replicas,
                "usd_per_year": None if usd is None else _interval(usd),
                "session_hours_per_year": _interval(saving.session_hours_per_year(rate_per_s)),
                "kwh_per_year": None if kwh is None else _interval(kwh),
                "kg_per_year": None
                if kwh is None
                else _interval(Interval(*(value * grams_per_kwh / G_PER_KG for value in kwh))),
                "labels": list(saving.labels),
                "warnings": list(saving.warnings),
            }
        )
    return {"replicates": REPLICATES_OF_A_SAVING, "rows": rows, "lead": _savings_lead(sizing)}


G_PER_KG = 1000.0


def _savings_lead(sizing: Sizing) -> str:
    answer = sizing.answer
    assert answer is not None
    return (
        "Each what-if in the same replicates as the fleet that is named: $, energy and CO2e saved in a year by the "
        "smallest fleet of the kind that then holds, with its building; hours of sessions saved at the present "
        f"{answer.verdict.candidate.replicas} replica(s). Median, and range of {REPLICATES_OF_A_SAVING} replicates; "
        "below 0: it costs. CO2e at the middle of the grid's sources. Last: the best of different switches at once."
    )


def _day(day: DayOf, part: int) -> Document:
    pool = day.fleet.pools[0]
    return {
        "replicates": len(day.observations),
        "meeting": day.meeting,
        "usd_per_day": day.usd(part)._asdict(),
        "gpus": day.gpus(part)._asdict(),
        "most_replicas": sum(one.replicas for one in day.fleet.pools) * part,
        "least_replicas": None if pool.min_replicas is None else pool.min_replicas * part,
        "scale_up_calls": None if pool.min_replicas is None else pool.scale_up_calls,
    }


def _considered(sizing: Sizing, footprint: Footprint) -> list[Document]:
    """Every kind that one replicate was asked about, at the fewest replicas that met the objectives in it."""
    rate_per_s = sizing.question.load.rate_per_s
    rows = []
    for found in sizing.scan.found if sizing.scan else ():
        observation, candidate = found.observation, found.candidate
        assert observation is not None
        watts = footprint.watts(observation.watts, observation.gpus)
        rows.append(
            {
                "name": found.kind.name,
                "pools": len(found.kind.pools),
                "fleet": None if candidate is None else found.kind.sized_name(candidate.replicas),
                "replicas": found.replicas,
                "gpus": None if candidate is None else candidate.gpus,
                "usd_per_hour": None if candidate is None else candidate.usd_per_h,
                "slo_s": [value if value < float("inf") else None for value in observation.slo_s],
                "keeps_up": not observation.unstable,
                "session_s": observation.session_s if observation.session_s < float("inf") else None,
                "energy_j_per_session": None if candidate is None else watts["gpu"] / rate_per_s,
                "tried_up_to": found.most,
            }
        )
    return _each_fleet_once(rows)


def headline(document: Document) -> str:
    """The answer in one sentence."""
    question, answer = document["question"], document["answer"]
    wanted = " and ".join(
        f"{slo['name'].replace('_', ' ')} < {units.seconds(slo['limit_s'])}" for slo in question["slos"]
    )
    load = f"{question['rate_per_s']:g} sessions/s with {wanted}"
    if answer is None:
        return _no_answer(document, load)
    fleet, cost = answer["fleet"], answer["cost_usd"]
    idle = answer["gpu_share"]["idle"]
    holds = _holds(several=fleet["replicas"] > 1, passes=answer["passes"])
    sentence = (
        f"{served_fleet_name(fleet)}{_routed(fleet)} {holds} {load}: {answer['meeting']} of "
        f"{answer['replicates']} replicates meet "
        f"{'them' if len(question['slos']) > 1 else 'it'}; {units.dollars(cost['per_month'])} a month, "
        f"{units.dollars(cost['per_session'])} a session"
    )
    return sentence + (f", idle {units.percent(idle['median'])} of the time." if idle else ".")


def _routed(fleet: Document) -> str:
    """A single replica has nothing to route."""
    return f", {fleet['router']}," if fleet["replicas"] > 1 else ""


def _no_answer(document: Document, load: str) -> str:
    if document["interrupted"]:
        return f"Interrupted before any fleet was known to hold {load}."
    blocks = document["blocks"]
    if blocks is None:
        most = document["question"]["most_replicas"]
        return f"No fleet of up to {most} replicas keeps up with {load}: more work arrives than they can do."
    value, nearest = units.seconds(blocks["value_s"]), f"{blocks['replicas']} x {blocks['kind']}"
    words = f"No fleet that was looked at holds {load}. {blocks['name'].replace('_', ' ')} blocks it: "
    if blocks["value_s"] is not None and blocks["value_s"] < blocks["limit_s"]:
        words += f"{nearest} comes nearest, with {value} in the first replicate, but not within limits in 95 % of them"
    else:
        words += f"the best that can be had is {value}, by {nearest}"
    alone_s = blocks["tools_alone_s"]
    if alone_s is not None and alone_s >= blocks["limit_s"]:
        return f"{words}; tools and waits alone take {units.seconds(alone_s)}, which no GPU shortens."
    return f"{words}."


def _holds(*, several: bool, passes: bool) -> str:
    if passes:
        return "hold" if several else "holds"
    return "do NOT hold" if several else "does NOT hold"


def quantities(document: Document) -> dict[str, float | None]:
    """What budgets may limit; None is unknown."""
    answer, headroom = document["answer"], document["headroom"]
    if answer is None:
        return {}
    cost, idle = answer["cost_usd"], answer["gpu_share"]["idle"]
    energy = answer["energy_j"]["per_session"]["gpu"]
    holds_per_s = None if headroom is None else headroom["holds_per_s"] or 0.0
    return {
        **{f"cost_{key}": cost[key] for key in ("per_hour", "per_month", "per_year", "per_session")},
        "gpus": answer["gpus"],
        "replicas": answer["fleet"]["replicas"],
        "energy_per_session": None if energy is None else energy["median"] / units.J_PER_WH,
        "carbon_per_session": answer["carbon_g"]["per_session"]["facility"]["high"],
        "idle": None if idle is None else idle["median"],
        "met_share": answer["meeting"] / answer["replicates"],
        "headroom": None if holds_per_s is None else holds_per_s / document["question"]["rate_per_s"],
    }
