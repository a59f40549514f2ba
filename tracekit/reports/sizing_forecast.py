"""A new recording beside what an earlier sizing foresaw, and what to do."""

from __future__ import annotations

from typing import Any

from tracekit import units
from tracekit.analyzers.sizing.forecast import (
    WORTHWHILE_SHARE,
    Advice,
    Forecast,
    advice,
    is_off,
    recorded_slo_s,
)
from tracekit.analyzers.sizing.shape import shape_of
from tracekit.analyzers.sizing.size import Sizing
from tracekit.trace import Trace

Document = dict[str, Any]
RULE = (
    f"resize up where the fleet no longer holds; down where the smallest that holds costs {WORTHWHILE_SHARE:.0%} less; "
    "before either, calibrate where what was recorded lies outside what was foreseen although load and sessions do not"
)


def forecast_document(sizing: Sizing, forecast: Forecast, opened: Trace) -> Document:
    """The objectives and the sessions, then and now; the rule; what it says."""
    answer = sizing.answer
    load = sizing.question.load
    recorded = recorded_slo_s(opened, forecast.slos)
    shape = shape_of(load.workload)
    rows = [
        {
            "name": slo.name,
            "limit_s": slo.limit_s,
            "foreseen_s": foreseen,
            "recorded_s": value,
            "is_outside": is_off(value, foreseen),
        }
        for slo, foreseen, value in zip(forecast.slos, forecast.slo_s, recorded, strict=True)
    ]
    passes = answer is not None and answer.verdict.passes
    needed = None if sizing.needed is None else sizing.needed.candidate
    say = None
    if answer is not None:
        say = advice(
            passes=passes,
            usd_per_h=answer.verdict.candidate.usd_per_h,
            needed_usd_per_h=None if needed is None else needed.usd_per_h,
        )
    beyond = forecast.headroom_per_s is not None and load.rate_per_s > forecast.headroom_per_s
    return {
        "file": forecast.path,
        "slos": rows,
        "rate_per_s": {"foreseen": forecast.rate_per_s, "now": load.rate_per_s},
        "headroom_per_s": forecast.headroom_per_s,
        "is_beyond_headroom": beyond,
        "shape": {
            name: {"foreseen": then, "now": now}
            for name, then, now in zip(shape._fields, forecast.shape, shape, strict=True)
        },
        "advice": None if say is None else say.value,
        "needed_replicas": None if needed is None else needed.replicas,
        "words": _words(say, needed.replicas if needed else None, rows),
        "rule": RULE,
    }


def _words(say: Advice | None, needed: int | None, rows: list[Document]) -> str:
    """What to do, in a sentence or two."""
    if say is None:
        return "Interrupted before the fleet was judged."
    told = {
        Advice.GROW: f"Resize: the fleet no longer holds; {needed} replicas of its kind do."
        if needed
        else "Resize: the fleet no longer holds, and no size of its kind that was allowed does.",
        Advice.SHRINK: f"Resize: {needed} replicas of its kind are enough now.",
        Advice.KEEP: "Keep the fleet.",
    }[say]
    outside = [row for row in rows if row["is_outside"]]
    if not outside:
        return told
    what = ", ".join(f"{row['name']} recorded as {units.seconds(row['recorded_s'])}" for row in outside)
    return (
        f"{told} What was recorded lies outside what was foreseen ({what}): if it was recorded on that fleet at that "
        "load, calibrate before trusting this."
    )
