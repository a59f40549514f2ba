"""A sizing held against a new recording: what was foreseen, what came, and whether to resize."""

from __future__ import annotations

import json
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tracekit.analyzers.distribution import percentile
from tracekit.analyzers.scenario import Fleet, Pool
from tracekit.analyzers.session_table import ANSWERED, LATENCIES
from tracekit.analyzers.sizing.shape import Shape
from tracekit.analyzers.sizing.slo import Slo
from tracekit.errors import ForecastInvalid, TracekitError
from tracekit.schema import Kind
from tracekit.trace import Trace

WORTHWHILE_SHARE = 0.1
"""Of the cost, that a smaller fleet must save before it is advised."""


class Forecast(NamedTuple):
    """What a sizing report foresaw."""

    path: str
    fleet: Fleet
    slos: tuple[Slo, ...]
    slo_s: tuple[dict[str, float] | None, ...]  # median, low, high of each
    rate_per_s: float
    headroom_per_s: float | None
    shape: Shape
    objective: str
    seed: int

    @classmethod
    def from_json(cls, path: Path) -> Forecast:
        """What `tracekit size -o FILE.json` wrote. Raises ForecastInvalid."""
        try:
            document = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ForecastInvalid.unreadable(path, str(error)) from error
        if not isinstance(document, dict) or "question" not in document:
            raise ForecastInvalid.foreign(path)
        if document.get("answer") is None:
            raise ForecastInvalid.no_answer(path)
        try:
            return _forecast(path, document)
        except (KeyError, TypeError, ValueError, TracekitError) as error:
            raise ForecastInvalid.unreadable(path, f"{type(error).__name__}: {error}") from error


def _forecast(path: Path, document: dict[str, Any]) -> Forecast:
    question, answer = document["question"], document["answer"]
    headroom = document.get("headroom") or {}
    return Forecast(
        path=str(path),
        fleet=fleet_of(answer["spec"]),
        slos=tuple(Slo(one["metric"], one["percent"], one["limit_s"]) for one in answer["slos"]),
        slo_s=tuple(one["value_s"] for one in answer["slos"]),
        rate_per_s=question["rate_per_s"],
        headroom_per_s=headroom.get("holds_per_s"),
        shape=Shape(**question["shape"]),
        objective=question["objective"],
        seed=question["seed"],
    )


def spec_of(fleet: Fleet) -> dict[str, Any]:
    """The fleet as a fleet file has it: what is not a default."""
    defaults = {field.name: field.default for field in fields(Pool)}
    pools = [
        {
            name: value
            for name, value in ((field.name, getattr(pool, field.name)) for field in fields(Pool))
            if name in ("gpu", "model", "tp", "replicas") or value != defaults[name]
        }
        for pool in fleet.pools
    ]
    return {"router": fleet.router, "queue_order": fleet.queue_order, "pools": pools}


def fleet_of(spec: dict[str, Any]) -> Fleet:
    """The fleet that `spec_of` told of. Raises ScenarioInvalid, UnknownName, TypeError."""
    return Fleet(tuple(Pool(**pool) for pool in spec["pools"]), spec["router"], spec["queue_order"])


def recorded_slo_s(trace: Trace, slos: tuple[Slo, ...]) -> tuple[float | None, ...]:
    """What each objective limits, as it was recorded; None where the trace does not tell."""
    columns = ["status", "start_ns", "end_ns", "first_token_ns", "output_tokens", "usage_source"]
    calls = pl.DataFrame(pl.from_arrow(trace.rows(Kind.LLM_CALL, columns)))
    calls = calls.filter(ANSWERED).with_columns(**LATENCIES)
    sessions = pl.DataFrame(pl.from_arrow(trace.rows(Kind.SESSION, ["start_ns", "end_ns"])))
    values = {
        "session": (sessions["end_ns"] - sessions["start_ns"]) / 1e9,
        "ttft": calls["ttft_s"],
        "e2e": calls["e2e_s"],
        "tpot": calls["tpot_s"],
    }
    known = {name: column.drop_nulls().to_numpy().astype(np.float64) for name, column in values.items()}
    return tuple(
        percentile(known[slo.metric], slo.percent) if len(known[slo.metric]) else None for slo in slos
    )


class Advice(Enum):
    """What to do, in the order in which it is looked for."""

    GROW = "grow"
    SHRINK = "shrink"
    KEEP = "keep"


def advice(*, passes: bool, usd_per_h: float, needed_usd_per_h: float | None) -> Advice:
    """The rule: grow what no longer holds; shrink where the smallest that holds costs 10 % less; else keep."""
    if not passes:
        return Advice.GROW
    if needed_usd_per_h is not None and needed_usd_per_h <= (1.0 - WORTHWHILE_SHARE) * usd_per_h:
        return Advice.SHRINK
    return Advice.KEEP


def is_off(recorded_s: float | None, foreseen: dict[str, float] | None) -> bool | None:
    """Whether a recorded value lies outside what was foreseen; None where one is unknown."""
    if recorded_s is None or foreseen is None:
        return None
    return not foreseen["low"] <= recorded_s <= foreseen["high"]
