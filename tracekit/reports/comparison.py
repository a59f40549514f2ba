"""The document of `tracekit compare`: workflow beside workflow, each replayed on the same fleets.

Every ratio is one of sums over sums: the mean of a workflow's sessions over that of the baseline's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from tracekit.analyzers.catalog import catalog
from tracekit.analyzers.demand import Demand
from tracekit.analyzers.recorded import Recorded
from tracekit.reports.analysis import recorded_document, share_notes
from tracekit.reports.comparison_headline import comparison_headline
from tracekit.reports.document import SCHEMA_VERSION, Document
from tracekit.reports.words import fleet_name, plural, shown_name
from tracekit.schema import Kind
from tracekit.trace import Trace
from tracekit.units import J_PER_WH, ratio_of

_LATENCY = ("mean", "p50", "p95")


class Workflow(NamedTuple):
    """A trace under a name, what it says itself, and its replays, one for each fleet."""

    name: str
    trace: Trace
    recorded: Recorded
    replays: Sequence[Document]


def comparison_document(
    workflows: Sequence[Workflow],
    baseline: str,
    demand: Demand | None,
    assumptions: Sequence[str],
    sources: dict[str, str],
) -> Document:
    """Everything `compare` says; None is unknown. `baseline` is one of the workflows' names."""
    told = [_workflow(workflow, demand) for workflow in workflows]
    reference = next(document for document in told if document["name"] == baseline)
    for document in told:
        _relate(document, reference)
    return {
        "schema_version": SCHEMA_VERSION,
        "trace": [document["trace"] for document in told],
        "headline": comparison_headline(told, baseline, None if demand is None else demand.queries_per_day),
        "baseline": baseline,
        "queries_per_day": None if demand is None else demand.queries_per_day,
        "workflows": told,
        "assumptions": [*_notes(told, demand), *_share_notes(workflows), *assumptions],
        "sources": {"recorded times": "measured in the client", "tokens": "as recorded"} | sources,
    }


def _workflow(workflow: Workflow, demand: Demand | None) -> Document:
    recorded = workflow.recorded
    sessions = len(recorded.sessions)
    measured_j = recorded_document(recorded)["energy_j"]["total"]
    return {
        "name": workflow.name,
        "trace": str(workflow.trace.path),
        "labels": workflow.trace.provenance.labels,
        "models": recorded.models,
        "sessions": sessions,
        "calls_per_session": recorded.calls / sessions,
        "tools_per_session": recorded.tools / sessions,
        "tokens_per_session": {
            "input": _each(recorded.input_tokens, sessions),
            "output": _each(recorded.output_tokens, sessions),
        },
        "score": _score(workflow.trace),
        "recorded": {
            "session_s": None if recorded.session_s is None else recorded.session_s.to_json(),
            "share": recorded.shares.totals(),
            "measured_wh_per_session": _each(None if measured_j is None else measured_j / J_PER_WH, sessions),
        },
        "replays": [_replay(replay, demand) for replay in workflow.replays],
    }


def _each(total: float | None, sessions: int) -> float | None:
    return None if total is None else total / sessions


def _score(trace: Trace) -> Document | None:
    """Of the sessions that carry one."""
    told = pl.DataFrame(pl.from_arrow(trace.rows(Kind.SESSION, ["score"])))["score"].drop_nulls()
    scores = told.filter(told.is_finite())
    return {"mean": float(scores.sum()) / len(scores), "sessions": len(scores)} if len(scores) else None


def _replay(replay: Document, demand: Demand | None) -> Document:
    energy_j, cost_usd = replay["energy_j"], replay["cost_usd"]["per_session"]
    average_j, isolated_j = energy_j["per_session"], energy_j["isolated_per_session"]
    return {
        "fleet": replay["fleet"],
        "assumed": replay["assumed"],
        "calls": replay["calls"],
        "calls_failed": replay["calls_failed"],
        "session_s": replay["session_s"],
        "idle": ratio_of(replay["gpu_s"]["idle"], replay["gpu_s"]["billed"]),
        "wh_per_session": {"average": average_j / J_PER_WH, "isolated": isolated_j / J_PER_WH},
        "cost_usd_per_session": cost_usd,
        "prefix_hit_fraction": replay["prefix_hit_fraction"],
        "at_demand": None if demand is None else _at_demand(demand, average_j, isolated_j, cost_usd),
        "tier": replay["tier"],
        "error": replay["error"],
    }


def _at_demand(demand: Demand, average_j: float, isolated_j: float, cost_usd: float) -> Document:
    grid = catalog.grid(catalog.DEFAULT_GRID)
    low, high = (demand.tonnes_per_year(average_j, g_per_kwh) for g_per_kwh in (grid.low, grid.high))
    return {
        "mw": {"average": demand.megawatts(average_j), "isolated": demand.megawatts(isolated_j)},
        "usd_per_year": demand.usd_per_year(cost_usd),
        "carbon_t_per_year": {"low": low, "high": high, "grid": grid.code, "scope": "gpu"},
    }


def _relate(document: Document, reference: Document) -> None:
    """Adds how many times the baseline each figure is."""
    recorded, of_reference = document["recorded"], reference["recorded"]
    recorded["session_x"] = _latency_x(recorded["session_s"], of_reference["session_s"])
    recorded["measured_wh_x"] = _times(
        recorded["measured_wh_per_session"], of_reference["measured_wh_per_session"]
    )
    for replay, other in zip(document["replays"], reference["replays"], strict=True):
        if replay["calls_failed"] or other["calls_failed"]:
            replay |= {"session_x": None, "wh_x": dict.fromkeys(replay["wh_per_session"]), "cost_x": None}
            continue
        replay["session_x"] = _latency_x(replay["session_s"], other["session_s"])
        replay["wh_x"] = {
            view: _times(value, other["wh_per_session"][view])
            for view, value in replay["wh_per_session"].items()
        }
        replay["cost_x"] = _times(replay["cost_usd_per_session"], other["cost_usd_per_session"])


def _latency_x(spread: Document | None, other: Document | None) -> dict[str, float | None] | None:
    if spread is None or other is None:
        return None
    return {name: _times(spread[name], other[name]) for name in _LATENCY}


def _times(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else ratio_of(value, other)


def _notes(told: Sequence[Document], demand: Demand | None) -> list[str]:
    notes = [
        "a ratio is the mean of a workflow's sessions over that of the baseline's: sums over sums",
        "average: all joules of the fleet, idle included, by session; isolated (alone): each session on a "
        "replica of its own, idle while its tools run",
        "energy is the GPUs' alone: no host, no cooling, no PUE",
    ]
    if demand is not None:
        notes.append(
            f"at {demand.queries_per_day:,.0f} queries a day a query is one session, every day of the year alike; "
            "MW = Wh a session x queries / 24 h, and the fleet is scaled at the replayed idle share"
        )
    refused = [
        f"{shown_name(document['name'])} {replay['calls_failed']:,} of {replay['calls'] + replay['calls_failed']:,} on "
        f"{fleet_name(replay['fleet'])}"
        for document in told
        for replay in document["replays"]
        if replay["calls_failed"]
    ]
    if refused:
        notes.append(
            f"calls were refused, longer than a replica takes: {', '.join(refused)}; a fleet that does less is "
            "cheaper, so such a replay is set against none"
        )
    few = [document for document in told if document["sessions"] < 20]
    if few:
        counted = ", ".join(
            f"{shown_name(document['name'])} {plural(document['sessions'], 'session')}" for document in few
        )
        notes.append(f"few sessions, so a mean may move by much: {counted}")
    estimated = [
        shown_name(document["name"]) for document in told if document["recorded"]["measured_wh_per_session"]
    ]
    if estimated:
        notes.append(
            f"measured Wh: every joule of the sampled GPUs over the recording, by session ({', '.join(estimated)})"
        )
    return notes


def _share_notes(workflows: Sequence[Workflow]) -> list[str]:
    return [f"{shown_name(one.name)}: {note}" for one in workflows for note in share_notes(one.recorded)]


def workflow_baseline(names: Sequence[str], traces: Sequence[str], asked: str | None) -> str | None:
    """The workflow that `asked` names, by name or trace; the first if nothing was asked; None: it names none."""
    if asked is None:
        return names[0]
    return next((name for name, trace in zip(names, traces, strict=True) if asked in (name, trace)), None)
