"""What the keys of a sizing hold, in the words of JSON Schema."""

from __future__ import annotations

from tracekit.reports.schema_parts import (
    AMOUNT,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Schema,
    list_of,
    object_of,
    or_null,
    table_of,
)
from tracekit.reports.words import CAUSES

OBJECTIVES = ("cost", "energy", "carbon")
SCOPES = ("gpu", "server", "facility")
STATES = ("prefill", "decode", "mixed", "idle", "starting")
INTERVAL: Schema = {"$ref": "#/$defs/interval"}
VERDICT: Schema = {"$ref": "#/$defs/verdict"}
SHAPE = ("calls", "input_tokens", "output_tokens", "tool_s")


def interval() -> Schema:
    """The median over replicates, and the values between which 95 % of them lie."""
    about = "The median over the replicates, and the values between which 95 % of them lie."
    return object_of(dict.fromkeys(("median", "low", "high"), NUMBER), about=about)


def sizing() -> dict[str, Schema]:
    """The keys of a sizing beside those that every document has."""
    return {
        "headline": {"type": "string", "description": "The answer in one sentence."},
        "assumed": list_of(TEXT, "What nobody chose."),
        "question": _question(),
        "answer": or_null(VERDICT, "The fleet that is named, or that was to be checked; null: none holds."),
        "fleets": table_of(VERDICT, "The best by each objective."),
        "needed": or_null(VERDICT, "Of a checked fleet's kind the smallest that holds."),
        "one_fewer": or_null(VERDICT),
        "next_cheaper": or_null(VERDICT, "The dearest fleet that costs less than the answer."),
        "with_small": or_null(
            VERDICT, "The best with a small model for some calls, where the answer has none."
        ),
        "without_small": or_null(VERDICT, "The best without a small model, where the answer has one."),
        "binds": or_null(TEXT, "What a smaller fleet misses most often."),
        "blocks": or_null(_blocks(), "Where no fleet holds: the best that can be had."),
        "headroom": or_null(_headroom()),
        "pareto": list_of(_point(), "Fleets that meet the objectives in one replicate."),
        "sensitivity": list_of(_shift()),
        "savings": or_null(_savings()),
        "daily": or_null(_daily()),
        "against": or_null(_against()),
        "considered": list_of(_considered()),
        "rejected": list_of(object_of({"name": TEXT, "why": TEXT})),
        "broken": list_of(TEXT, "Budgets of --fail-if that are broken."),
        "replays": COUNT,
        "interrupted": FLAG,
    }


def _limit() -> dict[str, Schema]:
    return {"name": TEXT, "metric": TEXT, "percent": AMOUNT, "limit_s": AMOUNT}


def _question() -> Schema:
    return object_of(
        {
            "rate_per_s": AMOUNT,
            "slos": list_of(object_of(_limit())),
            "objective": {"enum": list(OBJECTIVES)},
            "seed": COUNT,
            "replicates": COUNT,
            "must_meet": COUNT,
            "most_replicas": COUNT,
            "shape": object_of({"sessions": COUNT, **dict.fromkeys(SHAPE, AMOUNT)}),
        }
    )


def verdict() -> Schema:
    """A fleet under its replicates."""
    slo = object_of(_limit() | {"value_s": or_null(INTERVAL), "missed": COUNT})
    scopes = object_of(dict.fromkeys(SCOPES, or_null(INTERVAL)))
    span = object_of(dict.fromkeys(("low", "high"), AMOUNT))
    pool: Schema = {"type": "object", "required": ["gpu", "model", "tp", "replicas"]}
    return object_of(
        {
            "fleet": {"$ref": "#/$defs/fleet"},
            "spec": object_of(
                {"router": TEXT, "queue_order": TEXT, "pools": list_of(pool)}, about="As a fleet file has it."
            ),
            "gpus": COUNT,
            "passes": FLAG,
            "replicates": COUNT,
            "meeting": COUNT,
            "unstable": COUNT,
            "slos": list_of(slo),
            "steady_sessions": or_null(INTERVAL),
            "session_s": or_null(INTERVAL),
            "cost_usd": object_of(
                {
                    **dict.fromkeys(("per_hour", "per_session", "per_month", "per_year"), AMOUNT),
                    "per_hour_range": span,
                }
            ),
            "energy_j": object_of({"per_session": scopes, "watts": scopes}),
            "carbon_g": object_of({"grid": TEXT, "per_session": object_of(dict.fromkeys(SCOPES, span))}),
            "gpu_share": object_of(dict.fromkeys(STATES, or_null(INTERVAL))),
            "idle_share": object_of(dict.fromkeys(CAUSES, or_null(INTERVAL))),
            "cached_share": or_null(INTERVAL),
            "preemptions": or_null(INTERVAL),
        }
    )


def _blocks() -> Schema:
    return object_of(
        {
            "name": TEXT,
            "value_s": or_null(AMOUNT),
            "limit_s": AMOUNT,
            "kind": TEXT,
            "replicas": COUNT,
            "tools_alone_s": or_null(AMOUNT, "Sessions with calls that take no time."),
        }
    )


def _headroom() -> Schema:
    keys = {"holds_per_s": or_null(AMOUNT), "fails_per_s": or_null(AMOUNT), "replicates": COUNT}
    return object_of(keys, about="The largest rate that was found to hold, and the smallest that does not.")


def _point() -> Schema:
    return object_of(
        {
            "name": TEXT,
            "fleet": TEXT,
            "gpu": TEXT,
            "replicas": COUNT,
            "gpus": COUNT,
            "usd_per_hour": AMOUNT,
            "cost_usd_per_session": AMOUNT,
            "slo_s": list_of(AMOUNT),
            "energy_j_per_session": AMOUNT,
            "carbon_g_per_session": object_of(dict.fromkeys(("low", "high"), AMOUNT)),
            "is_on_front": FLAG,
        }
    )


def _shift() -> Schema:
    return object_of(
        {
            "of": {"enum": ["rate", "tool_time", "model_time"]},
            "by": {"type": "number", "description": "A factor; of model_time the sigmas."},
            "replicates": COUNT,
            "meeting": COUNT,
            "slos": list_of(object_of({"name": TEXT, "value_s": or_null(INTERVAL)})),
            "needed_replicas": or_null(COUNT),
            "needed_usd_per_month": or_null(AMOUNT),
        }
    )


def _savings() -> Schema:
    amounts = ("usd_per_year", "session_hours_per_year", "kwh_per_year", "kg_per_year")
    row = object_of(
        {
            "name": TEXT,
            "switches": table_of(TEXT),
            "needed_replicas": or_null(COUNT),
            **dict.fromkeys(amounts, or_null(INTERVAL)),
            "labels": list_of(TEXT),
            "warnings": list_of(TEXT),
        }
    )
    return object_of({"replicates": COUNT, "rows": list_of(row), "lead": TEXT})


def _daily() -> Schema:
    day = object_of(
        {
            "replicates": COUNT,
            "meeting": COUNT,
            "usd_per_day": INTERVAL,
            "gpus": INTERVAL,
            "most_replicas": COUNT,
            "least_replicas": or_null(COUNT),
            "scale_up_calls": or_null(COUNT),
        }
    )
    return object_of(
        {
            **dict.fromkeys(("mean_rate_per_s", "peak_rate_per_s", "trough_rate_per_s", "startup_s"), AMOUNT),
            "hours": list_of(AMOUNT),
            "levels": list_of(AMOUNT),
            "gaps": list_of(list_of(AMOUNT), "Hours between which the profile names none."),
            "part": or_null(COUNT, "Every so many-th session was replayed."),
            **dict.fromkeys(("static", "elastic", "nearest"), or_null(day)),
            "saved_share": or_null(INTERVAL),
            "saved_usd_per_year": or_null(INTERVAL),
        }
    )


def _against() -> Schema:
    pair = object_of({"foreseen": AMOUNT, "now": AMOUNT})
    row = object_of(
        {
            "name": TEXT,
            "limit_s": AMOUNT,
            "foreseen_s": or_null(INTERVAL),
            "recorded_s": or_null(AMOUNT),
            "is_outside": or_null(FLAG),
        }
    )
    return object_of(
        {
            "file": TEXT,
            "slos": list_of(row),
            "rate_per_s": pair,
            "headroom_per_s": or_null(AMOUNT),
            "is_beyond_headroom": FLAG,
            "shape": object_of(dict.fromkeys(("sessions", *SHAPE), pair)),
            "advice": or_null({"enum": ["grow", "shrink", "keep"]}),
            "needed_replicas": or_null(COUNT),
            "words": TEXT,
            "rule": TEXT,
        }
    )


def _considered() -> Schema:
    return object_of(
        {
            "name": TEXT,
            "fleet": or_null(TEXT, "At that size."),
            "pools": COUNT,
            "replicas": or_null(COUNT, "The fewest that meet the objectives in one replicate."),
            "gpus": or_null(COUNT),
            "usd_per_hour": or_null(AMOUNT),
            "slo_s": list_of(or_null(AMOUNT)),
            "keeps_up": FLAG,
            "session_s": or_null(AMOUNT),
            "energy_j_per_session": or_null(AMOUNT),
            "tried_up_to": COUNT,
        }
    )
